"""Parts of tensors, and borders around them."""

from case import Case, Tensor, each_type, elements, pack

MOST = ("f32", "f16", "u8", "i8", "i16", "i32", "i64", "bool")


@each_type("slicing", "SLICE", 24, *MOST, "u32")
def take_slice(draw, _, op, type_name):
    """A box out of up to five dimensions; a size of -1 is all that is left."""
    shape = draw.shape(1, 5, 240, 7)
    begin = [draw.below(size) for size in shape]
    sizes = [draw.int(1, size - first) for size, first in zip(shape, begin)]
    sizes = [-1 if draw.chance(15) else size for size in sizes]
    quant = draw.quant(type_name)
    index_type = draw.pick("i32", "i32", "i64")
    percent = draw.pick(100, 100, 0)
    return Case(op, [draw.input(type_name, shape, quant),
                     draw.ints_tensor(begin, index_type, None, percent),
                     draw.ints_tensor(sizes, index_type, None, percent)],
                [Tensor(type_name, (), quant)])


def _mask(draw, count, percent):
    return sum(1 << i for i in range(count) if draw.chance(percent))


@each_type("slicing", "STRIDED_SLICE", 45, *MOST, "u32")
def strided_slice(draw, _, op, type_name):
    """Steps forward and back, from and to anywhere, with all masks."""
    shape = draw.shape(1, 5, 240, 7)
    given = draw.int(1, len(shape)) if draw.chance(30) else len(shape)
    begin, end, strides = [], [], []
    for size in shape[:given]:
        step = draw.pick(1, 1, 1, 2, 3, -1, -2)
        first, last = draw.int(0, size - 1), draw.int(0, size)
        if (step > 0) != (last > first):
            first, last = (0, size) if step > 0 else (size - 1, 0)
        if draw.chance(25):
            first -= size
        if draw.chance(25) and last > 0:
            last -= size
            last = last if last else size
        if draw.chance(10):
            last = 100 if step > 0 else -100
        begin.append(first)
        end.append(last)
        strides.append(step)
    options = {"begin_mask": _mask(draw, given, 20), "end_mask": _mask(draw, given, 20)}
    kind = draw.below(6)
    if kind == 0:
        options["shrink_axis_mask"] = _mask(draw, given, 40)
        strides = [1 if options["shrink_axis_mask"] >> i & 1 else step
                   for i, step in enumerate(strides)]
        for i in range(given):
            if options["shrink_axis_mask"] >> i & 1:
                end[i] = begin[i] + 1
                options["begin_mask"] &= ~(1 << i)
                options["end_mask"] &= ~(1 << i)
    elif kind == 1:
        options["ellipsis_mask"] = 1 << draw.below(given)
        if given == len(shape) and draw.chance(50):
            given -= 1
            begin, end, strides = begin[:given], end[:given], strides[:given]
    elif kind == 2 and len(shape) < 5:
        at = draw.below(given + 1)
        options["new_axis_mask"] = 1 << at
        for part, value in ((begin, 0), (end, 1), (strides, 1)):
            part.insert(at, value)
    if not begin:
        begin, end, strides, options = [0], [shape[0]], [1], {}
    if type_name == "f32" and kind > 2 and given == len(shape) and draw.chance(30):
        options = {"offset": True}  # LiteRT reads beyond the tensor if a mask is there too
        end = [last - first if last >= 0 and first >= 0 else last
               for first, last in zip(begin, end)]
    quant = draw.quant(type_name)
    percent = draw.pick(100, 100, 100, 0)
    return Case(op, [draw.input(type_name, shape, quant),
                     *(draw.ints_tensor(part, "i32", None, percent)
                       for part in (begin, end, strides))],
                [Tensor(type_name, (), quant)], options)


@each_type("slicing", "SPLIT", 16, "f32", "u8", "i8", "i16", "i32", "i64")
def split(draw, _, op, type_name):
    """Equal parts along an axis."""
    shape = draw.shape(1, 5, 60, 5)
    axis, count = draw.below(len(shape)), draw.int(1, 4)
    shape[axis] *= count
    quant = draw.quant(type_name)
    where = axis - len(shape) if draw.chance(40) else axis
    outputs = [Tensor(type_name, (), quant) for _ in range(count)]
    return Case(op, [draw.ints_tensor([where], "i32", draw.pick((), (1,))),
                     draw.input(type_name, shape, quant)], outputs, {"num_splits": count})


