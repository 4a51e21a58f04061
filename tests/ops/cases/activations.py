"""Activations, softmaxes and normalizations."""

import math

from case import Case, Quant, Tensor, group, pack

# The output quantization that LiteRT asks for: (scale, zero point).
FIXED = {
    ("LOGISTIC", "u8"): (1 / 256, 0), ("LOGISTIC", "i8"): (1 / 256, -128),
    ("LOGISTIC", "i16"): (1 / 32768, 0),
    ("TANH", "u8"): (1 / 128, 128), ("TANH", "i8"): (1 / 128, 0), ("TANH", "i16"): (1 / 32768, 0),
    ("SOFTMAX", "u8"): (1 / 256, 0), ("SOFTMAX", "i8"): (1 / 256, -128),
    ("SOFTMAX", "i16"): (1 / 32768, 0),
    ("LOG_SOFTMAX", "u8"): (16 / 256, 255), ("LOG_SOFTMAX", "i8"): (16 / 256, 127),
    ("L2_NORMALIZATION", "u8"): (1 / 128, 128), ("L2_NORMALIZATION", "i8"): (1 / 128, 0),
}


def _fixed(op, type_name):
    scale, zero = FIXED[op, type_name]
    return Quant([scale], [zero])


@group("activations", "RELU", "f32", 12, "RELU")
@group("activations", "RELU6", "f32", 12, "RELU6")
@group("activations", "RELU_N1_TO_1", "f32", 12, "RELU_N1_TO_1")
@group("activations", "RELU_0_TO_1", "f32", 12, "RELU_0_TO_1")
@group("activations", "LOGISTIC", "f32", 20, "LOGISTIC")
@group("activations", "TANH", "f32", 20, "TANH")
@group("activations", "HARD_SWISH", "f32", 15, "HARD_SWISH")
@group("activations", "ELU", "f32", 15, "ELU")
@group("activations", "LEAKY_RELU", "f32", 15, "LEAKY_RELU")
@group("activations", "GELU", "f32", 25, "GELU")
def float_in_float_out(draw, index, op):
    """Floats; in the last but one case also what is no number."""
    options = {}
    if op == "LEAKY_RELU":
        options["alpha"] = draw.uniform(-0.5, 2.0)
    if op == "GELU":
        options["approximate"] = draw.chance(50)
    tensor = draw.input("f32", draw.shape(0, 5), None, -9.0, 9.0)
    if index == 10:
        special = [math.inf, -math.inf, math.nan, 0.0, -0.0, 100.0, -100.0]
        tensor = Tensor("f32", (7,), feed=[pack("f32", special)])
    return Case(op, [tensor], [Tensor("f32")], options)


@group("activations", "RELU", "u8", 20, "RELU", "u8")
@group("activations", "RELU", "i8", 25, "RELU", "i8")
@group("activations", "RELU", "i16", 20, "RELU", "i16")
@group("activations", "RELU6", "u8", 20, "RELU6", "u8")
@group("activations", "RELU6", "i8", 25, "RELU6", "i8")
@group("activations", "RELU6", "i16", 20, "RELU6", "i16")
@group("activations", "RELU_N1_TO_1", "u8", 15, "RELU_N1_TO_1", "u8")
@group("activations", "RELU_N1_TO_1", "i8", 20, "RELU_N1_TO_1", "i8")
@group("activations", "RELU_0_TO_1", "u8", 15, "RELU_0_TO_1", "u8")
@group("activations", "RELU_0_TO_1", "i8", 20, "RELU_0_TO_1", "i8")
@group("activations", "HARD_SWISH", "u8", 30, "HARD_SWISH", "u8")
@group("activations", "HARD_SWISH", "i8", 40, "HARD_SWISH", "i8")
@group("activations", "ELU", "i8", 30, "ELU", "i8")
@group("activations", "GELU", "i16", 10, "GELU", "i16")
@group("activations", "GELU", "u8", 25, "GELU", "u8")
@group("activations", "GELU", "i8", 30, "GELU", "i8")
@group("activations", "LEAKY_RELU", "u8", 30, "LEAKY_RELU", "u8")
@group("activations", "LEAKY_RELU", "i8", 40, "LEAKY_RELU", "i8")
@group("activations", "LEAKY_RELU", "i16", 25, "LEAKY_RELU", "i16")
def rescaled(draw, _, op, type_name):
    """Quantized functions whose output has a scale near the input's, at times far from it."""
    source = draw.quant(type_name, -8, -3)
    fit = draw.uniform(0.3, 2.0) if draw.chance(85) else draw.pick(0.02, 25.0)
    out = Quant([source.scale * fit], [draw.zero_point(type_name)])
    options = {}
    if op == "LEAKY_RELU":
        options["alpha"] = draw.pick(draw.uniform(0.0, 1.0), draw.uniform(-1.0, 3.0))
    if op == "GELU":
        options["approximate"] = draw.chance(50)
    return Case(op, [draw.input(type_name, draw.shape(0, 4), source)],
                [Tensor(type_name, (), out)], options)


@group("activations", "LOGISTIC", "u8", 30, "LOGISTIC", "u8")
@group("activations", "LOGISTIC", "i8", 40, "LOGISTIC", "i8")
@group("activations", "TANH", "u8", 30, "TANH", "u8")
@group("activations", "TANH", "i8", 40, "TANH", "i8")
def squashed(draw, _, op, type_name):
    """Eight bits through a sigmoid or hyperbolic tangent."""
    source = draw.quant(type_name, -8, -3)
    return Case(op, [draw.input(type_name, draw.shape(0, 4), source)],
                [Tensor(type_name, (), _fixed(op, type_name))])


