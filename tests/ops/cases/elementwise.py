"""Operators of two tensors that broadcast, and of one, element by element."""

import math

from case import FLOATS, INT_RANGES, Case, Quant, Tensor, each_type, f32, group, pack


def _fit(draw, scale, type_name):
    """An output's quantization that mostly fits values `scale` large, at times not at all."""
    fit = draw.uniform(0.2, 3.0) if draw.chance(85) else draw.pick(1e-3, 0.02, 30.0, 500.0)
    return Quant([max(scale * fit, 1e-8)], [draw.zero_point(type_name)])


def _pair(draw, type_name, quants=(None, None), low=None, high=None, max_rank=6):
    """Two inputs that broadcast; one of them may be constant, or both be the same tensor."""
    left, right = draw.broadcast(max_rank)
    constant = draw.below(6)
    first = draw.either(100 * (constant == 0), type_name, left, quants[0], low, high)
    if left == right and quants[0] is quants[1] and draw.chance(10):
        return [first, first]
    return [first, draw.either(100 * (constant in (1, 2)), type_name, right, quants[1], low, high)]


@group("elementwise", "ADD", "u8", 60, "ADD", "u8")
@group("elementwise", "ADD", "i8", 80, "ADD", "i8")
@group("elementwise", "ADD", "i16", 30, "ADD", "i16")
@group("elementwise", "SUB", "u8", 40, "SUB", "u8")
@group("elementwise", "SUB", "i8", 60, "SUB", "i8")
@group("elementwise", "SUB", "i16", 30, "SUB", "i16")
def add_quantized(draw, _, op, type_name):
    """Sums and differences; scales of the inputs are alike mostly."""
    left, right = draw.quant(type_name), draw.quant(type_name)
    if draw.chance(80):
        right = Quant([left.scale * draw.uniform(0.1, 5.0)], right.zero_points)
    out = _fit(draw, max(left.scale, right.scale), type_name)
    options = {"activation": draw.activation(), "pot_scale_int16": draw.chance(50)}
    return Case(op, _pair(draw, type_name, (left, right)), [Tensor(type_name, (), out)], options)


@group("elementwise", "ADD", "i16.pot", 30, "ADD")
@group("elementwise", "SUB", "i16.pot", 20, "SUB")
def add_powers_of_two(draw, _, op):
    """int16 with scales that are powers of two, which has a kernel of its own; ADD's does not
    broadcast."""
    out = draw.int(-14, -4)
    scales = [math.ldexp(1.0, out), math.ldexp(1.0, out - draw.int(0, 6))]
    left, right = (Quant([scale], [0]) for scale in draw.shuffled(scales))
    options = {"activation": draw.activation(), "pot_scale_int16": True}
    inputs = _pair(draw, "i16", (left, right))
    if op == "ADD":
        shape = draw.shape(1, 5)
        inputs = [draw.input("i16", shape, left), draw.input("i16", shape, right)]
    return Case(op, inputs,
                [Tensor("i16", (), Quant([math.ldexp(1.0, out)], [0]))], options)


@group("elementwise", "MUL", "u8", 50, "u8")
@group("elementwise", "MUL", "i8", 70, "i8")
@group("elementwise", "MUL", "i16", 40, "i16")
def mul_quantized(draw, _, type_name):
    """Products."""
    left, right = draw.quant(type_name), draw.quant(type_name)
    span = INT_RANGES[type_name][1] / 2
    out = _fit(draw, left.scale * right.scale * span, type_name)
    return Case("MUL", _pair(draw, type_name, (left, right)), [Tensor(type_name, (), out)],
                {"activation": draw.activation()})


@group("elementwise", "MUL", "far.u8", 8, "u8")
@group("elementwise", "MUL", "far.i8", 8, "i8")
def mul_far(draw, _, type_name):
    """Products whose output has a scale that was never learnt: factors beyond all shifts."""
    left, right = draw.quant(type_name), draw.quant(type_name)
    out = Quant([draw.scale(-110, -30)], [draw.zero_point(type_name)])
    return Case("MUL", _pair(draw, type_name, (left, right)), [Tensor(type_name, (), out)],
                {"activation": "NONE"})


