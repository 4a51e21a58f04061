#include "cli/npy.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/file.h"
#include "model/graph.h"

#define MAGIC   "\x93NUMPY"
#define N_MAGIC 6

static const struct {
    const char *descr; /* NumPy's name, without the byte order */
    enum scree_type type;
} types[] = {
    {"f4", SCREE_TYPE_FLOAT32}, {"f2", SCREE_TYPE_FLOAT16}, {"f8", SCREE_TYPE_FLOAT64},
    {"u1", SCREE_TYPE_UINT8},   {"i1", SCREE_TYPE_INT8},    {"u2", SCREE_TYPE_UINT16},
    {"i2", SCREE_TYPE_INT16},   {"u4", SCREE_TYPE_UINT32},  {"i4", SCREE_TYPE_INT32},
    {"u8", SCREE_TYPE_UINT64},  {"i8", SCREE_TYPE_INT64},   {"b1", SCREE_TYPE_BOOL},
};

#define N_TYPES (sizeof types / sizeof types[0])

/* The text behind 'key': in the header's dictionary, or NULL. */
static const char *find_value(const char *header, const char *key)
{
    const char *at = strstr(header, key);

    if (!at)
        return NULL;
    at += strlen(key);
    while (*at == ' ' || *at == ':')
        at++;
    return at;
}

static int parse_type(const char *header, enum scree_type *ret_type, struct scree_error *err)
{
    const char *at = find_value(header, "'descr'");

    if (!at || at[0] != '\'' || strlen(at) < 5)
        return scree_fail(err, EBADMSG, "no 'descr' in the .npy header");
    if (at[1] == '>')
        return scree_fail(err, ENOTSUP, "big-endian .npy files are not supported");
    for (size_t i = 0; i < N_TYPES; i++)
        if (memcmp(at + 2, types[i].descr, 2) == 0 && at[4] == '\'') {
            *ret_type = types[i].type;
            return 0;
        }
    return scree_fail(err, ENOTSUP, "element type '%.*s' of the .npy file is not supported",
                      (int)strcspn(at + 1, "'"), at + 1);
}

static int parse_shape(const char *header, struct scree_shape *ret_shape, struct scree_error *err)
{
    const char *at = find_value(header, "'shape'");

    if (!at || *at++ != '(')
        return scree_fail(err, EBADMSG, "no 'shape' in the .npy header");
    *ret_shape = (struct scree_shape){0};
    while (*at != ')') {
        int64_t dim = 0;
        size_t n_digits = 0;

        for (; *at >= '0' && *at <= '9'; at++, n_digits++)
            dim = dim > INT32_MAX ? dim : dim * 10 + (*at - '0');
        if (n_digits == 0 || dim > INT32_MAX || ret_shape->rank == SCREE_MAX_RANK)
            return scree_fail(err, EBADMSG, "malformed 'shape' in the .npy header");
        ret_shape->dims[ret_shape->rank++] = (int32_t)dim;
        while (*at == ',' || *at == ' ')
            at++;
    }
    return 0;
}

int scree_npy_parse(const uint8_t *bytes, size_t n_bytes, struct scree_npy *ret_npy,
                    struct scree_error *err)
{
    char header[1024];
    size_t start = 10, length;
    struct scree_npy npy;
    const char *fortran;
    int rc;

    if (n_bytes < 12 || memcmp(bytes, MAGIC, N_MAGIC) != 0)
        return scree_fail(err, EBADMSG, "not a .npy file");
    length = bytes[8] | (size_t)bytes[9] << 8;
    if (bytes[6] >= 2) {
        length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
        start = 12;
    }
    if (!scree_range_fits(start, length, n_bytes) || length >= sizeof header)
        return scree_fail(err, EBADMSG, "the .npy header is cut off or too long");
    memcpy(header, bytes + start, length);
    header[length] = '\0';
    fortran = find_value(header, "'fortran_order'");
    if (!fortran || *fortran != 'F')
        return scree_fail(err, ENOTSUP, "only .npy files in C order are supported");
    rc = parse_type(header, &npy.type, err);
    if (rc >= 0)
        rc = parse_shape(header, &npy.shape, err);
    if (rc < 0)
        return rc;
    npy.data_offset = start + length;
    *ret_npy = npy;
    return 0;
}

