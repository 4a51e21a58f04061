"""UNIDIRECTIONAL_SEQUENCE_LSTM and SVDF, run several times so that their states matter."""

import math

from case import Case, Quant, Tensor, group

RUNS = 2


class _Form:
    """Which parts an LSTM has, and its sizes."""

    def __init__(self, draw):
        self.batch, self.time = draw.int(1, 3), draw.int(1, 4)
        self.inputs, self.cells = draw.int(1, 9), draw.int(1, 9)
        self.coupled = draw.chance(25)  # the input gate is what the forget gate leaves
        self.peephole = draw.chance(25)
        self.norm = draw.chance(25)
        self.projection = draw.chance(30)
        self.projection_bias = self.projection and draw.chance(50)
        self.outputs = draw.int(1, 7) if self.projection else self.cells
        self.time_major = draw.chance(30)
        self.cell_clip = draw.pick(0.0, 0.0, draw.uniform(0.3, 4.0))
        self.projection_clip = draw.pick(0.0, draw.uniform(0.2, 2.0)) if self.projection else 0.0

    def shape(self):
        """The shape of the input."""
        first = (self.time, self.batch) if self.time_major else (self.batch, self.time)
        return (*first, self.inputs)

    def options(self, **more):
        """The options, with an activation of the cell."""
        return {"activation": "TANH", "cell_clip": self.cell_clip,
                "proj_clip": self.projection_clip, "time_major": self.time_major, **more}


def _gates(form, part, skip=False):
    """The tensors of the four gates: input (not if coupled), forget, cell, output."""
    if skip:
        return [None] * 4
    return [None if form.coupled and gate == 0 else part(gate) for gate in range(4)]


def _lstm(form, make, states, options, out, data, intermediates=(), millionths=1):
    """Puts the 24 inputs in their order. make(kind, shape) gives a weight tensor."""
    n, inputs, outputs = form.cells, form.inputs, form.outputs
    tensors = [data]
    tensors += _gates(form, lambda _: make("input", (n, inputs)))
    tensors += _gates(form, lambda _: make("recurrent", (n, outputs)))
    tensors += _gates(form, lambda _: make("peephole", (n,)), not form.peephole)[:2]
    tensors.append(make("peephole", (n,)) if form.peephole else None)
    tensors += _gates(form, lambda _: make("bias", (n,)))
    tensors.append(make("projection", (outputs, n)) if form.projection else None)
    tensors.append(make("projection bias", (outputs,)) if form.projection_bias else None)
    tensors += states
    tensors += _gates(form, lambda _: make("norm", (n,)), not form.norm)
    return Case("UNIDIRECTIONAL_SEQUENCE_LSTM", tensors, [out], options,
                intermediates=intermediates, millionths=millionths)


@group("recurrent", "UNIDIRECTIONAL_SEQUENCE_LSTM", "f32", 50, False)
@group("recurrent", "UNIDIRECTIONAL_SEQUENCE_LSTM", "hybrid", 50, True)
def lstm_float(draw, _, hybrid):
    """Floats with weights of floats or int8."""
    form = _Form(draw)

    def make(kind, shape):
        if kind == "norm":
            return draw.const("f32", shape, None, 0.5, 1.5)
        if "bias" in kind or not hybrid:
            return draw.const("f32", shape, None, -0.7, 0.7)
        return draw.const("i8", shape, Quant([draw.scale(-9, -7)], [0]), -127, 127)

    states = [Tensor("f32", (form.batch, form.outputs), variable=True),
              Tensor("f32", (form.batch, form.cells), variable=True)]
    options = form.options()
    if hybrid:
        options["asymmetric_quantize_inputs"] = draw.chance(50)
    elif draw.chance(25):
        options["activation"] = draw.pick("RELU", "RELU6")  # with NONE LiteRT keeps an old buffer
    # The last bit of tanh, Eigen's there and the C library's here, can move a quantized state by a
    # step: the likelier the more steps there are.
    data = draw.input("f32", form.shape(), None, -2.0, 2.0, 1 if hybrid else RUNS)
    # A hybrid quantizes its state between steps: one bit of a float can tip it to the next number.
    return _lstm(form, make, states, options, Tensor("f32"), data, (), 1000 if hybrid else 1)