@group("elementwise", "ADD", "f16", 10, "ADD", "f16")
@group("elementwise", "MUL", "f16", 10, "MUL", "f16")
@group("elementwise", "MUL", "u32", 15, "MUL", "u32")
@group("elementwise", "ADD", "f32", 30, "ADD", "f32")
@group("elementwise", "ADD", "i32", 25, "ADD", "i32")
@group("elementwise", "ADD", "i64", 20, "ADD", "i64")
@group("elementwise", "SUB", "f32", 25, "SUB", "f32")
@group("elementwise", "SUB", "i32", 20, "SUB", "i32")
@group("elementwise", "SUB", "i64", 15, "SUB", "i64")
@group("elementwise", "MUL", "f32", 30, "MUL", "f32")
@group("elementwise", "MUL", "i32", 20, "MUL", "i32")
@group("elementwise", "MUL", "i64", 15, "MUL", "i64")
@group("elementwise", "DIV", "f32", 30, "DIV", "f32")
def arithmetic_plain(draw, _, op, type_name):
    """Floats and integers that are not quantized, with activations."""
    low, high = (None, None) if type_name in FLOATS or draw.chance(20) else (-1000, 1000)
    if type_name == "u32":
        low, high = 0, 60000
    activation = draw.activation(*(("NONE",) if type_name in ("f16", "u32") else ()))
    return Case(op, _pair(draw, type_name, low=low, high=high), [Tensor(type_name)],
                {"activation": activation})


def _without_zero(draw, type_name, shape, quant=None, low=None, high=None):
    """A tensor without a value that stands for zero."""
    if low is None:
        low, high = INT_RANGES[type_name]
    zero = quant.zero_points[0] if quant else 0
    numbers = [zero + 1 if number == zero else number
               for number in draw.ints(type_name, math.prod(shape), low, high - 1)]
    if zero == INT_RANGES[type_name][1]:
        numbers = [min(number, zero - 1) for number in numbers]
    data = pack(type_name, numbers)
    if draw.chance(30):
        return Tensor(type_name, shape, quant, data=data)
    return Tensor(type_name, shape, quant, feed=[data])


@group("elementwise", "DIV", "u8", 30, "u8")
@group("elementwise", "DIV", "i8", 30, "i8")
@group("elementwise", "DIV", "i16", 20, "i16")
def div_quantized(draw, _, type_name):
    """Quotients."""
    first, second = draw.broadcast(5)
    left, right = draw.quant(type_name), draw.quant(type_name)
    out = _fit(draw, left.scale / right.scale / 20, type_name)
    return Case("DIV", [draw.input(type_name, first, left),
                        _without_zero(draw, type_name, second, right)],
                [Tensor(type_name, (), out)], {"activation": draw.activation()})


@group("elementwise", "DIV", "i32", 20, "DIV", "i32")
@group("elementwise", "FLOOR_DIV", "i32", 25, "FLOOR_DIV", "i32")
@group("elementwise", "FLOOR_DIV", "i8", 15, "FLOOR_DIV", "i8")
@group("elementwise", "FLOOR_DIV", "i16", 15, "FLOOR_DIV", "i16")
@group("elementwise", "FLOOR_MOD", "i32", 25, "FLOOR_MOD", "i32")
@group("elementwise", "FLOOR_MOD", "i64", 20, "FLOOR_MOD", "i64")
@group("elementwise", "FLOOR_MOD", "i8", 15, "FLOOR_MOD", "i8")
@group("elementwise", "FLOOR_MOD", "i16", 15, "FLOOR_MOD", "i16")
def div_plain(draw, _, op, type_name):
    """Integer quotients and remainders of all signs, never by zero. The least number divided by
    minus one has no quotient, so it does not occur."""
    first, second = draw.broadcast(5 if op == "DIV" else 4)
    low, high = draw.pick(INT_RANGES[type_name], (-100, 100), (-9, 9))
    return Case(op, [draw.input(type_name, first, None, low + 1, high),
                     _without_zero(draw, type_name, second, None, low, high)],
                [Tensor(type_name)], {"activation": draw.activation()} if op == "DIV" else {})


@group("elementwise", "FLOOR_DIV", "f32", 20, "FLOOR_DIV")
@group("elementwise", "FLOOR_MOD", "f32", 20, "FLOOR_MOD")
def floor_float(draw, _, op):
    """Float quotients rounded down and what they leave."""
    left, right = draw.broadcast(4)
    sign = draw.pick(-1, 1)
    low, high = sorted((sign * 0.25, sign * 3.0))
    divisor = Tensor("f32", right, feed=[pack("f32", [draw.uniform(low, high)
                                                      for _ in range(math.prod(right))])])
    return Case(op, [draw.input("f32", left, None, -20.0, 20.0), divisor], [Tensor("f32")])


