"""What a case is, how its random parts are drawn, and the list of all cases.

A case is a model of one operator, with the bytes of its inputs for one or more runs. Cases come in
groups: a function drawing case number `index` of an operator and type, registered by @group. Each
case has a generator seeded by its own name, so that adding cases leaves the others as they are.
Nothing here depends on the machine or Python's version: random bits come from the Mersenne twister,
and arithmetic on floats is only what IEEE 754 defines exactly.
"""

import array
import hashlib
import math
import random
import struct
import sys

import tflite_writer as writer

GROUPS = []

# The newest version of each operator that LiteRT's register_ref.cc accepts; 1 if not listed.
VERSIONS = {
    "ABS": 3, "RELU": 3, "RELU6": 3, "TANH": 3, "LOGISTIC": 3, "AVERAGE_POOL_2D": 3,
    "MAX_POOL_2D": 3, "CONV_2D": 8, "DEPTHWISE_CONV_2D": 6, "SVDF": 4, "FULLY_CONNECTED": 14,
    "SOFTMAX": 3, "CONCATENATION": 7, "ADD": 5, "SPACE_TO_BATCH_ND": 4, "BATCH_TO_SPACE_ND": 4,
    "MUL": 7, "L2_NORMALIZATION": 2, "BROADCAST_TO": 4, "LSTM": 4,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 3, "PAD": 6, "PADV2": 6, "RESIZE_BILINEAR": 4,
    "RESIZE_NEAREST_NEIGHBOR": 4, "SPACE_TO_DEPTH": 2, "GATHER": 8, "TRANSPOSE": 8, "MEAN": 3,
    "DIV": 2, "SUB": 5, "SPLIT": 5, "SPLIT_V": 3, "STRIDED_SLICE": 4, "EXP": 2, "TOPK_V2": 3,
    "LOG": 2, "LOG_SOFTMAX": 2, "CAST": 9, "DEQUANTIZE": 9, "MAXIMUM": 4, "MINIMUM": 4,
    "ARG_MAX": 2, "ARG_MIN": 2, "GREATER": 2, "GREATER_EQUAL": 3, "LESS": 3, "LESS_EQUAL": 2,
    "SELECT": 4, "SELECT_V2": 2, "SLICE": 8, "TRANSPOSE_CONV": 5, "TILE": 2, "SUM": 2,
    "REDUCE_PROD": 2, "REDUCE_MAX": 3, "REDUCE_MIN": 3, "EQUAL": 5, "NOT_EQUAL": 4, "SQRT": 2,
    "RSQRT": 3, "FAKE_QUANT": 2, "PACK": 5, "UNPACK": 6, "FLOOR_DIV": 3, "FLOOR_MOD": 2,
    "LEAKY_RELU": 2, "SQUARED_DIFFERENCE": 2, "FILL": 5, "MIRROR_PAD": 3, "REVERSE_V2": 4,
    "GATHER_ND": 6, "WHERE": 2, "QUANTIZE": 6, "BATCH_MATMUL": 4, "GELU": 2, "SIGN": 2,
    "DYNAMIC_UPDATE_SLICE": 6, "EMBEDDING_LOOKUP": 5,
}
OLDEST_VERSIONS = {"BROADCAST_TO": 2}

INT_RANGES = {
    "i4": (-8, 7), "i8": (-128, 127), "u8": (0, 255), "i16": (-32768, 32767),
    "u16": (0, 65535), "i32": (-(2**31), 2**31 - 1), "u32": (0, 2**32 - 1),
    "i64": (-(2**63), 2**63 - 1), "bool": (0, 1),
}
FLOATS = ("f32", "f16", "f64")


