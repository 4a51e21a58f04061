"""Operators that give elements another place or shape and keep their values."""

from case import Case, Tensor, each_type, elements, group

MOST = ("f32", "f16", "u8", "i8", "i16", "i32", "i64", "bool")


def _case(draw, op, type_name, shape, more, options=None):
    """One data input, with other inputs behind it, and one output of the same quantization."""
    quant = draw.quant(type_name)
    return Case(op, [draw.input(type_name, shape, quant), *more], [Tensor(type_name, (), quant)],
                options)


def _regrouped(draw, shape):
    """Another shape of as many elements."""
    factors, count = [], elements(shape)
    for prime in (2, 3, 5, 7):
        while count % prime == 0:
            factors.append(prime)
            count //= prime
    target = [count] if count > 1 or not factors else []
    for factor in draw.shuffled(factors):
        if target and draw.chance(50):
            target[draw.below(len(target))] *= factor
        else:
            target.append(factor)
    if len(target) > 5:
        target[4:] = [elements(target[4:])]
    return target


@each_type("layout", "RESHAPE", 14, *MOST)
def reshape(draw, index, op, type_name):
    """A shape from the second input, or from the options, with one open dimension at times."""
    shape = draw.shape(0, 5)
    target = _regrouped(draw, shape)
    if draw.chance(40):
        target[draw.below(len(target))] = -1
    if index % 4 == 3:
        return _case(draw, op, type_name, shape, [], {"new_shape": target})
    return _case(draw, op, type_name, shape, [draw.ints_tensor(target)])


_BYTES = {"u8": 1, "i8": 1, "i16": 2, "i32": 4, "i64": 8, "f32": 4}
_BITCASTS = [(a, b) for a in ("u8", "i8", "i16", "i32", "i64", "f32")
             for b in ("u8", "i8", "i16", "i32", "i64") if a != b]


@group("layout", "BITCAST", "all", len(_BITCASTS))
def bitcast(draw, index):
    """Each pair of types; the last dimension makes a larger type whole."""
    from_type, to_type = _BITCASTS[index]
    shape = draw.shape(0, 4)
    ratio = _BYTES[to_type] // _BYTES[from_type]
    if ratio > 1:
        shape.append(ratio)
    return Case("BITCAST", [draw.input(from_type, shape)], [Tensor(to_type, ())])


@each_type("layout", "SQUEEZE", 10, *MOST)
def squeeze(draw, _, op, type_name):
    """Dimensions of one taken out: those named, or all."""
    shape = draw.shape(1, 4)
    for _ in range(draw.int(0, 2)):
        shape.insert(draw.below(len(shape) + 1), 1)
    ones = [axis for axis, size in enumerate(shape) if size == 1]
    axes = [axis - len(shape) if draw.chance(30) else axis for axis in ones if draw.chance(60)]
    return _case(draw, op, type_name, shape, [], {"squeeze_dims": axes})


@each_type("layout", "EXPAND_DIMS", 10, *MOST)
def expand_dims(draw, _, op, type_name):
    """A dimension of one put in."""
    shape = draw.shape(0, 5)
    axis = draw.int(-len(shape) - 1, len(shape))
    axis_type = draw.pick("i32", "i32", "i64")
    return _case(draw, op, type_name, shape,
                 [draw.ints_tensor([axis], axis_type, draw.pick((), (1,)))])


@each_type("layout", "TRANSPOSE", 30, *MOST, "u32")
def transpose(draw, _, op, type_name):
    """All permutations of up to six dimensions."""
    shape = draw.shape(1, 6, 240, 6)
    order = draw.shuffled(range(len(shape)))
    order = [axis - len(shape) if draw.chance(10) else axis for axis in order]
    return _case(draw, op, type_name, shape, [draw.ints_tensor(order)])


@each_type("layout", "CONCATENATION", 26, *MOST, "u32")
def concatenation(draw, _, op, type_name):
    """One to five parts joined; a part may be constant or empty."""
    shape = draw.shape(1, 5, 60, 5)
    axis = draw.below(len(shape))
    quant = draw.quant(type_name)
    parts = []
    for _ in range(draw.int(1, 5)):
        part = list(shape)
        part[axis] = draw.int(1, 5)
        parts.append(draw.either(20, type_name, part, quant))
    if not any(part.feed for part in parts):
        parts[0] = draw.input(type_name, parts[0].shape, quant)
    return Case(op, parts, [Tensor(type_name, (), quant)],
                {"axis": axis - len(shape) if draw.chance(30) else axis, "activation": "NONE"})


