/* each over those before */
#include "kernels/arm/vec128.h"

#include "kernels/arm/requantize.h"

#include "kernels/depthwise_block.h"

static const struct scree_depthwise_width width = WIDTH;
static const struct scree_depthwise_width *const widths[] = {&width, &width};

static size_t packed_bytes(const struct scree_conv_shape *shape)
{
    return scree_depthwise_layer_bytes(widths, shape);
}

static bool pack_layer(void *packed, const struct scree_conv_shape *shape,
                       const struct scree_conv_quant *quant, bool is_signed, const void *filter,
                       const int32_t *bias)
{
    return scree_depthwise_layer_pack(widths, packed, shape, quant, is_signed, filter, bias);
}

const struct scree_depthwise_kernel scree_depthwise_8_dotprod = {
    .packed_bytes = packed_bytes,
    .pack = pack_layer,
    .n_tiles = scree_depthwise_layer_tiles,
    .run = scree_depthwise_layer_run,
};
