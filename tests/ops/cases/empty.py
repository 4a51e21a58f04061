"""Tensors without elements, where LiteRT takes them."""

from case import Case, Tensor, group, values


def _each_type(op, count, *types):
    def register(function):
        for type_name in types:
            group("empty", op, f"empty.{type_name}", count, op, type_name)(function)
        return function
    return register


def _empty(draw, min_rank=1, max_rank=4):
    """A shape with a zero in it."""
    shape = draw.shape(min_rank, max_rank, 60, 4)
    shape[draw.below(len(shape))] = 0
    return shape


@_each_type("ADD", 4, "f32", "i8", "i32")
@_each_type("MUL", 4, "f32", "i8", "i32")
@_each_type("SUB", 4, "f32", "i8", "i32")
@_each_type("MAXIMUM", 4, "f32", "i8", "i32")
def two(draw, _, op, type_name):
    """Nothing and nothing, or one element."""
    shape, quant = _empty(draw), draw.quant(type_name)
    other = [1] * len(shape) if draw.chance(40) else shape
    options = {} if op == "MAXIMUM" else {"activation": "NONE"}
    return Case(op, [draw.input(type_name, shape, quant), draw.input(type_name, other, quant)],
                [Tensor(type_name, (), quant)], options)


@_each_type("RELU", 4, "f32", "i8")
@_each_type("LOGISTIC", 4, "f32")
@_each_type("ABS", 4, "f32")
@_each_type("EXP", 4, "f32")
@_each_type("ZEROS_LIKE", 4, "f32")
@_each_type("SHAPE", 4, "f32")
@_each_type("RANK", 4, "f32")
def one(draw, _, op, type_name):
    """A function of nothing."""
    quant = draw.quant(type_name)
    out = "i32" if op in ("SHAPE", "RANK") else type_name
    options = {"out_type": out} if op == "SHAPE" else {}
    return Case(op, [draw.input(type_name, _empty(draw), quant)], [Tensor(out, (), quant)], options)


@_each_type("RESHAPE", 4, "f32", "i8")
def reshape(draw, _, op, type_name):
    """Nothing in another shape."""
    shape, quant = _empty(draw), draw.quant(type_name)
    return Case(op, [draw.input(type_name, shape, quant),
                     draw.ints_tensor(draw.shuffled([0, draw.int(1, 5), draw.int(1, 3)]))],
                [Tensor(type_name, (), quant)])


@_each_type("TRANSPOSE", 4, "f32", "i8")
def transpose(draw, _, op, type_name):
    """Nothing turned."""
    shape, quant = _empty(draw), draw.quant(type_name)
    return Case(op, [draw.input(type_name, shape, quant),
                     draw.ints_tensor(draw.shuffled(range(len(shape))))],
                [Tensor(type_name, (), quant)])


@_each_type("CONCATENATION", 5, "f32", "i8", "i64")
def concatenation(draw, _, op, type_name):
    """Something and nothing."""
    shape, quant = draw.shape(1, 3, 60, 5), draw.quant(type_name)
    axis = draw.below(len(shape))
    parts = []
    for size in draw.shuffled([0, shape[axis], draw.int(0, 2)]):
        part = list(shape)
        part[axis] = size
        parts.append(draw.input(type_name, part, quant))
    return Case(op, parts, [Tensor(type_name, (), quant)], {"axis": axis, "activation": "NONE"})


@_each_type("SLICE", 5, "f32", "i8")
def take_slice(draw, _, op, type_name):
    """A box without content."""
    shape, quant = draw.shape(1, 4, 60, 5), draw.quant(type_name)
    sizes = list(shape)
    axis = draw.below(len(shape))
    sizes[axis] = 0
    begin = [0] * len(shape)
    begin[axis] = draw.below(shape[axis] + 1)
    return Case(op, [draw.input(type_name, shape, quant), draw.ints_tensor(begin, "i32", None, 100),
                     draw.ints_tensor(sizes, "i32", None, 100)], [Tensor(type_name, (), quant)])