@group("layout", "CONCATENATION", "u8.rescaled", 30)
def concatenation_rescaled(draw, _):
    """uint8 parts of several scales."""
    shape = draw.shape(1, 4, 60, 5)
    axis = draw.below(len(shape))
    parts = []
    for _ in range(draw.int(2, 4)):
        part = list(shape)
        part[axis] = draw.int(1, 5)
        parts.append(draw.input("u8", part, draw.quant("u8")))
    return Case("CONCATENATION", parts, [Tensor("u8", (), draw.quant("u8"))],
                {"axis": axis, "activation": "NONE"})


@each_type("layout", "PACK", 14, "f32", "u8", "i8", "i16", "i32", "i64", "u32")
def pack_up(draw, _, op, type_name):
    """Tensors of one shape along a new dimension."""
    shape = draw.shape(0, 4, 60)
    count = draw.int(1, 5)
    quant = draw.quant(type_name)
    parts = [draw.input(type_name, shape, quant)]
    parts += [draw.either(20, type_name, shape, quant) for _ in range(count - 1)]
    return Case(op, parts, [Tensor(type_name, (), quant)],
                {"values_count": count, "axis": draw.int(-len(shape) - 1, len(shape))})


@each_type("layout", "UNPACK", 14, "f32", "f16", "u8", "i8", "i16", "i32", "bool")
def unpack(draw, _, op, type_name):
    """A tensor along a dimension that goes."""
    shape = draw.shape(1, 5, 200, 5)
    axis = draw.below(len(shape))
    quant = draw.quant(type_name)
    outputs = [Tensor(type_name, (), quant) for _ in range(shape[axis])]
    return Case(op, [draw.input(type_name, shape, quant)], outputs,
                {"num": shape[axis], "axis": axis - len(shape) if draw.chance(40) else axis})


@each_type("layout", "TILE", 16, *MOST, "u32")
def tile(draw, _, op, type_name):
    """Repeated along each dimension."""
    shape = draw.shape(1, 5, 40, 4)
    times = [draw.int(1, 3) for _ in shape]
    while elements(times) * elements(shape) > 300:
        times[draw.below(len(times))] = 1
    return _case(draw, op, type_name, shape, [draw.ints_tensor(times, draw.pick("i32", "i64"))])


@each_type("layout", "BROADCAST_TO", 16, *MOST, "u32")
def broadcast_to(draw, _, op, type_name):
    """A shape that the input stretches to."""
    target = draw.shape(1, 6, 240, 5)
    shape = [size if draw.chance(60) else 1 for size in target]
    shape = shape[draw.below(len(shape)) if draw.chance(50) else 0:]
    return _case(draw, op, type_name, shape, [draw.ints_tensor(target, draw.pick("i32", "i64"))])


@each_type("layout", "BROADCAST_ARGS", 25, "i32", "i64")
def broadcast_args(draw, _, op, type_name):
    """The shape that two shapes broadcast to."""
    left, right = draw.broadcast(5)
    return Case(op, [draw.ints_tensor(left, type_name, None, 0),
                     draw.ints_tensor(right, type_name, None, 40)], [Tensor(type_name)])


@each_type("layout", "SPACE_TO_DEPTH", 18, "f32", "u8", "i8", "i32", "i64")
def space_to_depth(draw, _, op, type_name):
    """Blocks into channels."""
    block = draw.int(1, 3)
    shape = (draw.int(1, 2), block * draw.int(1, 4), block * draw.int(1, 3), draw.int(1, 4))
    return _case(draw, op, type_name, shape, [], {"block_size": block})


@each_type("layout", "DEPTH_TO_SPACE", 18, "f32", "u8", "i8", "i32", "i64")
def depth_to_space(draw, _, op, type_name):
    """Channels into blocks."""
    block = draw.int(1, 3)
    shape = (draw.int(1, 2), draw.int(1, 4), draw.int(1, 4), block * block * draw.int(1, 3))
    return _case(draw, op, type_name, shape, [], {"block_size": block})


@each_type("layout", "SPACE_TO_BATCH_ND", 24, "f32", "u8", "i8", "i16", "i32", "i64")
def space_to_batch(draw, _, op, type_name):
    """Blocks into batches, padded, with one or two dimensions of space."""
    spatial = draw.pick(1, 2, 2)
    blocks = [draw.int(1, 3) for _ in range(spatial)]
    sizes, paddings = [], []
    for block in blocks:
        total = block * draw.int(1, 3)
        before = draw.int(0, min(3, total - 1))
        after = draw.int(0, min(3, total - 1 - before))
        sizes.append(total - before - after)
        paddings += [before, after]
    shape = (draw.int(1, 2), *sizes, draw.int(1, 4))
    return _case(draw, op, type_name, shape, [draw.ints_tensor(blocks),
                                              draw.ints_tensor(paddings, "i32", (spatial, 2))])


