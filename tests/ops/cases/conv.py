"""CONV_2D, DEPTHWISE_CONV_2D and TRANSPOSE_CONV."""

import products
from case import Case, Tensor, group


def _bias(draw, type_name, weights_type, bias_type, count, depth, quant):
    low, high = products.bias_range(type_name, weights_type, depth)
    return draw.const(bias_type, (count,), quant, low, high)


def _conv_shapes(draw):
    groups = draw.pick(2, 3, 4) if draw.chance(20) else 1
    in_channels = groups * (products.channels(draw, 8) if groups == 1 else draw.int(1, 4))
    out_channels = groups * (products.channels(draw) if groups == 1 else draw.int(1, 4))
    batches = draw.pick(1, 1, 1, 2)
    height, width = products.places(draw, out_channels, batches)
    in_h, in_w, kernel_h, kernel_w, options = products.window(draw, height, width)
    return ((batches, in_h, in_w, in_channels),
            (out_channels, kernel_h, kernel_w, in_channels // groups), options)


@group("conv", "CONV_2D", "u8", 110, "u8", "u8", "i32")
@group("conv", "CONV_2D", "i8", 200, "i8", "i8", "i32")
@group("conv", "CONV_2D", "i8i4", 20, "i8", "i4", "i32")
@group("conv", "CONV_2D", "i16i4", 15, "i16", "i4", "i64")
@group("conv", "CONV_2D", "i16.bias64", 60, "i16", "i8", "i64")
@group("conv", "CONV_2D", "i16.bias32", 30, "i16", "i8", "i32")
def conv_quantized(draw, _, type_name, weights_type, bias_type):
    """Quantized convolution, per tensor and per channel, grouped, dilated."""
    shape, filter_shape, options = _conv_shapes(draw)
    count, depth = filter_shape[0], products.size(filter_shape[1:])
    source, weights, bias, out = products.quants(draw, type_name, weights_type, depth, count)
    options["activation"] = draw.activation()
    if type_name == "i16" and (bias_type == "i32" or draw.chance(50)):
        options["quantized_bias_type"] = bias_type  # without it LiteRT reads int64
    return Case("CONV_2D", [draw.input(type_name, shape, source),
                            products.weights(draw, weights_type, filter_shape, weights),
                            _bias(draw, type_name, weights_type, bias_type, count, depth, bias)],
                [Tensor(type_name, (), out)], options)


@group("conv", "CONV_2D", "f32", 80)
def conv_float(draw, _):
    """Float convolution."""
    shape, filter_shape, options = _conv_shapes(draw)
    options["activation"] = draw.activation()
    weights = draw.either(90, "f32", filter_shape, None, -1.0, 1.0)
    return Case("CONV_2D", [draw.input("f32", shape), weights,
                            draw.const("f32", (filter_shape[0],))], [Tensor("f32")], options)


@group("conv", "CONV_2D", "hybrid", 60, "i8")
@group("conv", "CONV_2D", "hybrid.i4", 15, "i4")
def conv_hybrid(draw, _, weights_type):
    """Float convolution with int8 weights, or int4."""
    shape, filter_shape, options = _conv_shapes(draw)
    options["activation"] = draw.activation()
    grouped = True if filter_shape[3] != shape[3] else None  # then LiteRT wants a scale each
    quant = products.hybrid_quant(draw, filter_shape[0], 0, grouped)
    return Case("CONV_2D", [draw.input("f32", shape),
                            products.hybrid_weights(draw, filter_shape, quant, weights_type),
                            draw.const("f32", (filter_shape[0],))], [Tensor("f32")], options)


def _depthwise_shapes(draw):
    in_channels = products.channels(draw)
    multiplier = draw.pick(1, 1, 1, 2, 3, 4) if in_channels < 10 else 1
    out_channels = in_channels * multiplier
    batches = draw.pick(1, 1, 1, 2)
    height, width = products.places(draw, out_channels, batches)
    in_h, in_w, kernel_h, kernel_w, options = products.window(draw, height, width)
    options["depth_multiplier"] = multiplier
    return ((batches, in_h, in_w, in_channels), (1, kernel_h, kernel_w, out_channels), options)


@group("conv", "DEPTHWISE_CONV_2D", "u8", 100, "u8", "u8", "i32")
@group("conv", "DEPTHWISE_CONV_2D", "i8", 160, "i8", "i8", "i32")
@group("conv", "DEPTHWISE_CONV_2D", "i8i4", 20, "i8", "i4", "i32")
@group("conv", "DEPTHWISE_CONV_2D", "i16", 60, "i16", "i8", "i64")
def depthwise_quantized(draw, _, type_name, weights_type, bias_type):
    """Quantized depthwise convolution."""
    shape, filter_shape, options = _depthwise_shapes(draw)
    count, depth = filter_shape[3], filter_shape[1] * filter_shape[2]
    source, weights, bias, out = products.quants(draw, type_name, weights_type, depth, count, 3)
    options["activation"] = draw.activation()
    inputs = [draw.input(type_name, shape, source),
              products.weights(draw, weights_type, filter_shape, weights),
              _bias(draw, type_name, weights_type, bias_type, count, depth, bias)]
    return Case("DEPTHWISE_CONV_2D", inputs, [Tensor(type_name, (), out)], options)


@group("conv", "DEPTHWISE_CONV_2D", "f32", 60)
def depthwise_float(draw, _):
    """Float depthwise convolution."""
    shape, filter_shape, options = _depthwise_shapes(draw)
    options["activation"] = draw.activation()
    inputs = [draw.input("f32", shape), products.weights(draw, "f32", filter_shape, None),
              draw.const("f32", (filter_shape[3],))]
    return Case("DEPTHWISE_CONV_2D", inputs, [Tensor("f32")], options)


@group("conv", "DEPTHWISE_CONV_2D", "hybrid", 50)
def depthwise_hybrid(draw, _):
    """Float depthwise convolution with int8 weights, a scale for each channel."""
    shape, filter_shape, options = _depthwise_shapes(draw)
    options["activation"] = draw.activation()
    quant = products.hybrid_quant(draw, filter_shape[3], 3, True)
    inputs = [draw.input("f32", shape), products.hybrid_weights(draw, filter_shape, quant),
              draw.const("f32", (filter_shape[3],))]
    return Case("DEPTHWISE_CONV_2D", inputs, [Tensor("f32")], options)


def _transpose_shapes(draw):
    in_channels, out_channels = products.channels(draw, 6), products.channels(draw, 8)
    batches = draw.pick(1, 1, 2)
    padding = draw.pick("SAME", "VALID")
    options, sizes = {"padding": padding}, []
    for axis in "hw":
        small = draw.int(1, 4 if out_channels < 9 else 2)
        stride, kernel = draw.int(1, 3), draw.int(1, 4)
        large = small * stride - draw.below(stride)
        if padding == "VALID":
            large = (small - 1) * stride + kernel + draw.below(stride)
        options["stride_" + axis] = stride
        sizes.append((small, kernel, large))
    (in_h, kernel_h, out_h), (in_w, kernel_w, out_w) = sizes
    return ((batches, in_h, in_w, in_channels), (out_channels, kernel_h, kernel_w, in_channels),
            (batches, out_h, out_w, out_channels), options)


@group("conv", "TRANSPOSE_CONV", "u8", 50, "u8", "u8", "i32")
@group("conv", "TRANSPOSE_CONV", "i8", 80, "i8", "i8", "i32")
@group("conv", "TRANSPOSE_CONV", "i16.bias64", 30, "i16", "i8", "i64")
@group("conv", "TRANSPOSE_CONV", "i16.bias32", 20, "i16", "i8", "i32")
def transpose_quantized(draw, _, type_name, weights_type, bias_type):
    """Quantized transposed convolution, with and without bias."""
    shape, filter_shape, out_shape, options = _transpose_shapes(draw)
    count, depth = filter_shape[0], products.size(filter_shape[1:])
    source, weights, bias, out = products.quants(draw, type_name, weights_type, depth, count)
    inputs = [draw.ints_tensor(out_shape), products.weights(draw, weights_type, filter_shape,
                                                            weights),
              draw.input(type_name, shape, source)]
    if type_name == "i16" and (bias_type == "i32" or draw.chance(50)):
        options["quantized_bias_type"] = bias_type  # without it LiteRT reads int64
    if draw.chance(60):
        inputs.append(_bias(draw, type_name, weights_type, bias_type, count, depth, bias))
        options["activation"] = draw.activation()
    return Case("TRANSPOSE_CONV", inputs, [Tensor(type_name, (), out)], options)


@group("conv", "TRANSPOSE_CONV", "f32", 50)
def transpose_float(draw, _):
    """Float transposed convolution."""
    shape, filter_shape, out_shape, options = _transpose_shapes(draw)
    inputs = [draw.ints_tensor(out_shape), products.weights(draw, "f32", filter_shape, None),
              draw.input("f32", shape)]
    if draw.chance(60):
        inputs.append(draw.const("f32", (filter_shape[0],)))
        options["activation"] = draw.activation()
    return Case("TRANSPOSE_CONV", inputs, [Tensor("f32")], options)


@group("conv", "TRANSPOSE_CONV", "hybrid", 30)
def transpose_hybrid(draw, _):
    """Float transposed convolution with int8 weights."""
    shape, filter_shape, out_shape, options = _transpose_shapes(draw)
    quant = products.hybrid_quant(draw, filter_shape[0])
    inputs = [draw.ints_tensor(out_shape), products.hybrid_weights(draw, filter_shape, quant),
              draw.input("f32", shape)]
    if draw.chance(60):
        inputs.append(draw.const("f32", (filter_shape[0],)))
        options["activation"] = draw.activation()
    return Case("TRANSPOSE_CONV", inputs, [Tensor("f32")], options)