@each_type("slicing", "SPLIT_V", 16, "f32", "u8", "i8", "i16", "i32", "i64")
def split_v(draw, _, op, type_name):
    """Parts of given sizes; one of them may be -1, what is left."""
    shape = draw.shape(1, 5, 60, 5)
    axis = draw.below(len(shape))
    sizes = [draw.int(1, 4) for _ in range(draw.int(1, 4))]
    shape[axis] = sum(sizes)
    if draw.chance(35):
        sizes[draw.below(len(sizes))] = -1
    quant = draw.quant(type_name)
    where = axis - len(shape) if draw.chance(40) else axis
    outputs = [Tensor(type_name, (), quant) for _ in sizes]
    return Case(op, [draw.input(type_name, shape, quant),
                     draw.ints_tensor(sizes, draw.pick("i32", "i64"), None, 100),
                     draw.ints_tensor([where], "i32", draw.pick((), (1,)))], outputs,
                {"num_splits": len(sizes)})


def _paddings(draw, shape, most=3):
    """Pairs of borders, so that the output stays small."""
    pairs = [[draw.int(0, most), draw.int(0, most)] if draw.chance(60) else [0, 0] for _ in shape]
    while elements([size + sum(pair) for size, pair in zip(shape, pairs)]) > 400:
        pairs[draw.below(len(pairs))] = [0, 0]
    return pairs


def _flat(pairs):
    return [number for pair in pairs for number in pair]


@each_type("slicing", "PAD", 26, *MOST)
def pad(draw, _, op, type_name):
    """Borders of zero (the zero point where quantized)."""
    shape = draw.shape(1, 5, 100, 5)
    quant = draw.quant(type_name)
    return Case(op, [draw.input(type_name, shape, quant),
                     draw.ints_tensor(_flat(_paddings(draw, shape)),
                                      draw.pick("i32", "i64", "i16", "i8"), (len(shape), 2))],
                [Tensor(type_name, (), quant)])


@each_type("slicing", "PADV2", 22, *MOST)
def pad_v2(draw, _, op, type_name):
    """Borders of a value."""
    shape = draw.shape(1, 5, 100, 5)
    quant = draw.quant(type_name)
    return Case(op, [draw.input(type_name, shape, quant),
                     draw.ints_tensor(_flat(_paddings(draw, shape)),
                                      draw.pick("i32", "i64", "i16", "i8"), (len(shape), 2)),
                     draw.either(70, type_name, draw.pick((), (1,)), quant)],
                [Tensor(type_name, (), quant)])


@each_type("slicing", "MIRROR_PAD", 26, "f32", "u8", "i8", "i16", "i32", "i64")
def mirror_pad(draw, _, op, type_name):
    """Borders that mirror what is inside, with or without its edge."""
    mode = draw.pick("REFLECT", "SYMMETRIC")
    shape = draw.shape(1, 5, 100, 5)
    most = [size - (mode == "REFLECT") for size in shape]
    pairs = [[min(number, limit) for number in pair]
             for pair, limit in zip(_paddings(draw, shape), most)]
    quant = draw.quant(type_name)
    return Case(op, [draw.input(type_name, shape, quant),
                     draw.ints_tensor(_flat(pairs), draw.pick("i32", "i64"), (len(shape), 2))],
                [Tensor(type_name, (), quant)], {"mode": mode})


@each_type("slicing", "REVERSE_SEQUENCE", 16, "f32", "u8", "i16", "i32", "i64")
def reverse_sequence(draw, _, op, type_name):
    """The front of each sequence back to front, as long as is given."""
    shape = draw.shape(2, 4, 200, 6)
    batch_dim, seq_dim = draw.shuffled(range(len(shape)))[:2]
    lengths = [draw.int(0, shape[seq_dim]) for _ in range(shape[batch_dim])]
    quant = draw.quant(type_name)
    return Case(op, [draw.input(type_name, shape, quant),
                     draw.ints_tensor(lengths, draw.pick("i32", "i64"))],
                [Tensor(type_name, (), quant)], {"seq_dim": seq_dim, "batch_dim": batch_dim})


@each_type("slicing", "DYNAMIC_UPDATE_SLICE", 8, *MOST)
def dynamic_update_slice(draw, _, op, type_name):
    """A box put into a tensor, moved inside where it would stick out."""
    shape = draw.shape(1, 4, 150, 6)
    box = [draw.int(1, size) for size in shape]
    start = [draw.int(-1, size) for size in shape]
    quant = draw.quant(type_name)
    return Case(op, [draw.input(type_name, shape, quant), draw.input(type_name, box, quant),
                     Tensor("i32", (len(shape),), feed=[pack("i32", start)])],
                [Tensor(type_name, (), quant)])


