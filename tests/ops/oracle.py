#!/usr/bin/env python3
"""Runs all cases in TFLite's reference kernels and compares scree with them (see README.md).

    oracle.py [--op OP]... [--filter TEXT] [-o PACK] [--opdiff PROGRAM [--known FILE]] [--commit]

Needs LiteRT (`pip install ai-edge-litert`), or tflite_runtime or tensorflow, in the Python that
runs it. What LiteRT refuses is left out, and counted by operator and reason: the generator should
not draw it. Everything runs three times, in memory that was filled with other bytes before: where
the results differ, LiteRT reads what nobody wrote, and the case is left out likewise.
"""

import argparse
import collections
import ctypes
import os
import pathlib
import pickle
import re
import struct
import subprocess
import sys
import tempfile

import case as cases
import generate
import pack

NUMBERS = {"float32": 0, "float16": 1, "int32": 2, "uint8": 3, "int64": 4, "bool": 6, "int16": 7,
           "int8": 9, "float64": 10, "uint32": 15, "uint16": 16}
DETECTION = "TFLite_Detection_PostProcess"
FILLS = (0, 0x01, 0x55)
M_PERTURB = -6  # of glibc's malloc.h


def load_tflite():
    """The interpreter module and a text saying which it is."""
    try:
        import ai_edge_litert
        from ai_edge_litert import interpreter
        version = getattr(ai_edge_litert, "__version__", "")
        if not version:
            from importlib import metadata
            version = metadata.version("ai-edge-litert")
        return interpreter, f"LiteRT {version}"
    except ImportError:
        pass
    try:
        import tflite_runtime
        from tflite_runtime import interpreter
        return interpreter, f"tflite_runtime {tflite_runtime.__version__}"
    except ImportError:
        pass
    try:
        import tensorflow
        from tensorflow.lite.python import interpreter
        return interpreter, f"TensorFlow {tensorflow.__version__}"
    except ImportError:
        sys.exit("oracle.py: no LiteRT in this Python: pip install ai-edge-litert")


def needs_stand_in(case):
    """True if the reference kernel is none: that of SUM reads int8 and int16 as uint8."""
    return case.op == "SUM" and (".i8." in case.name or ".i16." in case.name)


def open_model(module, case):
    """An interpreter with the reference kernels; CEIL, ROUND and ELU have none, so that the only
    kernels there are stand in."""
    kinds = module.OpResolverType
    try:
        if not needs_stand_in(case):
            return module.Interpreter(model_content=case.model, num_threads=1,
                                      experimental_op_resolver_type=kinds.BUILTIN_REF)
    except ValueError as error:
        if "Didn't find op" not in str(error):
            raise
    return module.Interpreter(
        model_content=case.model, num_threads=1,
        experimental_op_resolver_type=kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES)


def run_case(module, case):
    """The outputs of each run of a Built case. Raises what the interpreter raises."""
    import numpy
    interpreter = open_model(module, case)
    interpreter.allocate_tensors()
    all_outputs = []
    for inputs in case.runs:
        for detail, data in zip(interpreter.get_input_details(), inputs):
            if data:
                array = numpy.frombuffer(data, detail["dtype"]).reshape(detail["shape"])
                interpreter.set_tensor(detail["index"], array)
        interpreter.invoke()
        outputs = []
        for detail in interpreter.get_output_details():
            if numpy.prod(detail["shape"]) == 0:
                array = numpy.zeros(detail["shape"], detail["dtype"])
            else:
                array = interpreter.get_tensor(detail["index"])
            outputs.append((NUMBERS[array.dtype.name], array.shape, array.tobytes()))
        all_outputs.append(without_rest(case.options, outputs) if case.op == DETECTION
                           else outputs)
    return all_outputs


def without_rest(options, outputs):
    """The outputs of a detection with zeros behind the last: LiteRT leaves there what was."""
    count = int(struct.unpack("<f", outputs[3][2])[0])
    if not options.get("use_regular_nms"):
        count *= options["max_classes_per_detection"]  # as many entries for each box counted
    cleared = []
    for number, dims, data in outputs[:3]:
        used = count * len(data) // dims[1]
        cleared.append((number, dims, data[:used] + bytes(len(data) - used)))
    return [*cleared, outputs[3]]


