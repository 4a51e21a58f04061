"""Edits .tflite files: adds the SSD post-processing operator and the metadata.

Both follow public formats: TensorFlow Lite's schema.fbs (through the classes
TensorFlow generates from it) and TFLite Support's metadata_schema.fbs 1.1.0, whose few
tables used here are written field by field.
"""

import io
import zipfile
from dataclasses import dataclass, field

import flatbuffers
import numpy as np
from flatbuffers import flexbuffers
from tensorflow.lite.python import schema_py_generated as schema

LABELS_FILE = "shapes_labels.txt"
DATA_ALIGNMENT = 16     # schema.fbs: Buffer.data has force_align 16

# Enumerators of metadata_schema.fbs
CONTENT_FEATURE, CONTENT_IMAGE, CONTENT_BOXES = 1, 2, 3
OPTIONS_NORMALIZATION = 1
COLOUR_RGB = 1
BOX_BOUNDARIES = 1
AXIS_LABELS, VALUE_LABELS = 2, 3


class AlignedBuffer(schema.BufferT):
    """A constant's bytes, aligned as the schema asks; the generated class does not."""

    def Pack(self, builder):
        if self.data is None or len(self.data) == 0:
            return super().Pack(builder)
        data = bytes(bytearray(self.data))
        builder.StartVector(1, len(data), DATA_ALIGNMENT)
        builder.head -= len(data)
        builder.Bytes[builder.head:builder.head + len(data)] = data
        vector = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, vector)
        return schema.BufferEnd(builder)


def parse(model_bytes):
    """Bytes to the schema's object tree."""
    return schema.ModelT.InitFromPackedBuf(model_bytes, 0)


def pack(model):
    """The object tree to bytes."""
    for buffer in model.buffers:
        buffer.__class__ = AlignedBuffer
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def add_buffer(model, data):
    """Appends a constant's bytes; returns its index."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(data, np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def shorten_names(model, inputs, outputs):
    """Names the inputs and outputs, and cuts the lists the converter makes of fused layers."""
    graph = model.subgraphs[0]
    for tensor in graph.tensors:
        tensor.name = tensor.name.split(b";")[0]
    for names, tensors in ((inputs, graph.inputs), (outputs, graph.outputs)):
        for name, index in zip(names, tensors):
            graph.tensors[index].name = name.encode()


def _add_tensor(model, name, shape, constant=None):
    """Appends a float32 tensor to the first subgraph; returns its index."""
    tensor = schema.TensorT()
    tensor.name = name.encode()
    tensor.shape = np.array(shape, np.int32)
    tensor.type = schema.TensorType.FLOAT32
    tensor.buffer = 0 if constant is None else add_buffer(model, constant.tobytes())
    model.subgraphs[0].tensors.append(tensor)
    return len(model.subgraphs[0].tensors) - 1


def _flexbuffer_map(options):
    """A flexbuffer map of ints, bools and floats, as a custom operator's options."""
    builder = flexbuffers.Builder()
    adders = {bool: builder.Bool, int: builder.Int, float: builder.Float}
    with builder.Map():
        for key, value in options.items():
            adders[type(value)](key, value)
    return np.frombuffer(bytes(builder.Finish()), np.uint8)


def _declare_outputs(model, names, tensors):
    """Makes `tensors` the outputs, in the subgraph and in its signature if it has one."""
    model.subgraphs[0].outputs = np.array(tensors, np.int32)
    for signature in model.signatureDefs or []:
        signature.outputs = []
        for name, index in zip(names, tensors):
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = name, index
            signature.outputs.append(entry)


def add_postprocess(model, boxes, scores, anchors, options):
    """Ends the graph with TFLite_Detection_PostProcess.

    boxes    index of the tensor of codes, f32 [1, n, 4]
    scores   index of the tensor of scores, f32 [1, n, labels]
    anchors  f32 [n, 4] as y, x, h, w
    """
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = "TFLite_Detection_PostProcess"
    model.operatorCodes.append(code)

    n = options["max_detections"] * options["max_classes_per_detection"]
    shapes = {"detection_boxes": (1, n, 4), "detection_classes": (1, n),
              "detection_scores": (1, n), "num_detections": (1,)}
    outputs = [_add_tensor(model, name, shape) for name, shape in shapes.items()]

    operator = schema.OperatorT()
    operator.opcodeIndex = len(model.operatorCodes) - 1
    operator.inputs = np.array(
        [boxes, scores, _add_tensor(model, "anchors", anchors.shape, anchors)], np.int32)
    operator.outputs = np.array(outputs, np.int32)
    operator.customOptions = _flexbuffer_map(options)
    model.subgraphs[0].operators.append(operator)
    _declare_outputs(model, shapes, outputs)