@group("activations", "LOGISTIC", "i16", 30, "LOGISTIC")
@group("activations", "TANH", "i16", 30, "TANH")
def squashed_i16(draw, index, op):
    """Sixteen bits: scales of a power of two times one or three have kernels without a rescale."""
    scale = draw.scale(-14, -10)
    if index % 3 == 0:
        scale = math.ldexp(1.0, draw.int(-13, -10))
    elif index % 3 == 1:
        scale = 3 * math.ldexp(1.0, draw.int(-15, -13))
    return Case(op, [draw.input("i16", draw.shape(0, 4), Quant([scale], [0]))],
                [Tensor("i16", (), _fixed(op, "i16"))])


@group("activations", "SOFTMAX", "u8", 40, "SOFTMAX", "u8", "u8")
@group("activations", "SOFTMAX", "i8", 60, "SOFTMAX", "i8", "i8")
@group("activations", "SOFTMAX", "i16", 30, "SOFTMAX", "i16", "i16")
@group("activations", "SOFTMAX", "i8i16", 30, "SOFTMAX", "i8", "i16")
@group("activations", "SOFTMAX", "u8i16", 15, "SOFTMAX", "u8", "i16")
@group("activations", "LOG_SOFTMAX", "u8", 30, "LOG_SOFTMAX", "u8", "u8")
@group("activations", "LOG_SOFTMAX", "i8", 40, "LOG_SOFTMAX", "i8", "i8")
def softmax_quantized(draw, _, op, type_name, out_type):
    """Softmaxes over the last dimension."""
    source = draw.quant(type_name, -8, -2) if type_name != "i16" else draw.quant("i16", -14, -9)
    options = {"beta": draw.pick(1.0, 1.0, draw.uniform(0.1, 3.0))} if op == "SOFTMAX" else {}
    shape = draw.shape(1, 4, 240, 24)
    return Case(op, [draw.input(type_name, shape, source)],
                [Tensor(out_type, (), _fixed(op, out_type))], options)


@group("activations", "SOFTMAX", "f32", 25, "SOFTMAX")
@group("activations", "LOG_SOFTMAX", "f32", 25, "LOG_SOFTMAX")
def softmax_float(draw, _, op):
    """Softmaxes of floats."""
    options = {"beta": draw.pick(1.0, 1.0, draw.uniform(0.1, 3.0))} if op == "SOFTMAX" else {}
    return Case(op, [draw.input("f32", draw.shape(1, 4, 240, 24))], [Tensor("f32")], options)


@group("activations", "PRELU", "f32", 25)
def prelu_float(draw, _):
    """A slope an element, broadcast."""
    shape, slopes = _prelu_shapes(draw)
    return Case("PRELU", [draw.input("f32", shape), draw.const("f32", slopes)], [Tensor("f32")])


@group("activations", "PRELU", "u8", 30, "u8", "u8")
@group("activations", "PRELU", "i8", 40, "i8", "i8")
@group("activations", "PRELU", "i16", 20, "i16", "i8")
def prelu_quantized(draw, _, type_name, slope_type):
    """Quantized slopes."""
    shape, slopes = _prelu_shapes(draw)
    source = draw.quant(type_name, -8, -3)
    slope = Quant([draw.scale(-10, -6)], [draw.zero_point(slope_type)])
    fit = draw.uniform(0.3, 2.0) if draw.chance(85) else draw.pick(0.02, 25.0)
    out = Quant([source.scale * fit], [draw.zero_point(type_name)])
    return Case("PRELU", [draw.input(type_name, shape, source),
                          draw.const(slope_type, slopes, slope)], [Tensor(type_name, (), out)])


def _prelu_shapes(draw):
    shape = draw.shape(1, 4)
    slopes = [size if draw.chance(60) else 1 for size in shape]
    return shape, slopes[draw.below(len(shape)) if draw.chance(50) else 0:]


@group("activations", "L2_NORMALIZATION", "f32", 20, "f32")
@group("activations", "L2_NORMALIZATION", "u8", 30, "u8")
@group("activations", "L2_NORMALIZATION", "i8", 30, "i8")
def l2_normalization(draw, _, type_name):
    """Each row over its length."""
    out = None if type_name == "f32" else _fixed("L2_NORMALIZATION", type_name)
    return Case("L2_NORMALIZATION",
                [draw.input(type_name, draw.shape(2, 4, 240, 12), draw.quant(type_name))],
                [Tensor(type_name, (), out)], {"activation": "NONE"})


@group("activations", "LOCAL_RESPONSE_NORMALIZATION", "f32", 30)
def local_response_normalization(draw, _):
    """Each channel over what its neighbours have."""
    options = {"radius": draw.int(0, 5), "bias": draw.uniform(0.5, 2.0),
               "alpha": draw.uniform(0.01, 1.0), "beta": draw.pick(0.5, 0.75, 1.0)}
    return Case("LOCAL_RESPONSE_NORMALIZATION",
                [draw.input("f32", draw.shape(4, 4, 240, 9))], [Tensor("f32")], options)




@group("activations", "LOGISTIC", "f16", 6, "LOGISTIC")
@group("activations", "TANH", "f16", 6, "TANH")
@group("activations", "SOFTMAX", "f16", 6, "SOFTMAX")
def half_in_half_out(draw, _, op):
    """Halves."""
    return Case(op, [draw.input("f16", draw.shape(1, 4, 60), None, -9.0, 9.0)], [Tensor("f16")],
                {"beta": 1.0} if op == "SOFTMAX" else {})
