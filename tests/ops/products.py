"""What the operators that multiply by weights share: scales that fit, weights and biases."""

import math

from case import INT_RANGES, Quant, elements, f32


def _spread(type_name):
    low, high = INT_RANGES[type_name]
    return (high - low) / 3.5


def quants(draw, type_name, weights_type, depth, channels, axis=0, per_channel=None):
    """Quantizations (input, weights, bias, output) of a product with `depth` terms a sum.

    The output's scale is such that sums of random terms fill the output's range; at times they are
    far too large for it or vanish in it, so that multipliers above one and tiny ones occur.
    per_channel: None decides by chance; uint8 weights are never so."""
    source = draw.quant(type_name)
    if per_channel is None:
        per_channel = weights_type != "u8" and draw.chance(50)
    zero = draw.zero_point("u8") if weights_type == "u8" else 0
    count = channels if per_channel else 1
    base = draw.scale(-10, -2)
    scales = [f32(base * draw.uniform(0.1, 1.0)) for _ in range(count)]
    weights = Quant(scales, [zero] * count, axis)
    bias = Quant([source.scale * scale for scale in scales], [0] * count, 0)
    size = math.sqrt(depth) * _spread(type_name) * _spread(weights_type)
    fit = draw.pick(0.3, 0.5, 1.0, 2.0) if draw.chance(85) else draw.pick(1e-4, 0.01, 40.0, 1000.0)
    out_scale = source.scale * base * size / _spread(type_name) * fit
    return source, weights, bias, Quant([out_scale], [draw.zero_point(type_name)])


def bias_range(type_name, weights_type, depth):
    """The range of biases as large as the sums they are added to."""
    size = int(2 * math.sqrt(depth) * _spread(type_name) * _spread(weights_type))
    return -size, size


def weights(draw, type_name, shape, quant):
    """Weights, seldom fed; int8 ones keep to [-127, 127] mostly, as converters write them."""
    constant = 100 if type_name == "i4" else 93
    if type_name == "i8" and draw.chance(80):
        return draw.either(constant, type_name, shape, quant, -127, 127)
    if type_name == "f32":
        return draw.either(constant, type_name, shape, None, -1.0, 1.0)
    return draw.either(constant, type_name, shape, quant)


def hybrid_quant(draw, channels, axis=0, per_channel=None):
    """Scales of int8 weights that are multiplied with floats."""
    if per_channel is None:
        per_channel = draw.chance(50)
    base = draw.scale(-9, -4)
    scales = [f32(base * draw.uniform(0.2, 1.0)) for _ in range(channels if per_channel else 1)]
    return Quant(scales, [0] * len(scales), axis)


def hybrid_weights(draw, shape, quant, type_name="i8"):
    """Constant weights for float activations. Never -128: LiteRT's kernel for x86 negates it in 8
    bits, so that it comes out as -128 again, and other machines' kernels do not."""
    low, high = {"i4": (-7, 7), "i8": (-127, 127), "u8": (0, 127)}[type_name]
    return draw.const(type_name, shape, quant, low, high)


def window(draw, out_h, out_w, *, dilate=True, largest=4):
    """Sizes of a window that slides to out_h x out_w places: (in_h, in_w, kh, kw, options)."""
    padding = draw.pick("SAME", "VALID")
    options = {"padding": padding}
    sizes = []
    dilated = dilate and draw.chance(30)
    square = draw.chance(50)
    for axis, places in (("h", out_h), ("w", out_w)):
        if not (square and sizes):
            kernel = draw.int(1, largest)
            stride = draw.pick(1, 1, 2, 2, 3)
            dilation = draw.int(1, 3) if dilated else 1
        span = (kernel - 1) * dilation + 1 if padding == "VALID" else 1
        sizes.append(((places - 1) * stride + span + draw.below(stride), kernel))
        options["stride_" + axis] = stride
        if dilate:
            options["dilation_" + axis] = dilation
    (in_h, kernel_h), (in_w, kernel_w) = sizes
    return in_h, in_w, kernel_h, kernel_w, options


def places(draw, channels, batches=1, limit=300):
    """A height and width so that an output of these channels stays small."""
    room = max(1, limit // (channels * batches))
    height = draw.int(1, max(1, min(6, room)))
    return height, draw.int(1, max(1, min(7, room // height)))


def channels(draw, largest=12):
    """A number of channels: small, or at times around the width of a vector register."""
    return draw.pick(15, 16, 17, 31, 32, 33, 40) if draw.chance(12) else draw.int(1, largest)


def size(shape):
    """The number of elements."""
    return elements(shape)
