/* Any bytes as a .npy file: what the header says lies in the file and fits a shape. */
#include <stdlib.h>

#include "cli/npy.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    struct scree_npy npy;

    if (scree_npy_parse(bytes, n_bytes, &npy, NULL) < 0)
        return 0;
    if (npy.data_offset > n_bytes || npy.shape.rank < 0 || npy.shape.rank > SCREE_MAX_RANK ||
        scree_type_bytes(npy.type) == 0)
        abort();
    for (int32_t i = 0; i < npy.shape.rank; i++)
        if (npy.shape.dims[i] < 0)
            abort();
    return 0;
}
