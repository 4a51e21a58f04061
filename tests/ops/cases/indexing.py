"""Operators that find or follow indices."""

from case import Case, Tensor, each_type, elements, pack, scalar


def _distinct(draw, type_name, shape, quant):
    """An input whose values often occur twice, so that ties show."""
    if type_name == "f32":
        data = pack("f32", [draw.int(-20, 20) / 4 for _ in range(elements(shape))])
        return Tensor(type_name, shape, feed=[data])
    low, high = (None, None) if type_name == "bool" or draw.chance(50) else (0, 20)
    return draw.input(type_name, shape, quant, low, high)


@each_type("indexing", "ARG_MAX", 20, "f32", "u8", "i8", "i32", "bool")
@each_type("indexing", "ARG_MIN", 20, "f32", "u8", "i8", "i32", "bool")
def arg_extreme(draw, _, op, type_name):
    """The first index of the largest or smallest, as int32 or int64."""
    shape = draw.shape(1, 5, 250, 9)
    out_type = draw.pick("i32", "i64")
    axis_type = draw.pick("i32", "i32", "i64")
    axis = draw.ints_tensor([draw.int(-len(shape), len(shape) - 1)], axis_type, draw.pick((), (1,)))
    return Case(op, [_distinct(draw, type_name, shape, draw.quant(type_name)), axis],
                [Tensor(out_type)], {"output_type": out_type})


@each_type("indexing", "TOPK_V2", 25, "f32", "u8", "i8", "i16", "i32", "i64")
def top_k(draw, _, op, type_name):
    """The largest k of each row and where they are; ties by the lower index."""
    shape = draw.shape(1, 3, 250, 24)
    quant = draw.quant(type_name)
    out_index = draw.pick("i32", "i32", "i16")
    count = draw.ints_tensor([draw.int(1, shape[-1])], "i32", ())
    return Case(op, [_distinct(draw, type_name, shape, quant), count],
                [Tensor(type_name, (), quant), Tensor(out_index)])


ALL = ("f32", "f16", "u8", "i8", "i16", "i32", "i64", "bool")


@each_type("indexing", "GATHER", 28, *ALL)
def gather(draw, _, op, type_name):
    """Slices by their numbers, along any axis, in batches."""
    shape = draw.shape(1, 4, 120, 6)
    axis = draw.below(len(shape))
    batch_dims = draw.int(0, axis) if draw.chance(30) else 0
    lead = shape[:batch_dims]
    rest = draw.shape(0, 2, max(1, 400 // elements(shape)), 4)
    index_type = draw.pick("i32", "i32", "i64", "i16")
    count = elements(lead) * elements(rest)
    indices = Tensor(index_type, (*lead, *rest), feed=[
        pack(index_type, [draw.below(shape[axis]) for _ in range(count)])])
    if draw.chance(40):
        indices = Tensor(index_type, indices.shape, data=indices.feed[0])
    quant = draw.quant(type_name)
    options = {"axis": axis - len(shape) if draw.chance(25) else axis, "batch_dims": batch_dims}
    return Case(op, [draw.input(type_name, shape, quant), indices], [Tensor(type_name, (), quant)],
                options)


@each_type("indexing", "GATHER_ND", 22, *ALL)
def gather_nd(draw, _, op, type_name):
    """Slices by the numbers of several dimensions."""
    shape = draw.shape(1, 4, 120, 6)
    depth = draw.int(1, len(shape))
    rows = draw.shape(1, 2, max(1, 200 // elements(shape[depth:])), 5)
    index_type = draw.pick("i32", "i32", "i64", "i16")
    numbers = [draw.below(shape[i]) for _ in range(elements(rows)) for i in range(depth)]
    indices = Tensor(index_type, (*rows, depth), feed=[pack(index_type, numbers)])
    quant = draw.quant(type_name)
    return Case(op, [draw.input(type_name, shape, quant), indices], [Tensor(type_name, (), quant)])


@each_type("indexing", "SCATTER_ND", 22, "f32", "u8", "i8", "i32", "i64", "bool")
def scatter_nd(draw, _, op, type_name):
    """Updates into zeros; those to one place add up."""
    shape = draw.shape(1, 4, 200, 6)
    depth = draw.int(1, len(shape))
    rows = draw.shape(1, 2, 12, 5)
    numbers = [draw.below(shape[i]) for _ in range(elements(rows)) for i in range(depth)]
    low, high = (-3, 3) if type_name in ("i8", "i32", "i64") else (0, 9)
    if type_name in ("f32", "bool"):
        low = high = None
    return Case(op, [draw.ints_tensor(numbers, "i32", (*rows, depth), 50),
                     draw.input(type_name, (*rows, *shape[depth:]), None, low, high),
                     draw.ints_tensor(shape)], [Tensor(type_name)])


@each_type("indexing", "ONE_HOT", 18, "f32", "u8", "i8", "i32", "i64", "bool")
def one_hot(draw, _, op, type_name):
    """A row for each index, on at the index; those out of range are off everywhere."""
    shape = draw.shape(0, 3, 40, 5)
    depth = draw.int(1, 7)
    index_type = draw.pick("i32", "i64")
    on, off = draw.pick((1, 0), (5, 2)) if type_name != "bool" else draw.pick((1, 0), (0, 1))
    return Case(op, [draw.input(index_type, shape, None, -1, depth),
                     draw.ints_tensor([depth], "i32", ()), scalar(type_name, on),
                     scalar(type_name, off)], [Tensor(type_name)],
                {"axis": draw.int(-1, len(shape))})


@each_type("indexing", "EMBEDDING_LOOKUP", 8, "f32", "f16", "u8", "i8", "i32")
def embedding_lookup(draw, _, op, type_name):
    """Rows by their numbers."""
    shape = draw.shape(2, 4, 120, 6)
    quant = draw.quant(type_name)
    rows = [draw.below(shape[0]) for _ in range(draw.int(1, 8))]
    return Case(op, [draw.ints_tensor(rows, "i32", None, 20),
                     draw.const(type_name, shape, quant)], [Tensor(type_name, (), quant)])