@dataclass
class TensorText:
    """What the metadata says of one input or output."""

    name: str
    description: str
    content: int = CONTENT_FEATURE
    label_type: int = 0         # AXIS_LABELS or VALUE_LABELS when labels belong to it
    value_range: tuple = ()     # (first, last) dimension the content covers


@dataclass
class ModelText:
    """What the metadata says of a model whose one input is a picture."""

    name: str
    description: str
    size: int                   # of the input picture, a side
    outputs: list = field(default_factory=list)


class MetadataWriter:
    """Builds the metadata flatbuffer. Each method returns an offset in it."""

    def __init__(self):
        self.builder = flatbuffers.Builder(4096)

    def _table(self, n_fields, offsets=None, **scalars):
        """A table of `n_fields`: {slot: offset} and int8/uint32/float as i3=, u3=, f3=."""
        add = {"i": self.builder.PrependInt8Slot, "u": self.builder.PrependUint32Slot,
               "f": self.builder.PrependFloat32Slot}
        self.builder.StartObject(n_fields)
        for slot, offset in (offsets or {}).items():
            self.builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
        for key, value in scalars.items():
            add[key[0]](int(key[1:]), value, 0)
        return self.builder.EndObject()

    def _text(self, text):
        return self.builder.CreateString(text)

    def _tables(self, offsets):
        self.builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        return self.builder.EndVector()

    def _numbers(self, values, dtype):
        return self.builder.CreateNumpyVector(np.array(values, dtype))

    def _labels(self, label_type):
        return self._table(4, {0: self._text(LABELS_FILE),
                               1: self._text("The names of the things, one a line.")},
                           i2=label_type)

    def _content(self, tensor, size):
        if tensor.content == CONTENT_IMAGE:
            properties = self._table(2, {1: self._table(2, u0=size, u1=size)}, i0=COLOUR_RGB)
        elif tensor.content == CONTENT_BOXES:   # Stored as top, left, bottom, right.
            properties = self._table(3, {0: self._numbers([1, 0, 3, 2], np.uint32)},
                                     i1=BOX_BOUNDARIES)
        else:
            properties = self._table(0)
        fields = {1: properties}
        if tensor.value_range:
            first, last = tensor.value_range
            fields[2] = self._table(2, u0=first, u1=last)
        return self._table(3, fields, i0=tensor.content)

    def _tensor(self, tensor, size):
        fields = {0: self._text(tensor.name), 1: self._text(tensor.description),
                  3: self._content(tensor, size)}
        if tensor.content == CONTENT_IMAGE:
            normalization = self._table(2, {0: self._numbers([127.5], np.float32),
                                            1: self._numbers([127.5], np.float32)})
            unit = self._table(2, {1: normalization}, i0=OPTIONS_NORMALIZATION)
            fields[4] = self._tables([unit])
            fields[5] = self._table(2, {0: self._numbers([1.0], np.float32),
                                        1: self._numbers([-1.0], np.float32)})
        if tensor.label_type:
            fields[6] = self._tables([self._labels(tensor.label_type)])
        return self._table(7, fields)

    def write(self, text):
        """The whole metadata of a model, as bytes."""
        image = TensorText("image", "The picture, RGB, scaled to the input's size.",
                           CONTENT_IMAGE)
        inputs = self._tables([self._tensor(image, text.size)])
        outputs = self._tables([self._tensor(t, text.size) for t in text.outputs])
        subgraph = self._table(7, {2: inputs, 3: outputs})
        root = self._table(8, {
            0: self._text(text.name), 1: self._text(text.description), 2: self._text("1"),
            3: self._tables([subgraph]), 4: self._text("The scree project"),
            5: self._text("MIT"), 7: self._text("1.0.0")})
        self.builder.Finish(root, b"M001")
        return bytes(self.builder.Output())


def add_metadata(model, text):
    """Adds the metadata flatbuffer as a buffer of the model."""
    entry = schema.MetadataT()
    entry.name = "TFLITE_METADATA"
    entry.buffer = add_buffer(model, MetadataWriter().write(text))
    model.metadata = (model.metadata or []) + [entry]
    model.description = text.description


def append_labels(model_bytes, labels):
    """The file with its labels packed behind it, as a ZIP archive that keeps no date."""
    file = io.BytesIO(model_bytes)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(LABELS_FILE), "".join(f"{x}\n" for x in labels))
    return file.getvalue()
