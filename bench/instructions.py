#!/usr/bin/env python3
"""How many instructions a run of a model takes on AArch64, counted under qemu-aarch64.

Two processes of scree bench, one with more runs, are counted by the plugin instructions.c; the difference is that of the
runs. `floor` is what the matrix products alone would take, were every other instruction free: one SDOT for 16
multiply-accumulates.

usage: instructions.py SCREE MODEL...     SCREE: built for AArch64
Environment: QEMU_CPU (cortex-a76), CC (cc): builds the plugin
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

CLASSES = ["dot", "dot_element", "matrix", "simd", "load", "store", "branch", "other"]
RUNS = 2


def count(plugin, scree, model, runs):
    """({class: instructions}, multiply-accumulates of a run)"""
    environment = {"QEMU_CPU": "cortex-a76", **os.environ}
    done = subprocess.run(["qemu-aarch64", "-plugin", plugin, scree, "bench", model, "--runs", str(runs),
                           "--warmup", "0", "--threads", "1", "--device", "cpu", "--json"],
                          env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{model}: {done.stderr}")
    counts = dict(line.split() for line in done.stderr.splitlines() if line.count(" ") == 1)
    return {name: int(counts[name]) for name in CLASSES}, json.loads(done.stdout)["macs"]


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as directory:
        plugin = f"{directory}/instructions.so"
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O2", "-o", plugin,
                        str(pathlib.Path(__file__).parent / "instructions.c")], check=True)
        print("| model | million MAC | million instructions | of these dot products | other SIMD | loads | "
              "stores | the rest | floor | ratio |\n|---|" + "--:|" * 9)
        for model in sys.argv[2:]:
            less, macs = count(plugin, sys.argv[1], model, 1)
            more, _ = count(plugin, sys.argv[1], model, 1 + RUNS)
            n = {name: (more[name] - less[name]) / RUNS / 1e6 for name in CLASSES}
            total, floor = sum(n.values()), macs / 16 / 1e6
            cells = [total, n["dot"] + n["dot_element"] + n["matrix"], n["simd"], n["load"], n["store"],
                     n["branch"] + n["other"], floor]
            print(f"| {pathlib.Path(model).stem} | {macs / 1e6:.0f} | " +
                  " | ".join(f"{cell:.2f}" for cell in cells) + f" | {total / floor:.2f} |", flush=True)


if __name__ == "__main__":
    main()
