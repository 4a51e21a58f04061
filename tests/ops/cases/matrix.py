"""FULLY_CONNECTED and BATCH_MATMUL."""

import products
from case import Case, Quant, Tensor, group


def _fully_connected_shapes(draw):
    depth, units = products.channels(draw, 20), products.channels(draw, 16)
    lead = draw.shape(0, 3, max(1, min(200 // units, 12)), 4)
    options = {"activation": draw.activation()}
    if draw.chance(40):
        options["keep_num_dims"] = True
        return (*lead, depth), (units, depth), options
    if len(lead) > 1 and draw.chance(30):  # rows that do not end where a dimension does
        return (*lead[:-1], depth, lead[-1]), (units, depth), options
    return (*lead, depth), (units, depth), options


@group("matrix", "FULLY_CONNECTED", "u8", 60, "u8", "u8", ("i32",))
@group("matrix", "FULLY_CONNECTED", "i8", 110, "i8", "i8", ("i32",))
@group("matrix", "FULLY_CONNECTED", "i8i4", 20, "i8", "i4", ("i32",))
@group("matrix", "FULLY_CONNECTED", "i16i4", 15, "i16", "i4", ("i32", "i64"))
@group("matrix", "FULLY_CONNECTED", "i16i16", 20, "i16", "i16", ("i64",))
@group("matrix", "FULLY_CONNECTED", "i16", 60, "i16", "i8", ("i32", "i64"))
def fully_connected_quantized(draw, _, type_name, weights_type, bias_types):
    """Quantized, with and without bias; rows flattened or kept."""
    shape, filter_shape, options = _fully_connected_shapes(draw)
    units, depth = filter_shape
    source, weights, bias, out = products.quants(draw, type_name, weights_type, depth, units)
    inputs = [draw.input(type_name, shape, source),
              products.weights(draw, weights_type, filter_shape, weights)]
    if draw.chance(75):
        low, high = products.bias_range(type_name, weights_type, depth)
        bias_type = draw.pick(*bias_types)
        inputs.append(draw.const(bias_type, (units,), bias, low, high))
        taken = "i32" if weights_type == "i16" else "i64"  # where the options do not say
        if type_name == "i16" and (bias_type != taken or draw.chance(50)):
            options["quantized_bias_type"] = bias_type
    elif draw.chance(50):
        inputs.append(None)
    return Case("FULLY_CONNECTED", inputs, [Tensor(type_name, (), out)], options)


@group("matrix", "FULLY_CONNECTED", "f32", 50, False)
@group("matrix", "FULLY_CONNECTED", "hybrid", 60, True)
@group("matrix", "FULLY_CONNECTED", "hybrid.u8", 12, True, "u8")
@group("matrix", "FULLY_CONNECTED", "hybrid.i4", 20, True, "i4")
def fully_connected_float(draw, _, hybrid, weights_type="i8"):
    """Floats with weights of floats or of integers, per tensor and per channel."""
    shape, filter_shape, options = _fully_connected_shapes(draw)
    units = filter_shape[0]
    if hybrid:
        quant = products.hybrid_quant(draw, units)
        weights = products.hybrid_weights(draw, filter_shape, quant, weights_type)
        if len(quant.scales) > 1 or draw.chance(50):
            options["asymmetric_quantize_inputs"] = draw.chance(50)
    else:
        weights = draw.either(80, "f32", filter_shape, None, -1.0, 1.0)
    inputs = [draw.input("f32", shape), weights]
    if draw.chance(70):
        inputs.append(draw.const("f32", (units,)))
    return Case("FULLY_CONNECTED", inputs, [Tensor("f32")], options)


@group("matrix", "FULLY_CONNECTED", "u8i16", 15)
def fully_connected_widened(draw, _):
    """uint8 to int16."""
    shape, filter_shape, options = _fully_connected_shapes(draw)
    source, weights, bias, out = products.quants(draw, "u8", "u8", filter_shape[1], filter_shape[0])
    low, high = products.bias_range("u8", "u8", filter_shape[1])
    out = Quant([out.scale / 256], [0])
    return Case("FULLY_CONNECTED", [draw.input("u8", shape, source),
                                    products.weights(draw, "u8", filter_shape, weights),
                                    draw.const("i32", filter_shape[:1], bias, low, high)],
                [Tensor("i16", (), out)], options)


def _matmul_shapes(draw):
    rows, depth, columns = draw.int(1, 7), products.channels(draw, 8), draw.int(1, 7)
    if draw.chance(15):
        columns = products.channels(draw)
    room = max(1, 250 // (rows * columns))
    lead, other = draw.broadcast(3, room) if draw.chance(60) else [draw.shape(0, 3, room, 3)] * 2
    options = {"adj_x": draw.chance(40), "adj_y": draw.chance(40)}
    left = [depth, rows] if options["adj_x"] else [rows, depth]
    right = [columns, depth] if options["adj_y"] else [depth, columns]
    return [*lead, *left], [*other, *right], depth, options


@group("matrix", "BATCH_MATMUL", "i8", 70, "i8", "i8")
@group("matrix", "BATCH_MATMUL", "i16", 40, "i16", "i16")
@group("matrix", "BATCH_MATMUL", "i16i8", 20, "i16", "i8")
def batch_matmul_quantized(draw, _, left_type, right_type):
    """Quantized on both sides."""
    left, right, depth, options = _matmul_shapes(draw)
    source, weights, _, out = products.quants(draw, left_type, right_type, depth, 1,
                                              per_channel=False)
    if right_type == "i8" and left_type == "i8":
        weights = Quant(weights.scales, [draw.zero_point("i8")])
    return Case("BATCH_MATMUL", [draw.input(left_type, left, source),
                                 draw.either(40, right_type, right, weights)],
                [Tensor(left_type, (), out)], options)


@group("matrix", "BATCH_MATMUL", "i8i32", 20)
def batch_matmul_sums(draw, _):
    """Sums of int8 products as they are."""
    left, right, _, options = _matmul_shapes(draw)
    quant = Quant([1.0], [0])
    return Case("BATCH_MATMUL", [draw.input("i8", left, quant),
                                 draw.either(40, "i8", right, quant)],
                [Tensor("i32", (), quant)], options)


@group("matrix", "BATCH_MATMUL", "f32", 50)
def batch_matmul_float(draw, _):
    """Floats on both sides."""
    left, right, _, options = _matmul_shapes(draw)
    return Case("BATCH_MATMUL", [draw.either(15, "f32", left, None, -1.0, 1.0),
                                 draw.input("f32", right)], [Tensor("f32")], options)


@group("matrix", "BATCH_MATMUL", "hybrid", 40)
def batch_matmul_hybrid(draw, _):
    """Floats times constant int8."""
    left, right, _, options = _matmul_shapes(draw)
    # Of five dimensions LiteRT leaves sums of weights out along the first, and reads what is there.
    asymmetric = draw.chance(50) and (len(right) < 5 or right[0] == 1)
    options["asymmetric_quantize_inputs"] = asymmetric
    quant = products.hybrid_quant(draw, 1, per_channel=False)
    return Case("BATCH_MATMUL", [draw.input("f32", left),
                                 products.hybrid_weights(draw, right, quant)],
                [Tensor("f32")], options)


