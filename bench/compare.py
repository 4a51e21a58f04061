#!/usr/bin/env python3
"""Compares scree with other runtimes on whole models, on this machine.

For each model and number of threads, rounds of scree, LiteRT (XNNPACK on), ONNX Runtime and OpenVINO
follow each other, those that Python has: A B C A B C ..., so that a slow minute of the machine slows
all of them. Times are medians of the rounds' medians; a ratio is the median of the rounds' ratios,
how many times as long as scree the other takes. Every result carries the processor, the versions and
the commit; none is a pass or a failure.

usage: compare.py SCREE [--threads 1,2] [--rounds N] [--ms MS] [--onnx DIR] [--json FILE] MODEL...
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

import report
import runtimes

# Threads of a runtime that has just run may still look for work.
PAUSE_S = 0.03
WARMUP = 2


def processor():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def governor():
    path = pathlib.Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    return path.read_text().strip() if path.exists() else "none"


def commit():
    done = subprocess.run(["git", "describe", "--always", "--dirty"], text=True,
                          capture_output=True, cwd=pathlib.Path(__file__).parent)
    return done.stdout.strip() or "unknown"


def run_scree(scree, model, threads, runs):
    """One process of scree bench: what it tells."""
    done = subprocess.run([scree, "bench", model, "--threads", str(threads), "--runs", str(runs),
                           "--warmup", str(WARMUP), "--device", "cpu", "--json"],
                          stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def time_runtime(run, runs):
    times = []
    for _ in range(runs + WARMUP):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times[WARMUP:])


def compare(arguments, model, threads, names):
    others, reasons = runtimes.open_all(model, threads, names, arguments.onnx)
    first = run_scree(arguments.scree, model, threads, 3)
    runs = max(3, min(200, int(arguments.ms / first["p50_ms"])))
    ours, theirs, results = [], {name: [] for name in others}, [first]
    for _ in range(arguments.rounds):
        time.sleep(PAUSE_S)
        results.append(run_scree(arguments.scree, model, threads, runs))
        ours.append(results[-1]["p50_ms"])
        for name, run in others.items():
            time.sleep(PAUSE_S)
            theirs[name].append(time_runtime(run, max(3, runs // 2)))
    return {"model": pathlib.Path(model).stem, "threads": threads, "ms": statistics.median(ours),
            "load_ms": statistics.median(result["load_ms"] for result in results),
            "peak_mib": statistics.median(result["peak_mib"] for result in results),
            "others": {name: {"ms": statistics.median(times),
                              "ratio": statistics.median(b / a for a, b in zip(ours, times))}
                       for name, times in theirs.items()},
            "reasons": reasons}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("scree")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ms", type=float, default=150, help="how long a round of scree takes")
    parser.add_argument("--onnx", help="a folder with the models as .onnx")
    parser.add_argument("--json", help="also write the results there")
    arguments = parser.parse_args()
    names = runtimes.installed()
    result = {"processor": processor(), "n_processors": os.cpu_count(), "governor": governor(),
              "kernel": platform.release(), "commit": commit(),
              "date": datetime.date.today().isoformat(), "rounds": arguments.rounds,
              "runtimes": names, "rows": []}
    for model in arguments.models:
        for threads in arguments.threads.split(","):
            row = compare(arguments, model, int(threads), names)
            result["rows"].append(row)
            print(report.line(row), file=sys.stderr, flush=True)
    print(report.table(result))
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