@group("recurrent", "UNIDIRECTIONAL_SEQUENCE_LSTM", "i8", 70)
def lstm_quantized(draw, _):
    """int8 with states of int8 and int16."""
    form = _Form(draw)
    source = Quant([draw.scale(-8, -6)], [draw.zero_point("i8")])
    cell = Quant([math.ldexp(1.0, draw.int(-14, -10))], [0])
    state = Quant([draw.scale(-8, -7)], [draw.zero_point("i8")])
    hidden = Quant([draw.scale(-8, -7)], [draw.zero_point("i8")]) if form.projection else state

    def make(kind, shape):
        if "bias" in kind:
            return draw.const("i32", shape, Quant([source.scale * 2**-8], [0]), -3000, 3000)
        if kind == "norm":
            return draw.const("i16", shape, Quant([draw.scale(-16, -14)], [0]), 4000, 32767)
        if kind == "peephole":
            return draw.const("i16", shape, Quant([draw.scale(-17, -15)], [0]), -32767, 32767)
        return draw.const("i8", shape, Quant([draw.scale(-9, -7)], [0]), -127, 127)

    states = [Tensor("i8", (form.batch, form.outputs), state, variable=True),
              Tensor("i16", (form.batch, form.cells), cell, variable=True)]
    between = [Tensor("i16", (0,), Quant([draw.scale(-13, -11)], [0])) if form.norm
               else Tensor("f32", (0,)) for _ in range(4)]
    data = draw.input("i8", form.shape(), source, runs=RUNS)
    return _lstm(form, make, states, form.options(), Tensor("i8", (), state), data,
                 [*between, Tensor("i8", (0,), hidden)])


def _svdf_sizes(draw):
    rank, units = draw.int(1, 3), draw.int(1, 6)
    return draw.int(1, 3), draw.int(1, 9), rank, units, rank * units, draw.int(1, 7)


@group("recurrent", "SVDF", "f32", 40, False)
@group("recurrent", "SVDF", "hybrid", 40, True)
def svdf_float(draw, _, hybrid):
    """Floats with weights of floats or int8."""
    batch, inputs, rank, units, filters, memory = _svdf_sizes(draw)

    def weights(shape):
        if hybrid:
            return draw.const("i8", shape, Quant([draw.scale(-8, -6)], [0]), -127, 127)
        return draw.const("f32", shape, None, -1.0, 1.0)

    tensors = [draw.input("f32", (batch, inputs), runs=3), weights((filters, inputs)),
               weights((filters, memory)),
               draw.const("f32", (units,)) if draw.chance(60) else None,
               Tensor("f32", (batch, memory * filters), variable=True)]
    options = {"rank": rank, "activation": draw.pick("NONE", "RELU", "RELU6", "TANH")}
    if hybrid:
        options["asymmetric_quantize_inputs"] = draw.chance(50)
    return Case("SVDF", tensors, [Tensor("f32")], options)


@group("recurrent", "SVDF", "i8", 50)
def svdf_quantized(draw, _):
    """int8 with a state of int16."""
    batch, inputs, rank, units, filters, memory = _svdf_sizes(draw)
    source = draw.quant("i8", -8, -5)
    feature = Quant([draw.scale(-9, -6)], [0])
    state = Quant([source.scale * feature.scale / 4 * draw.uniform(0.5, 4.0)], [0])
    time = Quant([draw.uniform(0.5, 2.0) / 32767], [0])
    out = Quant([state.scale * 32767 * draw.uniform(0.5, 4.0) / 127], [draw.zero_point("i8")])
    tensors = [draw.input("i8", (batch, inputs), source, runs=3),
               draw.const("i8", (filters, inputs), feature, -127, 127),
               draw.const("i16", (filters, memory), time),
               draw.const("i32", (units,), Quant([state.scale * time.scale], [0]), -100000, 100000)
               if draw.chance(80) else None,
               Tensor("i16", (batch, memory * filters), state, variable=True)]
    return Case("SVDF", tensors, [Tensor("i8", (), out)],
                {"rank": rank, "activation": "RELU"})  # LiteRT has no other for int8
