"""Writes .tflite files of one operator: a small FlatBuffers writer, and TFLite's schema on it.

A FlatBuffer is a tree of tables, vectors and strings linked by offsets that point forward. write()
lays the tree out front to back: an object first, then what it refers to, patching the reference.
Which options an operator has and in which slots comes from src/model/options.inc and
src/model/operators.inc, the tables scree's reader itself is made of; LiteRT reads the same bytes
with the real schema, so that a wrong row there is seen as a difference.

Source of the slots below: schema.fbs of LiteRT, version 3.
"""

import pathlib
import re
import struct

# name -> (TensorType, struct format of one element); int4 is packed, two elements a byte.
TYPES = {
    "f32": (0, "f"), "f16": (1, "e"), "i32": (2, "i"), "u8": (3, "B"), "i64": (4, "q"),
    "bool": (6, "?"), "i16": (7, "h"), "i8": (9, "b"), "f64": (10, "d"), "u32": (15, "I"),
    "u16": (16, "H"), "i4": (17, None),
}
TYPE_NAMES = {number: name for name, (number, _) in TYPES.items()}

_MODEL_DIR = pathlib.Path(__file__).resolve().parents[2] / "src" / "model"


def element_bytes(type_name):
    """Bytes of one element of a type that has a whole number of them."""
    return struct.calcsize("<" + TYPES[type_name][1])


def data_bytes(type_name, count):
    """Bytes of `count` elements."""
    return (count + 1) // 2 if type_name == "i4" else count * element_bytes(type_name)


# ---- FlatBuffers -----------------------------------------------------------------------------

class Vector:
    """A vector of scalars."""

    def __init__(self, fmt, values):
        self.fmt, self.values = fmt, list(values)

    def write(self, out):
        size = struct.calcsize("<" + self.fmt)
        return out.counted(len(self.values), struct.pack(f"<{len(self.values)}{self.fmt}",
                                                         *self.values), max(size, 4))


class Bytes:
    """A vector of bytes, aligned."""

    def __init__(self, data, align=4):
        self.data, self.align = bytes(data), align

    def write(self, out):
        return out.counted(len(self.data), self.data, self.align)


class String:
    """A string, with the zero behind it that FlatBuffers asks for."""

    def __init__(self, text):
        self.text = text.encode()

    def write(self, out):
        return out.counted(len(self.text), self.text + b"\0", 4)


class Tables:
    """A vector of tables."""

    def __init__(self, tables):
        self.tables = list(tables)

    def write(self, out):
        position = out.counted(len(self.tables), bytes(4 * len(self.tables)), 4)
        for i, table in enumerate(self.tables):
            out.refer(position + 4 + 4 * i, table)
        return position


class Table:
    """A table: fields are (slot, format, value), or (slot, None, object) to refer to one."""

    def __init__(self, *fields):
        self.fields = [field for field in fields if field[2] is not None]

    def write(self, out):
        slots, inline, offset, widest = {}, [], 4, 4
        for slot, fmt, value in sorted(self.fields, key=lambda field: field[0]):
            size = struct.calcsize("<" + (fmt or "I"))
            offset += -offset % size
            slots[slot] = offset
            inline.append((offset, fmt, value))
            offset += size
            widest = max(widest, size)
        n_slots = max(slots, default=-1) + 1
        out.align(2)
        vtable = out.append(struct.pack(f"<{2 + n_slots}H", 4 + 2 * n_slots, offset,
                                        *(slots.get(i, 0) for i in range(n_slots))))
        out.align(widest)
        table = out.append(bytes(offset))
        struct.pack_into("<i", out.data, table, table - vtable)
        for at, fmt, value in inline:
            if fmt:
                struct.pack_into("<" + fmt, out.data, table + at, value)
        for at, fmt, value in inline:
            if not fmt:
                out.refer(table + at, value)
        return table


class _Output:
    def __init__(self):
        self.data = bytearray(8)

    def append(self, chunk):
        position = len(self.data)
        self.data += chunk
        return position

    def align(self, to, ahead=0):
        """Pads so that the byte `ahead` bytes behind the end is aligned."""
        self.data += bytes(-(len(self.data) + ahead) % to)

    def counted(self, count, chunk, align):
        self.align(align, ahead=4)
        return self.append(struct.pack("<I", count) + chunk)

    def refer(self, at, thing):
        struct.pack_into("<I", self.data, at, thing.write(self) - at)


def write(root, identifier):
    """The bytes of a FlatBuffer whose root is the table `root`."""
    out = _Output()
    out.data[4:8] = identifier
    out.refer(0, root)
    out.align(16)
    return bytes(out.data)


# ---- FlexBuffers: the options of custom operators ----------------------------------------------