def _send(pipe, thing):
    data = pickle.dumps(thing)
    pipe.write(struct.pack("<I", len(data)) + data)
    pipe.flush()


def _child(module, built, start, fill, pipe):
    """Runs cases from `start` on and sends each result, with LiteRT's log of those that fail."""
    ctypes.CDLL(None).mallopt(M_PERTURB, fill)
    log = tempfile.TemporaryFile()
    os.dup2(log.fileno(), 2)
    for case in built[start:]:
        log.seek(0)
        log.truncate()
        try:
            result = run_case(module, case)
        except Exception as error:  # the interpreter raises RuntimeError, ValueError and others
            log.seek(0)
            lines = log.read().decode(errors="replace").strip().splitlines()
            result = " | ".join(lines[:1] + str(error).splitlines())
        _send(pipe, result)


def run_all(module, built, fill):
    """Outputs, or a text saying why there are none, for each case. Each stretch of cases runs in a
    child: LiteRT aborts on some models, and only that case is lost then. `fill` is what memory has
    in it at first."""
    results = []
    while len(results) < len(built):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            with os.fdopen(writer, "wb") as pipe:
                _child(module, built, len(results), fill, pipe)
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            while header := pipe.read(4):
                results.append(pickle.loads(pipe.read(struct.unpack("<I", header)[0])))
        status = os.waitpid(child, 0)[1]
        if len(results) < len(built):
            results.append(f"crashed: status {status}")
    return results


def report_refusals(built, results):
    """Prints what LiteRT refused, by operator and reason; returns the count."""
    reasons = collections.defaultdict(list)
    for case, result in zip(built, results):
        if isinstance(result, str):
            reason = re.sub(r"^.*?([a-z_]+\.cc:\d+)", r"\1", result)
            reasons[case.op, reason[:160]].append(case.name)
    for (op, reason), names in sorted(reasons.items()):
        print(f"refused {len(names):4} {op}: {reason} ({names[0]})")
    return sum(map(len, reasons.values()))


def commit(version, built):
    """Writes expected/ for the committed subset."""
    for family in generate.FAMILIES:
        subset = [case for case in built if case.family == family and
                  cases.committed(case.name, int(case.name.rpartition(".")[2]))]
        if subset:
            pack.write_expected(family, version, subset)
    size = sum(path.stat().st_size for path in pack.EXPECTED_DIR.glob("*.xz"))
    print(f"expected/ has {size} bytes")


def main():
    """Generates, runs, writes and compares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    generate.add_selection(parser)
    parser.add_argument("-o", "--output", help="the pack to write")
    parser.add_argument("--opdiff", help="the program that compares scree with the pack")
    parser.add_argument("--known", help="its list of known failures")
    parser.add_argument("--commit", action="store_true", help="renew expected/ (not with --op)")
    options = parser.parse_args()

    module, version = load_tflite()
    built = generate.build(options)
    passes = [run_all(module, built, fill) for fill in FILLS]
    results = [results[0] if results.count(results[0]) == len(FILLS) else "gives several results"
               for results in zip(*passes)]
    refused = report_refusals(built, results)
    accepted = []
    for case, result in zip(built, results):
        if not isinstance(result, str):
            case.outputs = result
            accepted.append(case)
    print(f"{version}: {len(built)} cases of {len({case.op for case in built})} operators, "
          f"{refused} refused")
    if options.commit:
        commit(version, accepted)
    output = options.output or tempfile.NamedTemporaryFile(suffix=".pack").name
    pack.write_pack(output, accepted)
    if options.opdiff:
        known = ["--known", options.known] if options.known else []
        status = subprocess.run([options.opdiff, *known, output], check=False).returncode
        if not options.output:
            pathlib.Path(output).unlink()
        sys.exit(status)


if __name__ == "__main__":
    main()
