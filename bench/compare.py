#!/usr/bin/env python3
"""Compares scree with LiteRT on whole models: both in turn, A B A B ..., medians and their ratio.

LiteRT (PyPI: ai-edge-litert) runs with its default kernels (XNNPACK). Where it is not installed, scree is
measured alone. Every figure comes with the processor and the version; none is a pass or a failure.

usage: compare.py SCREE [--threads N] [--rounds N] [--json] MODEL...
"""
import argparse
import json
import pathlib
import platform
import statistics
import subprocess
import time


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def commit():
    done = subprocess.run(["git", "describe", "--always", "--dirty"], text=True,
                          capture_output=True, cwd=pathlib.Path(__file__).parent)
    return done.stdout.strip() or "unknown"


def time_scree(scree, model, threads, runs):
    """The median of one process, in ms."""
    done = subprocess.run([scree, "bench", model, "--threads", str(threads), "--runs", str(runs),
                           "--warmup", "2", "--json"], text=True, capture_output=True, check=True)
    return json.loads(done.stdout)["p50_ms"]


def open_litert(model, threads):
    """A function that runs the model once, or None without LiteRT."""
    try:
        import numpy
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        return None
    interpreter = Interpreter(model_path=model, num_threads=threads)
    interpreter.allocate_tensors()
    random = numpy.random.default_rng(1)
    for tensor in interpreter.get_input_details():
        data = random.random(tensor["shape"]) * (1 if tensor["dtype"] == numpy.float32 else 255)
        interpreter.set_tensor(tensor["index"], data.astype(tensor["dtype"]))
    return interpreter.invoke


def time_litert(invoke, runs):
    times = []
    for _ in range(runs + 2):
        start = time.perf_counter()
        invoke()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times[2:])


def compare(scree, model, threads, rounds, runs=10):
    invoke = open_litert(model, threads)
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(time_scree(scree, model, threads, runs))
        if invoke:
            theirs.append(time_litert(invoke, runs))
    row = {"model": pathlib.Path(model).stem, "threads": threads,
           "scree_ms": statistics.median(ours)}
    if theirs:
        row["litert_ms"] = statistics.median(theirs)
        row["ratio"] = statistics.median(b / a for a, b in zip(ours, theirs))
    return row


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("scree")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    head = {"processor": processor(), "commit": commit()}
    rows = [compare(arguments.scree, model, arguments.threads, arguments.rounds)
            for model in arguments.models]
    if arguments.json:
        print(json.dumps({**head, "rows": rows}, indent=2))
        return
    print(f"{head['processor']}, commit {head['commit']}, medians of {arguments.rounds} rounds\n")
    print(f"{'model':44} threads    scree ms   LiteRT ms  LiteRT/scree")
    for row in rows:
        theirs = f"{row['litert_ms']:12.2f}{row['ratio']:14.2f}" if "ratio" in row else ""
        print(f"{row['model']:44} {row['threads']:7}{row['scree_ms']:12.2f}{theirs}")


if __name__ == "__main__":
    main()
