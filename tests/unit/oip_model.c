#include "oip_model.h"

#include <unistd.h>

#include "support/tflite_writer.h"

bool oip_model_write(int fd)
{
    static const int32_t multiples[] = {1, OIP_MODEL_ROW_BYTES};
    struct tw *tw = tw_new();
    int32_t in = tw_tensor(tw, "in", SCREE_TYPE_UINT8, TW_SHAPE(1, 1));
    int32_t out = tw_tensor(tw, "out", SCREE_TYPE_UINT8, TW_SHAPE(1, OIP_MODEL_ROW_BYTES));
    int32_t times =
        tw_constant(tw, "times", SCREE_TYPE_INT32, TW_SHAPE(2), multiples, sizeof multiples);
    const uint8_t *bytes;
    bool is_written;
    size_t n;

    tw_node(tw, SCREE_OP_TILE, TW_LIST(in, times), TW_LIST(out), NULL);
    tw_ports(tw, TW_LIST(in), TW_LIST(out));
    bytes = tw_finish(tw, &n);
    is_written = write(fd, bytes, n) == (ssize_t)n;
    tw_free(tw);
    return is_written;
}