def f32(value):
    """`value` rounded to float32."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def elements(shape):
    """The number of elements of a shape."""
    return math.prod(shape)


def pack(type_name, values):
    """The bytes of a tensor with these values."""
    if type_name == "i4":
        nibbles = [value & 15 for value in values] + [0]
        return bytes(nibbles[i] | nibbles[i + 1] << 4 for i in range(0, len(nibbles) - 1, 2))
    return struct.pack(f"<{len(values)}{writer.TYPES[type_name][1]}", *values)


class Tensor:
    """A tensor of the model: a constant (data), an input (feed: bytes for each run), a variable
    (zero at the start), or an output (none of these)."""

    def __init__(self, type_name, shape=(), quant=None, *, data=None, feed=None, variable=False):
        self.type, self.shape = type_name, tuple(shape)
        self.scales, self.zero_points, self.axis = (), (), 0
        if quant:
            self.scales, self.zero_points, self.axis = quant.scales, quant.zero_points, quant.axis
        self.data, self.feed, self.variable = data, feed, variable

    def __str__(self):
        text = f"{self.type}[{','.join(map(str, self.shape))}]"
        if len(self.scales) == 1:
            text += f"*{self.scales[0]:.9g}@{self.zero_points[0]}"
        elif self.scales:
            text += f"*{len(self.scales)} scales"
        return text + (" const" if self.data is not None else "")


class Quant:
    """How a tensor is quantized: real = scale * (q - zero_point)."""

    def __init__(self, scales, zero_points, axis=0):
        self.scales = tuple(f32(scale) for scale in scales)
        self.zero_points, self.axis = tuple(zero_points), axis

    @property
    def scale(self):
        """The scale, or the first of several."""
        return self.scales[0]


class Case:
    """One model and what is fed to it."""

    def __init__(self, op, inputs, outputs, options=None, *, intermediates=(), custom=False,
                 version=None, millionths=1):
        self.op, self.inputs, self.outputs = op, list(inputs), list(outputs)
        self.options, self.intermediates = options or {}, list(intermediates)
        self.custom, self.version = custom, version
        self.millionths = millionths  # by how many floats may differ, if not by 1e-5 relative
        self.name = ""

    def fed(self):
        """The tensors that are inputs of the model, each once."""
        fed = []
        for tensor in self.inputs:
            if tensor is not None and tensor.feed is not None and tensor not in fed:
                fed.append(tensor)
        return fed

    def runs(self):
        """For each run the bytes of each input."""
        fed = self.fed()
        count = len(fed[0].feed) if fed else 1
        return [[tensor.feed[run] for tensor in fed] for run in range(count)]

    def text(self):
        """The case in one line for people."""
        inputs = ", ".join("-" if tensor is None else str(tensor) for tensor in self.inputs)
        outputs = ", ".join(
            tensor.type + str(tensor).partition("]")[2] for tensor in self.outputs)
        options = " ".join(f"{name}={value}" for name, value in self.options.items())
        return f"v{self.version} {inputs} > {outputs} {options}".rstrip()


class Draw:
    """The random choices of one case."""

    def __init__(self, name):
        self.random = random.Random(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8],
                                                   "little"))

    # Numbers

    def below(self, limit):
        """An int in [0, limit)."""
        return self.random.getrandbits(40) % limit

    def int(self, low, high):
        """An int in [low, high]."""
        return low + (self.random.getrandbits(72) % (high - low + 1))

    def chance(self, percent):
        """True that often."""
        return self.below(100) < percent

    def pick(self, *choices):
        """One of the arguments."""
        return choices[self.below(len(choices))]

    def uniform(self, low, high):
        """A float32 in [low, high)."""
        return f32(low + (high - low) * self.random.getrandbits(24) / (1 << 24))

    def shuffled(self, items):
        """The items in another order."""
        items = list(items)
        for i in range(len(items) - 1, 0, -1):
            j = self.below(i + 1)
            items[i], items[j] = items[j], items[i]
        return items

    def shape(self, min_rank=1, max_rank=4, limit=200, largest=7):
        """A shape of at most `limit` elements."""
        shape = []
        for _ in range(self.int(min_rank, max_rank)):
            room = max(1, limit // max(1, elements(shape)))
            shape.append(self.int(1, min(room, largest)))
        return self.shuffled(shape)

    def broadcast(self, max_rank=4, limit=240):
        """Two shapes that broadcast with each other."""
        shape = self.shape(1, max_rank, limit, 6)
        pair = [list(shape), list(shape)]
        if self.chance(30):
            return pair
        for i in range(len(shape)):
            side = self.below(4)
            if side < 2:
                pair[side][i] = 1
        side = self.below(2)
        if self.chance(50):
            pair[side] = pair[side][self.below(len(shape) + 1):]
        return pair

    # Quantization

    def scale(self, low=-9, high=-1):
        """A scale of 2**low to 2**(high + 1)."""
        return f32(math.ldexp(1 + self.random.getrandbits(23) / (1 << 23), self.int(low, high)))

    def zero_point(self, type_name):
        """A zero point: any that the type holds, 0 for int16."""
        if type_name == "i16":
            return 0
        low, high = INT_RANGES[type_name]
        return self.pick(low, high, (low + high + 1) // 2, *(self.int(low, high),) * 5)

    def quant(self, type_name, low=-9, high=-1):
        """A quantization per tensor, of all kinds; None for what is not quantized."""
        if type_name not in ("u8", "i8", "i16"):
            return None
        if self.chance(6):
            low, high = self.pick((-20, -12), (0, 6))
        return Quant([self.scale(low, high)], [self.zero_point(type_name)])

    # Contents

    def floats(self, count, low=-4.0, high=4.0):
        """Float32 values: mostly uniform, at times mixed with zeros and large ones."""
        if self.chance(15):
            return [self.pick(0.0, -0.0, self.uniform(low, high), 16 * self.uniform(low, high))
                    for _ in range(count)]
        bits = self.random.getrandbits
        step = (high - low) / (1 << 24)
        return [low + step * bits(24) for _ in range(count)]

    def ints(self, type_name, count, low=None, high=None):
        """Values of an integer type: the whole range, or all at one end of it, or a mix."""
        if low is None:
            low, high = INT_RANGES[type_name]
        mode = self.below(12)
        if mode == 0:
            return [low] * count
        if mode == 1:
            return [high] * count
        if mode == 2:
            return [self.pick(low, high, low, self.int(low, high)) for _ in range(count)]
        if mode == 3:
            low, high = (low, low + (high - low) // 8) if self.chance(50) else (
                high - (high - low) // 8, high)
        span, bits = high - low + 1, self.random.getrandbits
        return [low + bits(72) % span for _ in range(count)]

    def bytes(self, type_name, shape, low=None, high=None):
        """The bytes of a random tensor. Floats lie in [low, high], [-4, 4] if not given."""
        count = elements(shape)
        if type_name in FLOATS:
            low, high = (-4.0, 4.0) if low is None else (low, high)
            values = self.floats(count, low, high)
            if type_name == "f32":
                packed = array.array("f", values)
                if sys.byteorder == "big":
                    packed.byteswap()
                return packed.tobytes()
            return pack(type_name, values)
        return pack(type_name, self.ints(type_name, count, low, high))

    # Tensors

    def input(self, type_name, shape, quant=None, low=None, high=None, runs=1):
        """An input of the model with random contents."""
        return Tensor(type_name, shape, quant,
                      feed=[self.bytes(type_name, shape, low, high) for _ in range(runs)])

    def const(self, type_name, shape, quant=None, low=None, high=None):
        """A constant with random contents."""
        return Tensor(type_name, shape, quant, data=self.bytes(type_name, shape, low, high))

    def either(self, const_percent, type_name, shape, quant=None, low=None, high=None):
        """An input, or, that often, a constant."""
        if self.chance(const_percent):
            return self.const(type_name, shape, quant, low, high)
        return self.input(type_name, shape, quant, low, high)

    def ints_tensor(self, values, type_name="i32", shape=None, const_percent=75):
        """A tensor of given ints, such as axes or a shape: constant, or at times fed."""
        data = pack(type_name, values)
        shape = (len(values),) if shape is None else shape
        if self.chance(const_percent) and values:
            return Tensor(type_name, shape, data=data)
        return Tensor(type_name, shape, feed=[data])

    def activation(self, *choices):
        """A fused activation; of those given, or of all that LiteRT's kernels know."""
        return self.pick(*(choices or ("NONE", "NONE", "RELU", "RELU6", "RELU_N1_TO_1")))


