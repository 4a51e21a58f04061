/* cli/npy.h - tensors as files: NumPy's .npy (format version 1.0 to 3.0, C order, little endian)
 * and raw bytes. Source: numpy/lib/format.py's description of the format. */
#ifndef SCREE_CLI_NPY_H
#define SCREE_CLI_NPY_H

#include "base/error.h"

/* What the header of a .npy file says, and where its data begins. */
struct scree_npy {
    enum scree_type type;
    struct scree_shape shape;
    size_t data_offset;
};

/* Reads the header of bytes u8[n_bytes].
 * Errors: EBADMSG (not a .npy file, or damaged), ENOTSUP (Fortran order, big endian, other types).
 */
int scree_npy_parse(const uint8_t *bytes, size_t n_bytes, struct scree_npy *ret_npy,
                    struct scree_error *err);

/* Fills tensor->data from a file: .npy (same type and shape; by its first bytes) or raw
 * little-endian bytes of exactly tensor->bytes. Errors: those of files, EBADMSG, ENOTSUP, EINVAL
 * (another type, shape or size). */
int scree_tensor_read(const char *path, const struct scree_tensor *tensor, struct scree_error *err);

/* Writes a tensor as .npy, or as raw bytes. A file that cannot be written whole is removed.
 * Errors: EIO and those of files. */
int scree_tensor_write(const char *path, const struct scree_tensor *tensor, bool raw,
                       struct scree_error *err);

#endif