@each_type("layout", "BATCH_TO_SPACE_ND", 24, "f32", "u8", "i8", "i16", "i32", "i64")
def batch_to_space(draw, _, op, type_name):
    """Batches into blocks, cropped."""
    spatial = draw.pick(1, 2, 2)
    blocks = [draw.int(1, 3) for _ in range(spatial)]
    sizes = [draw.int(1, 4) for _ in range(spatial)]
    crops = []
    for block, size in zip(blocks, sizes):
        before = draw.int(0, min(2, block * size - 1))
        crops += [before, draw.int(0, min(2, block * size - 1 - before))]
    shape = (elements(blocks) * draw.int(1, 2), *sizes, draw.int(1, 4))
    return _case(draw, op, type_name, shape, [draw.ints_tensor(blocks),
                                              draw.ints_tensor(crops, "i32", (spatial, 2))])


@each_type("layout", "REVERSE_V2", 16, *MOST)
def reverse(draw, _, op, type_name):
    """One dimension, or several beside each other, back to front."""
    shape = draw.shape(1, 5)
    first = draw.below(len(shape))
    axes = draw.shuffled(range(first, min(len(shape), first + draw.int(1, 3))))
    axes = [axis - len(shape) if draw.chance(30) else axis for axis in axes]
    return _case(draw, op, type_name, shape, [draw.ints_tensor(axes)])


@each_type("layout", "ZEROS_LIKE", 8, "f32", "i32", "i64")
def zeros_like(draw, _, op, type_name):
    """Nothing, of the same shape."""
    return _case(draw, op, type_name, draw.shape(0, 5), [])


@each_type("layout", "SHAPE", 8, *MOST)
def shape_of(draw, _, op, type_name):
    """The shape as a tensor."""
    out_type = draw.pick("i32", "i64")
    return Case(op, [draw.input(type_name, draw.shape(0, 5), draw.quant(type_name))],
                [Tensor(out_type)], {"out_type": out_type})


@each_type("layout", "RANK", 6, "f32", "i8", "i32")
def rank_of(draw, _, op, type_name):
    """The number of dimensions."""
    return Case(op, [draw.input(type_name, draw.shape(0, 6), draw.quant(type_name))],
                [Tensor("i32")])


@each_type("layout", "FILL", 14, "f32", "f16", "u8", "u32", "i8", "i16", "i32", "i64", "bool")
def fill(draw, _, op, type_name):
    """One value everywhere, of a shape that is data."""
    quant = draw.quant(type_name)
    target = draw.shape(0, 5)
    dims = draw.ints_tensor(target, draw.pick("i32", "i64"))
    return Case(op, [dims, draw.input(type_name, (), quant)], [Tensor(type_name, (), quant)])


@each_type("layout", "RANGE", 20, "f32", "i32", "i64")
def count_up(draw, _, op, type_name):
    """From a start to a limit in steps, up and down."""
    step = draw.pick(1, 2, 3, 0.5 if type_name == "f32" else 5)
    start, count = draw.int(-20, 20), draw.int(0, 25)
    limit = start + step * count
    if type_name != "f32":
        limit -= draw.below(step) if count else 0
    if draw.chance(40):
        start, limit, step = limit, start, -step
    return Case(op, [draw.ints_tensor([value], type_name, ()) for value in (start, limit, step)],
                [Tensor(type_name)])


@each_type("layout", "MATRIX_DIAG", 6, "f32", "u8", "i8", "i16", "i32", "i64")
def matrix_diag(draw, _, op, type_name):
    """Matrices with given diagonals."""
    return _case(draw, op, type_name, draw.shape(1, 3, 40, 6), [])


@each_type("layout", "MATRIX_SET_DIAG", 6, "f32", "u8", "i8", "i16", "i32", "i64")
def matrix_set_diag(draw, _, op, type_name):
    """Matrices with other diagonals."""
    shape = draw.shape(2, 4, 120, 6)
    diagonal = [*shape[:-2], min(shape[-2:])]
    quant = draw.quant(type_name)
    return Case(op, [draw.input(type_name, shape, quant), draw.input(type_name, diagonal, quant)],
                [Tensor(type_name, (), quant)])