@_each_type("STRIDED_SLICE", 5, "f32", "i8")
def strided_slice(draw, _, op, type_name):
    """From a place to one before it."""
    size, quant = draw.int(2, 6), draw.quant(type_name)
    first = draw.int(1, size - 1)
    return Case(op, [draw.input(type_name, (size, 3), quant), values("i32", first, 0),
                     values("i32", draw.below(first + 1), 3), values("i32", 1, 1)],
                [Tensor(type_name, (), quant)], {"begin_mask": 0})


@_each_type("GATHER", 4, "f32", "i8")
def gather(draw, _, op, type_name):
    """No indices."""
    shape, quant = draw.shape(1, 3, 60, 5), draw.quant(type_name)
    return Case(op, [draw.input(type_name, shape, quant), Tensor("i32", (0,), feed=[b""])],
                [Tensor(type_name, (), quant)], {"axis": 0, "batch_dims": 0})


@_each_type("SUM", 4, "f32", "i32")
@_each_type("REDUCE_PROD", 4, "f32", "i32")
@_each_type("REDUCE_MAX", 4, "f32", "i32")
@_each_type("REDUCE_MIN", 4, "f32", "i32")
@_each_type("REDUCE_ANY", 4, "bool")
@_each_type("REDUCE_ALL", 4, "bool")
def reduction(draw, _, op, type_name):
    """A reduction of nothing is what it starts from."""
    return Case(op, [draw.input(type_name, (draw.int(1, 4), 0, 3)),
                     draw.ints_tensor([draw.int(0, 2)])], [Tensor(type_name)],
                {"keep_dims": draw.chance(50)})


@_each_type("PAD", 4, "f32", "i8")
def pad(draw, _, op, type_name):
    """Only border."""
    quant = draw.quant(type_name)
    return Case(op, [draw.input(type_name, (0, draw.int(1, 3)), quant),
                     draw.ints_tensor([draw.int(0, 2), draw.int(1, 2), 0, 1], "i32", (2, 2))],
                [Tensor(type_name, (), quant)])


@_each_type("RANGE", 3, "i32")
def no_range(draw, *_):
    """From a number to itself."""
    number = draw.int(-9, 9)
    return Case("RANGE", [draw.ints_tensor([value], "i32", ()) for value in (number, number, 1)],
                [Tensor("i32")])


@_each_type("FILL", 3, "f32")
def no_fill(draw, *_):
    """Nothing filled."""
    return Case("FILL", [draw.ints_tensor([draw.int(1, 4), 0], "i32"), draw.input("f32", ())],
                [Tensor("f32")])


@_each_type("CAST", 3, "f32")
def cast(draw, _, op, type_name):
    """Nothing of another type."""
    return Case(op, [draw.input(type_name, _empty(draw))], [Tensor("i32")],
                {"in_type": type_name, "out_type": "i32"})


@_each_type("QUANTIZE", 3, "i8")
def quantize(draw, _, op, type_name):
    """Nothing quantized."""
    return Case(op, [draw.input("f32", _empty(draw))], [Tensor(type_name, (), draw.quant("i8"))])


@_each_type("DEQUANTIZE", 3, "i8")
def dequantize(draw, _, op, type_name):
    """Nothing dequantized."""
    return Case(op, [draw.input(type_name, _empty(draw), draw.quant("i8"))], [Tensor("f32")])


@_each_type("CONV_2D", 3, "f32")
def conv(draw, *_):
    """No pictures."""
    return Case("CONV_2D", [draw.input("f32", (0, 5, 5, 2)), draw.const("f32", (3, 2, 2, 2)),
                            draw.const("f32", (3,))], [Tensor("f32")],
                {"padding": "SAME", "stride_w": 1, "stride_h": 1})


@_each_type("FULLY_CONNECTED", 3, "f32")
def fully_connected(draw, *_):
    """No rows."""
    return Case("FULLY_CONNECTED", [draw.input("f32", (0, 4)), draw.const("f32", (3, 4)),
                                    draw.const("f32", (3,))], [Tensor("f32")])
