"""Reductions over some dimensions, and running sums."""

from case import INT_RANGES, Case, Quant, Tensor, each_type, elements, group


def _axes(draw, rank):
    """Axes to reduce: any order, from the front or the end, at times one twice, or all."""
    if rank == 0:
        return draw.ints_tensor([])
    count = draw.int(1, rank)
    axes = draw.shuffled(range(rank))[:count]
    axes = [axis - rank if draw.chance(35) else axis for axis in axes]
    if draw.chance(10):
        axes.append(axes[0])
    shape = () if len(axes) == 1 and draw.chance(30) else None
    return draw.ints_tensor(axes, "i32", shape)


def _case(draw, op, type_name, shape, quants=(None, None), low=None, high=None):
    return Case(op, [draw.input(type_name, shape, quants[0], low, high), _axes(draw, len(shape))],
                [Tensor(type_name, (), quants[1])], {"keep_dims": draw.chance(50)})


@each_type("reduce", "MEAN", 45, "u8", "i8", "i16")
@each_type("reduce", "SUM", 40, "u8", "i8", "i16")
def mean_quantized(draw, _, op, type_name):
    """Means and sums, rescaled or not."""
    shape = draw.shape(1, 5, 300, 9)
    source = draw.quant(type_name)
    fit = draw.uniform(0.2, 2.0) * (elements(shape) ** 0.5 if op == "SUM" else 1)
    if draw.chance(10):
        fit = draw.pick(0.01, 60.0)
    out = source if draw.chance(30) else Quant([source.scale * fit], [draw.zero_point(type_name)])
    return _case(draw, op, type_name, shape, (source, out))


@each_type("reduce", "MEAN", 25, "f32", "i32", "i64")
@each_type("reduce", "SUM", 25, "f32", "i32", "i64")
def mean_plain(draw, _, op, type_name):
    """Means and sums of floats and integers; division truncates."""
    low, high = (0.0, 4.0) if type_name == "f32" else (-100000, 100000)
    return _case(draw, op, type_name, draw.shape(1, 5, 300, 9), low=low, high=high)


@each_type("reduce", "REDUCE_PROD", 20, "f32", "i32", "i64")
def prod_plain(draw, _, op, type_name):
    """Products that stay in range."""
    low, high = (0.5, 1.5) if type_name == "f32" else (-2, 3)
    return _case(draw, op, type_name, draw.shape(1, 4, 60, 4), low=low, high=high)


@each_type("reduce", "REDUCE_PROD", 25, "i8", "i16")
def prod_quantized(draw, _, op, type_name):
    """Products of quantized values; the scale to the power of how many there are."""
    shape = draw.shape(1, 4, 36, 4)
    span = INT_RANGES[type_name][1]
    source = Quant([draw.uniform(0.5, 4.0) / span], [draw.zero_point(type_name)])
    out = Quant([draw.uniform(0.5, 8.0) / span], [draw.zero_point(type_name)])
    return _case(draw, op, type_name, shape, (source, out))


@each_type("reduce", "REDUCE_MAX", 20, "f32", "i32", "i64", "u8", "i8", "i16")
@each_type("reduce", "REDUCE_MIN", 20, "f32", "i32", "i64", "u8", "i8", "i16")
def extremes(draw, _, op, type_name):
    """The largest or smallest; the quantization stays."""
    quant = draw.quant(type_name)
    return _case(draw, op, type_name, draw.shape(1, 5, 300, 9), (quant, quant))


@each_type("reduce", "REDUCE_ANY", 25, "bool")
@each_type("reduce", "REDUCE_ALL", 25, "bool")
def bools(draw, _, op, type_name):
    """Whether any or all are true."""
    return _case(draw, op, type_name, draw.shape(1, 5, 300, 9))


@each_type("reduce", "CUMSUM", 30, "f32", "i32", "i64")
def cumsum(draw, _, op, type_name):
    """Running sums, forward and backward, with and without the element itself."""
    shape = draw.shape(1, 5, 250, 12)
    axis = draw.int(-len(shape), len(shape) - 1)
    low, high = (0.0, 4.0) if type_name == "f32" else (-100000, 100000)
    return Case(op, [draw.input(type_name, shape, None, low, high),
                     draw.ints_tensor([axis], "i32", draw.pick((), (1,)))], [Tensor(type_name)],
                {"exclusive": draw.chance(50), "reverse": draw.chance(50)})


@group("reduce", "MEAN", "i8.rows", 30, "i8")
@group("reduce", "MEAN", "u8.rows", 20, "u8")
@group("reduce", "MEAN", "i16.rows", 20, "i16")
@group("reduce", "MEAN", "f32.rows", 15, "f32")
def mean_of_picture(draw, _, type_name):
    """The mean over height and width, which has a kernel of its own."""
    shape = [draw.int(1, 3), draw.int(1, 8), draw.int(1, 8), draw.pick(1, 3, 8, 16, 17)]
    source = draw.quant(type_name)
    out = source and Quant([source.scale * draw.uniform(0.3, 1.5)], [draw.zero_point(type_name)])
    axes = draw.shuffled([1, 2])
    return Case("MEAN", [draw.input(type_name, shape, source), draw.ints_tensor(axes)],
                [Tensor(type_name, (), out)], {"keep_dims": draw.chance(60)})