@group("elementwise", "MAXIMUM", "f32", 25, "MAXIMUM", "f32")
@group("elementwise", "MAXIMUM", "f16", 10, "MAXIMUM", "f16")
@group("elementwise", "MINIMUM", "f16", 10, "MINIMUM", "f16")
@group("elementwise", "MAXIMUM", "u8", 20, "MAXIMUM", "u8")
@group("elementwise", "MAXIMUM", "i8", 25, "MAXIMUM", "i8")
@group("elementwise", "MAXIMUM", "i16", 20, "MAXIMUM", "i16")
@group("elementwise", "MAXIMUM", "i32", 20, "MAXIMUM", "i32")
@group("elementwise", "MAXIMUM", "i64", 15, "MAXIMUM", "i64")
@group("elementwise", "MINIMUM", "f32", 25, "MINIMUM", "f32")
@group("elementwise", "MINIMUM", "u8", 20, "MINIMUM", "u8")
@group("elementwise", "MINIMUM", "i8", 25, "MINIMUM", "i8")
@group("elementwise", "MINIMUM", "i16", 20, "MINIMUM", "i16")
@group("elementwise", "MINIMUM", "i32", 20, "MINIMUM", "i32")
@group("elementwise", "MINIMUM", "i64", 15, "MINIMUM", "i64")
def extremes(draw, _, op, type_name):
    """The larger or smaller of two; all tensors have one quantization."""
    quant = draw.quant(type_name)
    return Case(op, _pair(draw, type_name, (quant, quant)), [Tensor(type_name, (), quant)])


@group("elementwise", "SQUARED_DIFFERENCE", "i8", 40)
def squared_difference_quantized(draw, _):
    """int8 differences, squared."""
    left = draw.quant("i8")
    right = Quant([left.scale * draw.uniform(0.2, 4.0)], [draw.zero_point("i8")])
    larger = max(left.scale, right.scale)
    out = _fit(draw, larger * larger * 60, "i8")
    return Case("SQUARED_DIFFERENCE", _pair(draw, "i8", (left, right), max_rank=4),
                [Tensor("i8", (), out)])


@group("elementwise", "SQUARED_DIFFERENCE", "f32", 25, "f32")
@group("elementwise", "SQUARED_DIFFERENCE", "i32", 20, "i32")
def squared_difference_plain(draw, _, type_name):
    """Floats and integers."""
    low, high = (None, None) if type_name == "f32" else (-30000, 15000)
    return Case("SQUARED_DIFFERENCE", _pair(draw, type_name, low=low, high=high, max_rank=4),
                [Tensor(type_name)])


@group("elementwise", "POW", "f32", 25)
def pow_float(draw, _):
    """Powers of positive floats."""
    left, right = draw.broadcast(4)
    return Case("POW", [draw.input("f32", left, None, 0.1, 5.0),
                        draw.either(40, "f32", right, None, -3.0, 3.0)], [Tensor("f32")])


@group("elementwise", "POW", "i32", 20)
def pow_int(draw, _):
    """Powers of integers that stay in range."""
    left, right = draw.broadcast(4)
    return Case("POW", [draw.input("i32", left, None, -8, 8),
                        draw.either(40, "i32", right, None, 0, 7)], [Tensor("i32")])


@group("elementwise", "ADD_N", "f32", 20, "f32")
@group("elementwise", "ADD_N", "i32", 20, "i32")
def add_n(draw, _, type_name):
    """Sums of several tensors of one shape."""
    shape = draw.shape(0, 4)
    low, high = (None, None) if type_name == "f32" else (-100000, 100000)
    inputs = [draw.input(type_name, shape, None, low, high) for _ in range(draw.int(2, 5))]
    return Case("ADD_N", inputs, [Tensor(type_name)])


RANGES = {"LOG": (0.01, 30.0), "SQRT": (0.0, 50.0), "RSQRT": (0.01, 50.0), "SIN": (-12.0, 12.0),
          "COS": (-12.0, 12.0), "FLOOR": (-9.0, 9.0), "CEIL": (-9.0, 9.0), "ROUND": (-9.0, 9.0)}


@group("elementwise", "ABS", "f32", 15, "ABS")
@group("elementwise", "NEG", "f32", 15, "NEG")
@group("elementwise", "EXP", "f32", 15, "EXP")
@group("elementwise", "LOG", "f32", 15, "LOG")
@group("elementwise", "SQRT", "f32", 15, "SQRT")
@group("elementwise", "RSQRT", "f32", 15, "RSQRT")
@group("elementwise", "SIN", "f32", 20, "SIN")
@group("elementwise", "COS", "f32", 20, "COS")
@group("elementwise", "SQUARE", "f32", 15, "SQUARE")
@group("elementwise", "SIGN", "f32", 15, "SIGN")
@group("elementwise", "FLOOR", "f32", 15, "FLOOR")
@group("elementwise", "CEIL", "f32", 15, "CEIL")
@group("elementwise", "ROUND", "f32", 25, "ROUND")
def unary_float(draw, index, op):
    """One float in, one out; halves for ROUND; in the last case what is no number."""
    shape = draw.shape(0, 5)
    low, high = RANGES.get(op, (-5.0, 5.0))
    tensor = draw.input("f32", shape, None, low, high)
    if op == "ROUND" and index % 3 == 0:
        count = math.prod(shape)
        tensor.feed = [pack("f32", [draw.int(-12, 12) / 2 for _ in range(count)])]
    if index == 14 and op not in ("SIN", "COS"):
        shape = (6,)
        tensor = Tensor("f32", shape, feed=[pack("f32", [math.inf, -math.inf, math.nan, 0.0,
                                                         -0.0, f32(3e38)])])
    return Case(op, [tensor], [Tensor("f32")])


