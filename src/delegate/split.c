#include "delegate/split.h"

#include "base/checked.h"

#define N_BANKS          12
#define ENTRIES_PER_BANK 256
#define ENTRY_BYTES      128
#define FEATURE_ATOM     16
/* The banks of the input where the weights do not fit anyway and are streamed. */
#define STREAMING_INPUT_BANKS 7

static uint64_t divide_up(uint64_t a, uint64_t b)
{
    return (a + b - 1) / b;
}

/* Entries of the buffer that a row of the input takes. */
static uint64_t entries_per_row(uint64_t w, uint64_t c)
{
    uint64_t atoms = divide_up(c, FEATURE_ATOM), rest = atoms % 8;

    return atoms / 8 * w + (rest == 3 ? w : divide_up(rest * w, 8));
}

/* One bank more than the weights need. */
static uint64_t weight_banks(const struct scree_shape *weights, bool depthwise)
{
    uint64_t bytes = (uint64_t)weights->dims[1] * (uint64_t)weights->dims[2] *
                     (uint64_t)weights->dims[3] * (depthwise ? 1 : (uint64_t)weights->dims[0]);

    return divide_up(divide_up(bytes, ENTRY_BYTES), ENTRIES_PER_BANK) + 1;
}

/* Slices of `rows` rows until the input's end: each begins `stride` below the last window that the
 * one before it could still do. */
static uint32_t count_slices(int64_t in_h, int64_t kernel_h, int64_t stride, int64_t rows)
{
    int64_t bottom = rows - 1, at = kernel_h - 1;
    uint32_t n = 1;

    if (rows < kernel_h)
        return 0;
    while (bottom < in_h - 1) {
        int64_t top;

        while (at + stride <= bottom)
            at += stride;
        top = at - (kernel_h - 1) + stride;
        bottom = top + rows - 1;
        at = top + kernel_h - 1;
        if (at >= in_h)
            break;
        n++;
    }
    return n;
}

struct scree_split scree_split_conv(const struct scree_subgraph *subgraph,
                                    const struct scree_node *node)
{
    const struct scree_shape *in = &subgraph->tensors[node->inputs[0]].shape;
    const struct scree_shape *weights = &subgraph->tensors[node->inputs[1]].shape;
    bool depthwise = node->opcode == SCREE_OP_DEPTHWISE_CONV_2D;
    int32_t stride = depthwise ? node->options.depthwise_conv2d.stride_w
                               : node->options.conv2d.stride_w;
    uint64_t entries = entries_per_row((uint64_t)in->dims[2], (uint64_t)in->dims[3]);
    uint64_t in_banks = divide_up(entries * (uint64_t)in->dims[1], ENTRIES_PER_BANK);
    uint64_t banks = weight_banks(weights, depthwise), left;
    struct scree_split split = {.n_tasks = 1, .keeps_weights = banks + 1 < N_BANKS};

    left = split.keeps_weights ? N_BANKS - banks : STREAMING_INPUT_BANKS;
    if (in_banks > left)
        split.n_tasks = count_slices(in->dims[1], weights->dims[1], stride,
                                     (int64_t)(left * ENTRIES_PER_BANK / entries));
    return split;
}
