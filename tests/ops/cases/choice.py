"""Comparisons, logic, and choices by them."""

from case import FLOATS, Case, Quant, Tensor, each_type, elements, group, pack


def _small(type_name):
    """A range in which two random values are often equal."""
    return (None, None) if type_name in ("bool",) else (-4, 4) if type_name != "u8" else (0, 8)


def _pair(draw, type_name, quants=(None, None), max_rank=4):
    left, right = draw.broadcast(max_rank)
    low, high = _small(type_name) if type_name not in FLOATS and draw.chance(60) else (None, None)
    tensors = [draw.either(15, type_name, left, quants[0], low, high),
               draw.input(type_name, right, quants[1], low, high)]
    if type_name in FLOATS and draw.chance(60):
        for tensor in tensors:
            whole = pack(type_name, [draw.int(-3, 3) for _ in range(elements(tensor.shape))])
            if tensor.feed:
                tensor.feed = [whole]
            else:
                tensor.data = whole
    return tensors


@each_type("choice", "EQUAL", 15, "f32", "i32", "i64", "i16", "bool", "f16")
@each_type("choice", "NOT_EQUAL", 15, "f32", "i32", "i64", "bool", "f16")
@each_type("choice", "GREATER", 15, "f32", "i32", "i64", "i16", "f16")
@each_type("choice", "GREATER_EQUAL", 15, "f32", "i32", "i64", "f16")
@each_type("choice", "LESS", 15, "f32", "i32", "i64", "i16", "f16")
@each_type("choice", "LESS_EQUAL", 15, "f32", "i32", "i64", "i16", "f16")
def compare_plain(draw, _, op, type_name):
    """Values that are not quantized."""
    return Case(op, _pair(draw, type_name), [Tensor("bool")])


@each_type("choice", "EQUAL", 20, "u8", "i8")
@each_type("choice", "NOT_EQUAL", 20, "u8", "i8")
@each_type("choice", "GREATER", 20, "u8", "i8")
@each_type("choice", "GREATER_EQUAL", 20, "u8", "i8", "i16")
@each_type("choice", "LESS", 20, "u8", "i8")
@each_type("choice", "LESS_EQUAL", 20, "u8", "i8")
def compare_quantized(draw, _, op, type_name):
    """Values of two quantizations, or of one."""
    left = draw.quant(type_name)
    right = left if draw.chance(40) else Quant([left.scale * draw.uniform(0.4, 2.5)],
                                               [draw.zero_point(type_name)])
    return Case(op, _pair(draw, type_name, (left, right)), [Tensor("bool")])


@each_type("choice", "LOGICAL_AND", 25, "bool")
@each_type("choice", "LOGICAL_OR", 25, "bool")
def logic(draw, _, op, type_name):
    """Two truths."""
    return Case(op, _pair(draw, type_name), [Tensor("bool")])


@each_type("choice", "LOGICAL_NOT", 15, "bool")
def logical_not(draw, _, op, type_name):
    """One truth."""
    return Case(op, [draw.input(type_name, draw.shape(0, 5))], [Tensor("bool")])


TYPES = ("f32", "u8", "i8", "i16", "i32", "i64", "bool")


@each_type("choice", "SELECT", 15, *TYPES, "u32", "u16", "f16")
def select(draw, _, op, type_name):
    """A condition of the same shape, of one element, or of the first dimension's."""
    shape = draw.shape(0, 4)
    condition = draw.pick(shape, shape, (), shape[:1])
    quant = draw.quant(type_name)
    return Case(op, [draw.input("bool", condition), draw.input(type_name, shape, quant),
                     draw.either(30, type_name, shape, quant)], [Tensor(type_name, (), quant)])


@each_type("choice", "SELECT_V2", 18, *TYPES, "u32", "u16", "f16")
def select_v2(draw, _, op, type_name):
    """All three broadcast."""
    left, right = draw.broadcast(4)
    rank = max(len(left), len(right))
    full = [max(left[i - rank + len(left)] if i >= rank - len(left) else 1,
                right[i - rank + len(right)] if i >= rank - len(right) else 1)
            for i in range(rank)]
    condition = [size if draw.chance(65) else 1 for size in full][draw.below(rank + 1)
                                                                  if draw.chance(30) else 0:]
    quant = draw.quant(type_name)
    return Case(op, [draw.input("bool", condition), draw.input(type_name, left, quant),
                     draw.either(30, type_name, right, quant)], [Tensor(type_name, (), quant)])


@each_type("choice", "WHERE", 20, "bool", "f32", "i8", "u8", "i32", "i64", "u32")
def where(draw, _, op, type_name):
    """Where the elements are that are not zero: a shape known when the values are."""
    shape = draw.shape(1, 4, 150)
    low, high = (None, None) if type_name == "bool" else (0, 1)
    tensor = draw.input(type_name, shape, None, low, high)
    if type_name == "f32":
        tensor.feed = [pack("f32", [draw.pick(0.0, 1.0, -0.0) for _ in range(elements(shape))])]
    return Case(op, [tensor], [Tensor("i64")])


@group("choice", "WHERE", "none", 3)
def where_nothing(draw, _):
    """Nothing is true: an output without elements."""
    shape = draw.shape(1, 4)
    return Case("WHERE", [Tensor("bool", shape, feed=[bytes(elements(shape))])], [Tensor("i64")])
