"""Pooling and resizing of pictures."""

import products
from case import Case, Tensor, each_type


def _pool(draw, op, type_name):
    channels = products.channels(draw)
    batches = draw.pick(1, 1, 2)
    height, width = products.places(draw, channels, batches)
    in_h, in_w, kernel_h, kernel_w, options = products.window(draw, height, width, dilate=False,
                                                              largest=5)
    options.update(filter_h=kernel_h, filter_w=kernel_w, activation=draw.activation())
    quant = draw.quant(type_name)
    return Case(op, [draw.input(type_name, (batches, in_h, in_w, channels), quant)],
                [Tensor(type_name, (), quant)], options)


@each_type("pooling", "AVERAGE_POOL_2D", 50, "f32", "u8", "i8", "i16")
@each_type("pooling", "MAX_POOL_2D", 45, "f32", "u8", "i8", "i16")
@each_type("pooling", "L2_POOL_2D", 45, "f32")
def pool(draw, _, op, type_name):
    """Pools of all windows, strides, paddings and activations."""
    return _pool(draw, op, type_name)


@each_type("pooling", "RESIZE_BILINEAR", 60, "f32", "u8", "i8", "i16")
@each_type("pooling", "RESIZE_NEAREST_NEIGHBOR", 50, "f32", "u8", "i8", "i16")
@each_type("pooling", "RESIZE_NEAREST_NEIGHBOR", 10, "i32", "f16", "bool", "u32")
def resize(draw, index, op, type_name):
    """Pictures made larger or smaller, with the three ways to place the samples."""
    shape = (draw.pick(1, 1, 2), draw.int(1, 9), draw.int(1, 9), draw.int(1, 5))
    size = [draw.int(1, 8), draw.int(1, 8)]
    if draw.chance(25):
        size = [2 * shape[1], 2 * shape[2]]
    options = {"align_corners": index % 3 == 1, "half_pixel_centers": index % 3 == 2}
    quant = draw.quant(type_name)
    return Case(op, [draw.input(type_name, shape, quant), draw.ints_tensor(size)],
                [Tensor(type_name, (), quant)], options)
