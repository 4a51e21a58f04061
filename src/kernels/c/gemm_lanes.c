#include "kernels/gemm_lanes.h"

bool scree_gemm_lanes_pack(void *params, const struct scree_gemm_layer *layer,
                           const struct scree_gemm_channel *channels, int32_t n)
{
    struct scree_gemm_lanes *to = params;
    int32_t output_zp = layer->output_zp + (layer->is_u8 ? 0 : 128);

    for (int32_t c = 0; c < n; c++) {
        const struct scree_gemm_channel *channel = &channels[c];

        to->bias[c] = (uint32_t)channel->bias;
        if (layer->by_factor) {
            to->factor[c] = channel->factor;
            continue;
        }
        if (!scree_lanes_set(&to->lanes, c, channel->multiplier, output_zp, channel->bound))
            return false;
        to->bias[c] += channel->bound;
    }
    return true;
}