@group("elementwise", "NEG", "i8", 10, "NEG", "i8")
@group("elementwise", "NEG", "i16", 10, "NEG", "i16")
@group("elementwise", "SIGN", "i32", 10, "SIGN", "i32")
@group("elementwise", "ABS", "i32", 15, "ABS", "i32")
@group("elementwise", "NEG", "i32", 15, "NEG", "i32")
@group("elementwise", "NEG", "i64", 15, "NEG", "i64")
def unary_int(draw, _, op, type_name):
    """Integers; the least one has no opposite, so it does not occur."""
    low, high = INT_RANGES[type_name]
    return Case(op, [draw.input(type_name, draw.shape(0, 5), None, low + 1, high)],
                [Tensor(type_name)])


@group("elementwise", "ABS", "i8", 25, "i8")
@group("elementwise", "ABS", "i16", 25, "i16")
def abs_quantized(draw, _, type_name):
    """Magnitudes, rescaled if the output's scale is another."""
    source = draw.quant(type_name)
    out = source if draw.chance(30) else _fit(draw, source.scale, type_name)
    return Case("ABS", [draw.input(type_name, draw.shape(), source)], [Tensor(type_name, (), out)])


@group("elementwise", "EXP", "i8", 25, "EXP", "i8")
@group("elementwise", "EXP", "i16", 25, "EXP", "i16")
def exp_quantized(draw, _, op, type_name):
    """Exponentials by lookup table."""
    source = draw.quant(type_name, -12 if type_name == "i16" else -6, -9 if type_name == "i16"
                        else -4)
    out = Quant([draw.scale(-14, -10) if type_name == "i16" else draw.scale(-6, -1)],
                [draw.zero_point(type_name)])
    return Case(op, [draw.input(type_name, draw.shape(), source)], [Tensor(type_name, (), out)])


@group("elementwise", "LOG", "i16", 15, "LOG", "i16")
@group("elementwise", "SQRT", "i16", 15, "SQRT", "i16")
@group("elementwise", "LOG", "i8", 20, "LOG", "i8")
@group("elementwise", "SQRT", "i8", 20, "SQRT", "i8")
@group("elementwise", "RSQRT", "i8", 25, "RSQRT", "i8")
@group("elementwise", "RSQRT", "i16", 20, "RSQRT", "i16")
def root_quantized(draw, _, op, type_name):
    """Inputs keep to where the function has a value: at or above the zero point."""
    low, high = INT_RANGES[type_name]
    zero = 0 if type_name == "i16" else draw.pick(low, low, draw.int(low, 20))
    source = Quant([draw.scale()], [zero])
    above = zero if op == "SQRT" else zero + 1
    out = Quant([draw.scale(-6, -2)], [draw.zero_point(type_name)])
    return Case(op, [draw.input(type_name, draw.shape(), source, above, high)],
                [Tensor(type_name, (), out)])


@group("elementwise", "NEG", "f16", 6, "NEG")
@group("elementwise", "SIN", "f16", 6, "SIN")
@group("elementwise", "COS", "f16", 6, "COS")
@group("elementwise", "FLOOR", "f16", 6, "FLOOR")
@group("elementwise", "ROUND", "f16", 6, "ROUND")
def unary_half(draw, _, op):
    """One half in, one out."""
    return Case(op, [draw.input("f16", draw.shape(0, 4, 60), None, -9.0, 9.0)], [Tensor("f16")])


@group("elementwise", "ATAN2", "f32", 15)
def atan2(draw, _):
    """The angle of two floats; the shapes must be the same."""
    shape = draw.shape(0, 4)
    return Case("ATAN2", [draw.input("f32", shape), draw.input("f32", shape)], [Tensor("f32")])


@each_type("elementwise", "BITWISE_XOR", 8, "u8", "i8", "u16", "i16", "u32", "i32")
def bitwise_xor(draw, _, op, type_name):
    """Bits that differ."""
    return Case(op, _pair(draw, type_name, max_rank=4), [Tensor(type_name)])


@each_type("elementwise", "RIGHT_SHIFT", 8, "u8", "i8", "u16", "i16", "u32", "i32")
def right_shift(draw, _, op, type_name):
    """Bits to the right, at times too far."""
    left, right = draw.broadcast(4)
    return Case(op, [draw.input(type_name, left), draw.input(type_name, right, None, 0, 40)],
                [Tensor(type_name)])