def values(type_name, *given):
    """A constant of given values."""
    return Tensor(type_name, (len(given),), data=pack(type_name, given))


def scalar(type_name, value):
    """A constant scalar."""
    return Tensor(type_name, (), data=pack(type_name, [value]))


def fold(draw, index, function, args):
    """A case of another group with all its inputs constant: its output is known at planning."""
    case = function(draw, index, *args)
    for tensor in case.fed():
        tensor.data, tensor.feed = tensor.feed[0], None
    return case


class Group:
    """`count` cases of an operator that differ in what is drawn."""

    def __init__(self, family, op, label, count, function, args):
        self.family, self.op, self.label, self.count = family, op, label, count
        self.function, self.args = function, args

    def name(self, index):
        """The name of case number `index`."""
        return f"{self.op}.{self.label}.{index:03}"

    def case(self, index):
        """Case number `index`, the same at each call."""
        name = self.name(index)
        draw = Draw(name)
        case = self.function(draw, index, *self.args)
        case.name = name
        if case.version is None:
            case.version = draw.int(OLDEST_VERSIONS.get(self.op, 1), VERSIONS.get(self.op, 1))
        return case


def group(family, op, label, count, *args):
    """Registers a function (draw, index, *args) -> Case as the maker of `count` cases."""
    def register(function):
        GROUPS.append(Group(family, op, label, count, function, args))
        return function
    return register


def each_type(family, op, count, *types):
    """Registers a function (draw, index, op, type) -> Case for each of the types."""
    def register(function):
        for type_name in types:
            GROUPS.append(Group(family, op, type_name, count, function, (op, type_name)))
        return function
    return register


def committed(name, index):
    """Whether a case is of the subset whose expectations are committed."""
    return index == 0 or hashlib.sha256(b"subset " + name.encode()).digest()[0] < 36