def flexbuffer_map(values):
    """A FlexBuffer of one map from names to bools, ints and floats, all stored four bytes wide."""
    keys = sorted(values)
    out = bytearray()
    starts = []
    for key in keys:
        starts.append(len(out))
        out += key.encode() + b"\0"
    out += bytes(-len(out) % 4)
    out += struct.pack("<I", len(keys))
    key_vector = len(out)
    for start in starts:
        out += struct.pack("<I", len(out) - start)
    out += struct.pack("<III", len(out) - key_vector, 4, len(keys))
    values_at = len(out)
    kinds = bytearray()
    for key in keys:
        value = values[key]
        if isinstance(value, bool):
            out, kind = out + struct.pack("<I", value), 26
        elif isinstance(value, int):
            out, kind = out + struct.pack("<i", value), 1
        else:
            out, kind = out + struct.pack("<f", value), 3
        kinds.append(kind << 2 | 2)
    out += kinds
    root = len(out) - values_at
    return bytes(out) + bytes([root, 9 << 2 | 2, 1])


# ---- operators and their options ---------------------------------------------------------------

def _read_operators():
    text = (_MODEL_DIR / "operators.inc").read_text()
    rows = re.findall(r"^OPERATOR\((\d+), (\w+), (\w+)\)", text, re.M)
    return {name: (int(number), member) for number, name, member in rows}


def _read_options():
    text = (_MODEL_DIR / "options.inc").read_text()
    options = {}
    for chunk in re.split(r"^OPTIONS\(", text, flags=re.M)[1:]:
        number, _, member = re.match(r"(\d+), (\w+), (\w+)", chunk).groups()
        fields = re.findall(r"FIELD\((\d+), (\w+), (\w+),", chunk)
        options[member] = (int(number), {name: (int(slot), kind) for slot, name, kind in fields})
    return options


OPERATORS = _read_operators()
OPTIONS = _read_options()

_ENUMS = {
    "PADDING": {"SAME": 0, "VALID": 1},
    "ACTIVATION": {"NONE": 0, "RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3, "TANH": 4, "SIGN_BIT": 5},
    "LSTM": {"FULL": 0, "BASIC": 1},
    "MIRROR": {"REFLECT": 0, "SYMMETRIC": 1},
    "WEIGHTS": {"DEFAULT": 0, "SHUFFLED4X16": 1},
}


def _option(slot, kind, value):
    if kind == "I32S":
        return (slot, None, Vector("i", value))
    if kind == "TYPE":
        return (slot, "b", TYPES[value][0])
    if kind in _ENUMS:
        return (slot, "b", _ENUMS[kind][value])
    return (slot, {"I32": "i", "F32": "f", "BOOL": "?"}[kind], value)


def _options_table(op, values):
    """The number in the union BuiltinOptions and the table; (None, None) if there are none."""
    member = OPERATORS[op][1]
    if member == "none":
        assert not values, f"{op} has no options"
        return None, None
    number, slots = OPTIONS[member]
    return number, Table(*(_option(*slots[name], value) for name, value in values.items()))


# ---- models ------------------------------------------------------------------------------------

def _tensor(tensor, index, buffer):
    quantization = None
    if tensor.scales:
        quantization = Table((2, None, Vector("f", tensor.scales)),
                             (3, None, Vector("q", tensor.zero_points)), (6, "i", tensor.axis))
    return Table((0, None, Vector("i", tensor.shape)), (1, "b", TYPES[tensor.type][0]),
                 (2, "I", buffer), (3, None, String(f"t{index}")), (4, None, quantization),
                 (5, "?", True if tensor.variable else None), (8, "?", True))


def model(case):
    """The bytes of the .tflite file of a case.Case."""
    tensors, numbers, buffers = [], {}, [b""]

    def number(tensor):
        if tensor is None:
            return -1
        if id(tensor) not in numbers:
            numbers[id(tensor)] = len(tensors)
            if tensor.data:
                buffers.append(tensor.data)
            tensors.append(_tensor(tensor, len(tensors), len(buffers) - 1 if tensor.data else 0))
        return numbers[id(tensor)]

    inputs = [number(tensor) for tensor in case.inputs]
    outputs = [number(tensor) for tensor in case.outputs]
    intermediates = [number(tensor) for tensor in case.intermediates]
    options_type, options = (None, None) if case.custom else _options_table(case.op, case.options)
    code = OPERATORS["CUSTOM" if case.custom else case.op][0]
    operator_code = Table((0, "b", min(code, 127)),
                          (1, None, String(case.op) if case.custom else None),
                          (2, "i", case.version), (3, "i", code))
    operator = Table((0, "I", 0), (1, None, Vector("i", inputs)), (2, None, Vector("i", outputs)),
                     (3, "B", options_type), (4, None, options),
                     (5, None, Bytes(flexbuffer_map(case.options)) if case.custom else None),
                     (8, None, Vector("i", intermediates) if intermediates else None))
    graph = Table((0, None, Tables(tensors)),
                  (1, None, Vector("i", [number(tensor) for tensor in case.fed()])),
                  (2, None, Vector("i", outputs)), (3, None, Tables([operator])),
                  (4, None, String("main")))
    return write(Table((0, "I", 3), (1, None, Tables([operator_code])),
                       (2, None, Tables([graph])), (3, None, String(case.name)),
                       (4, None, Tables(Table((0, None, Bytes(data, 16) if data else None))
                                        for data in buffers))), b"TFL3")
