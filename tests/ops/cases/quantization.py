"""Conversions between types and scales."""

import math

from case import INT_RANGES, Case, Quant, Tensor, each_type, elements, group, pack


def _per_channel(draw, type_name, shape):
    axis = draw.below(len(shape))
    count = shape[axis]
    zeros = [draw.zero_point(type_name) for _ in range(count)]
    return Quant([draw.scale() for _ in range(count)], zeros, axis)


def _quant(draw, type_name, low=-9, high=-1):
    if type_name == "i32":
        return Quant([draw.scale(low - 8, high - 8)], [0])
    return draw.quant(type_name, low, high)


@each_type("quantization", "QUANTIZE", 40, "u8", "i8", "i16")
def quantize(draw, _, op, type_name):
    """Floats to integers: rounding at halves, saturation."""
    shape = draw.shape(0, 5)
    out = draw.quant(type_name)
    span = out.scale * (INT_RANGES[type_name][1] - INT_RANGES[type_name][0])
    tensor = draw.input("f32", shape, None, -1.2 * span, 1.2 * span)
    if draw.chance(30):
        out = Quant([math.ldexp(1.0, draw.int(-6, 1))], out.zero_points)
        halves = [draw.int(-300, 300) * out.scale / 2 for _ in range(elements(shape))]
        tensor = Tensor("f32", shape, feed=[pack("f32", halves)])
    return Case(op, [tensor], [Tensor(type_name, (), out)])


@group("quantization", "QUANTIZE", "channels.u8", 15, "u8")
@group("quantization", "QUANTIZE", "channels.i8", 20, "i8")
def quantize_channels(draw, _, type_name):
    """Floats to integers with a scale for each slice."""
    shape = draw.shape(1, 4)
    return Case("QUANTIZE", [draw.input("f32", shape)],
                [Tensor(type_name, shape, _per_channel(draw, type_name, shape))])


@group("quantization", "QUANTIZE", "u8u8", 20, "u8", "u8")
@group("quantization", "QUANTIZE", "u8i8", 25, "u8", "i8")
@group("quantization", "QUANTIZE", "i8u8", 25, "i8", "u8")
@group("quantization", "QUANTIZE", "i8i8", 30, "i8", "i8")
@group("quantization", "QUANTIZE", "i8i16", 20, "i8", "i16")
@group("quantization", "QUANTIZE", "i16i8", 20, "i16", "i8")
@group("quantization", "QUANTIZE", "i16i16", 20, "i16", "i16")
@group("quantization", "QUANTIZE", "i16i32", 15, "i16", "i32")
@group("quantization", "QUANTIZE", "i32i8", 15, "i32", "i8")
@group("quantization", "QUANTIZE", "i32i16", 15, "i32", "i16")
def requantize(draw, _, from_type, to_type):
    """From one scale to another, at times the same."""
    source = _quant(draw, from_type)
    fit = draw.pick(1.0, draw.uniform(0.2, 5.0), draw.uniform(0.01, 40.0))
    zero = 0 if to_type == "i32" else draw.zero_point(to_type)
    out = Quant([source.scale * fit], [zero])
    if {from_type, to_type} == {"u8", "i8"} and draw.chance(40):
        zero = source.zero_points[0] + (-128 if to_type == "i8" else 128)
        out = Quant([source.scale], [zero])  # only the sign bit changes
    low, high = (-40000, 40000) if from_type == "i32" else (None, None)
    return Case("QUANTIZE", [draw.input(from_type, draw.shape(0, 5), source, low, high)],
                [Tensor(to_type, (), out)])


@each_type("quantization", "DEQUANTIZE", 25, "u8", "i8", "i16", "f16")
def dequantize(draw, _, op, type_name):
    """Integers and halves to floats, of constants and inputs."""
    tensor = draw.either(30, type_name, draw.shape(0, 5), draw.quant(type_name))
    return Case(op, [tensor], [Tensor("f32")])


@group("quantization", "DEQUANTIZE", "i4", 15)
def dequantize_i4(draw, _):
    """Four bits, two elements a byte."""
    tensor = draw.const("i4", draw.shape(1, 4), Quant([draw.scale()], [0]))
    return Case("DEQUANTIZE", [tensor], [Tensor("f32")])


@group("quantization", "DEQUANTIZE", "channels.i8", 20, "i8")
@group("quantization", "DEQUANTIZE", "channels.u8", 15, "u8")
def dequantize_channels(draw, _, type_name):
    """With a scale for each slice."""
    shape = draw.shape(1, 4)
    quant = _per_channel(draw, type_name, shape)
    return Case("DEQUANTIZE", [draw.input(type_name, shape, quant)], [Tensor("f32")])


@group("quantization", "DEQUANTIZE", "f16.special", 3)
def dequantize_special(draw, index):
    """Every kind of half: subnormal, infinite, not a number."""
    bits = [(0x0001, 0x03FF, 0x0400, 0x8001), (0x7C00, 0xFC00, 0x7BFF, 0xFBFF),
            (0x7E00, 0x0000, 0x8000, draw.below(0x400))][index]
    return Case("DEQUANTIZE", [Tensor("f16", (4,), feed=[pack("u16", bits)])], [Tensor("f32")])


@each_type("quantization", "FAKE_QUANT", 40, "f32")
def fake_quant(draw, _, op, type_name):
    """Floats rounded to what a quantization could hold."""
    low = draw.uniform(-8.0, 0.5)
    options = {"min": low, "max": low + draw.uniform(0.5, 9.0), "num_bits": draw.pick(8, 8, 4, 16),
               "narrow_range": False}
    return Case(op, [draw.input(type_name, draw.shape(0, 4), None, -10.0, 10.0)],
                [Tensor(type_name)], options)


CAST_TYPES = ("f32", "f16", "i8", "u8", "i16", "u16", "i32", "u32", "i64", "bool")


def _cast_case(draw, from_type, to_type):
    low = high = None
    if from_type in ("f32", "f16"):
        low, high = (0.0, 100.0) if to_type in ("u8", "u16", "u32") else (-100.0, 100.0)
    elif to_type == "f16":
        low, high = max(INT_RANGES[from_type][0], -2000), min(INT_RANGES[from_type][1], 2000)
    return Case("CAST", [draw.input(from_type, draw.shape(0, 4, 60), None, low, high)],
                [Tensor(to_type)], {"in_type": from_type, "out_type": to_type})


def _register_casts():
    for from_type in CAST_TYPES:
        for to_type in CAST_TYPES:
            @group("quantization", "CAST", f"{from_type}.{to_type}", 3, from_type, to_type)
            def cast(draw, _, from_type, to_type):
                """From each type to each; integers wrap, floats stay where they have a value."""
                return _cast_case(draw, from_type, to_type)


_register_casts()