static int check_npy(const struct scree_mapped *mapped, const struct scree_tensor *tensor,
                     size_t *ret_offset, struct scree_error *err)
{
    struct scree_npy npy;
    int rc = scree_npy_parse(mapped->bytes, mapped->n_bytes, &npy, err);

    if (rc < 0)
        return rc;
    if (npy.type != tensor->type || !scree_shape_equal(&npy.shape, &tensor->shape))
        return scree_fail(err, EINVAL,
                          "the file holds %s of rank %d, another type or shape than input '%.40s'",
                          scree_type_name(npy.type), npy.shape.rank, tensor->name);
    if (!scree_range_fits(npy.data_offset, tensor->bytes, mapped->n_bytes))
        return scree_fail(err, EBADMSG, "the .npy file is cut off");
    *ret_offset = npy.data_offset;
    return 0;
}

int scree_tensor_read(const char *path, const struct scree_tensor *tensor, struct scree_error *err)
{
    struct scree_mapped mapped;
    size_t offset = 0;
    int rc = scree_mapped_open(path, &mapped, err);

    if (rc < 0)
        return rc;
    if (mapped.n_bytes >= N_MAGIC && memcmp(mapped.bytes, MAGIC, N_MAGIC) == 0)
        rc = check_npy(&mapped, tensor, &offset, err);
    else if (mapped.n_bytes != tensor->bytes)
        rc = scree_fail(err, EINVAL, "%zu bytes, input '%.60s' needs %zu", mapped.n_bytes,
                        tensor->name, tensor->bytes);
    if (rc >= 0 && tensor->bytes > 0)
        memcpy(tensor->data, mapped.bytes + offset, tensor->bytes);
    scree_mapped_done(&mapped);
    return rc < 0 ? scree_wrap(err, rc, "%s", path) : 0;
}

/* The header, padded with spaces so that the data begin at a multiple of 64. Returns its length. */
static size_t make_header(const struct scree_tensor *tensor, char *text, size_t size)
{
    const char *descr = NULL;
    size_t used, total;

    for (size_t i = 0; i < N_TYPES; i++)
        if (types[i].type == tensor->type)
            descr = types[i].descr;
    if (!descr)
        return 0;
    memcpy(text, MAGIC "\x01", N_MAGIC + 2); /* version 1.0: the terminator is the minor version */
    used = 10;
    used += (size_t)snprintf(text + used, size - used,
                             "{'descr': '%c%s', 'fortran_order': False, 'shape': (",
                             scree_type_bytes(tensor->type) == 1 ? '|' : '<', descr);
    for (int32_t i = 0; i < tensor->shape.rank; i++)
        used += (size_t)snprintf(text + used, size - used, "%d,", tensor->shape.dims[i]);
    used += (size_t)snprintf(text + used, size - used, "), }");
    total = (used + 64) / 64 * 64;
    memset(text + used, ' ', total - used - 1);
    text[total - 1] = '\n';
    text[8] = (char)((total - 10) & 0xff);
    text[9] = (char)((total - 10) >> 8);
    return total;
}

int scree_tensor_write(const char *path, const struct scree_tensor *tensor, bool raw,
                       struct scree_error *err)
{
    char header[512];
    size_t n_header = raw ? 0 : make_header(tensor, header, sizeof header);
    FILE *file;
    bool ok;

    if (!raw && n_header == 0)
        return scree_fail(err, ENOTSUP, "%s: .npy has no type %s", path,
                          scree_type_name(tensor->type));
    file = fopen(path, "wb");
    if (!file)
        return scree_fail(err, errno == EACCES || errno == ENOENT ? errno : EIO, "%s: %s", path,
                          strerror(errno));
    ok = fwrite(header, 1, n_header, file) == n_header &&
         (tensor->bytes == 0 || fwrite(tensor->data, 1, tensor->bytes, file) == tensor->bytes);
    if (fclose(file) != 0)
        ok = false;
    if (ok)
        return 0;
    (void)unlink(path);
    return scree_fail(err, EIO, "%s: cannot be written: %s", path, strerror(errno));
}
