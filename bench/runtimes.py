"""Other runtimes, as functions that run a model once. Each is used if Python has it."""
import importlib.metadata
import importlib.util
import pathlib


def filled(shape, dtype):
    """The same random input for every runtime: bytes, or numbers of [0, 1)."""
    import numpy
    random = numpy.random.default_rng(1)
    dtype = numpy.dtype(dtype)
    if numpy.issubdtype(dtype, numpy.floating):
        return random.random(shape).astype(dtype)
    return random.integers(0, 128, shape).astype(dtype)


def open_litert(model, threads):
    from ai_edge_litert import interpreter as litert
    interpreter = litert.Interpreter(model_path=model, num_threads=threads)
    interpreter.allocate_tensors()
    for tensor in interpreter.get_input_details():
        interpreter.set_tensor(tensor["index"], filled(tensor["shape"], tensor["dtype"]))
    return interpreter.invoke


ONNX_TYPES = {"tensor(uint8)": "uint8", "tensor(int8)": "int8", "tensor(float)": "float32",
              "tensor(int32)": "int32", "tensor(int64)": "int64"}


def open_onnx(model, threads):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    inputs = {tensor.name: filled([n if isinstance(n, int) else 1 for n in tensor.shape],
                                  ONNX_TYPES[tensor.type]) for tensor in session.get_inputs()}
    return lambda: session.run(None, inputs)


def open_openvino(model, threads):
    import openvino
    compiled = openvino.Core().compile_model(
        model, "CPU", {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1})
    request = compiled.create_infer_request()
    for tensor in compiled.inputs:
        shape = [n.get_length() for n in tensor.partial_shape]
        request.set_tensor(tensor, openvino.Tensor(
            filled(shape, tensor.element_type.to_dtype())))
    return request.infer


# name, package, module, what it wants of a model, opener
RUNTIMES = [
    ("LiteRT", "ai-edge-litert", "ai_edge_litert", "tflite", open_litert),
    ("ONNX Runtime", "onnxruntime", "onnxruntime", "onnx", open_onnx),
    ("OpenVINO", "openvino", "openvino", "tflite", open_openvino),
]


def installed():
    """{name: version} of the runtimes that Python has."""
    return {name: importlib.metadata.version(package)
            for name, package, module, _, _ in RUNTIMES if importlib.util.find_spec(module)}


def open_all(model, threads, names, onnx_folder):
    """{name: function} of those that can run the model, {name: reason} of those that cannot."""
    runs, reasons = {}, {}
    for name, _, _, wants, opener in RUNTIMES:
        path = pathlib.Path(model)
        if name not in names:
            continue
        if wants == "onnx":
            path = pathlib.Path(onnx_folder or ".") / (path.stem + ".onnx")
            if not onnx_folder or not path.exists():
                reasons[name] = "no .onnx of it"
                continue
        try:
            run = opener(str(path), threads)
            run()
            runs[name] = run
        except Exception as error:  # whatever a runtime does not support
            # The model by its name: where it lies is nobody's business in a report.
            text = str(error).replace(str(path), path.name).strip()
            reasons[name] = text.splitlines()[0][:100] if text else "failed"
    return runs, reasons
