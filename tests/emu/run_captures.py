#!/usr/bin/env python3
"""Executes every task that was recorded from Mesa's libteflon.so and compares the convolutions with the CPU.

The recordings are npu/captures.tar.xz of the shared material, at $SCREE_SHARED or ../shared beside the source
tree; without it the test is skipped.

usage: run_captures.py ROOT REPLAY [WRAPPER...]
"""
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile

N_TASKS = 120
LEAST_EQUAL = 0.99

# What libteflon compiles wrongly; the stream does what it says, and that is not the model. Each must differ.
WRONG = {
    "probes/add_conv_input": "an addition is fused, with scales of another model",
    "probes/act_relu_n1": "the activation is not applied",
    "probes/dil2_v1": "dilation of a version 1 operator is not seen",
    "probes/dw_c1_mult8": "depthwise of one channel is made a convolution, its weights are not repacked",
    "probes/dw_mult2": "the depth multiplier is not seen",
    "probes/ic1_oc1": "the input is never uploaded",
    "probes/k1x3": "a kernel is taken for square",
    "probes/nonsquare_h8w16": "a picture is taken for square",
    "probes/stride_w2h1": "strides are taken for equal",
}
# Compared at the end of a whole network, where steps of its layers add up.
NETWORK = "mobilenet_v1_0.25_128_quant"
NETWORK_STEPS = 3

LINE = re.compile(r"(\S+) tasks (\d+) conv (\d+) equal (\d+) worst (\d+) cycles (\d+) ms [\d.]+")


def find_shared(root):
    for folder in (os.environ.get("SCREE_SHARED"), root.parent / "shared"):
        if folder and (pathlib.Path(folder) / "npu/captures.tar.xz").is_file():
            return pathlib.Path(folder)
    return None


def folders(base):
    return sorted(str(p.relative_to(base)) for p in base.rglob("*") if p.is_dir() and (p / "host.txt").is_file())


def replay(command, base, rounding):
    done = subprocess.run([*command, "--rounding", rounding, *folders(base)], cwd=base, text=True,
                          stdout=subprocess.PIPE, timeout=600)
    rows = [LINE.fullmatch(line) for line in done.stdout.splitlines()]
    assert all(rows), done.stdout
    return done.returncode, {row[1]: [int(n) for n in row.groups()[1:]] for row in rows}


def replay_layers(command, base, rounding):
    """Bytes, equal bytes and worst step over the layers of the network, each with the CPU's input."""
    done = subprocess.run([*command, "--rounding", rounding, "--layers", NETWORK], cwd=base, text=True,
                          stdout=subprocess.PIPE, timeout=600)
    row = LINE.fullmatch(done.stdout.strip())
    assert row and done.returncode == 0, done.stdout
    return [int(n) for n in row.groups()[2:5]]


def complaints(code, rows):
    if code != 0:
        yield "a task could not be executed"
    tasks = sum(row[0] for row in rows.values())
    if tasks != N_TASKS:
        yield f"{tasks} tasks, not {N_TASKS}"
    for name, (_, n_bytes, _, worst, _) in rows.items():
        limit = NETWORK_STEPS if name == NETWORK else 1
        if name in WRONG and worst <= 1:
            yield f"{name}: equals the model although {WRONG[name]}"
        if name not in WRONG and worst > limit:
            yield f"{name}: off by {worst} steps"
        if name == NETWORK and n_bytes == 0:
            yield f"{name}: not compared"


def main():
    root, command = pathlib.Path(sys.argv[1]), sys.argv[3:] + [str(pathlib.Path(sys.argv[2]).resolve())]
    shared = find_shared(root)
    failed = False
    if not shared:
        print("skipped: no recordings (npu/captures.tar.xz in $SCREE_SHARED or ../shared)")
        return 77
    with tempfile.TemporaryDirectory() as temp:
        base = pathlib.Path(temp)
        with tarfile.open(shared / "npu/captures.tar.xz") as archive:
            archive.extractall(base)
        for rounding in ("even", "up", "away"):
            code, rows = replay(command, base, rounding)
            convs = [row for name, row in rows.items() if name not in WRONG and name != NETWORK]
            n_bytes, n_equal = sum(row[1] for row in convs), sum(row[2] for row in convs)
            _, total, equal, worst, cycles = rows[NETWORK]
            print(f"{rounding}: {sum(row[0] for row in rows.values())} tasks; {sum(row[1] > 0 for row in convs)} "
                  f"convolutions, {n_bytes} bytes, {100 * n_equal / n_bytes:.3f} % equal, none off by more than "
                  f"{max(row[3] for row in convs)}; MobileNetV1 0.25 128: {equal} of {total} logits equal, worst "
                  f"{worst}, {cycles / 1e6:.2f} Mcycles")
            n_layers, equal, worst = replay_layers(command, base, rounding)
            print(f"{rounding}: its first 27 layers, each with the CPU's input: {100 * equal / n_layers:.3f} % of "
                  f"{n_layers} bytes equal, worst {worst}")
            if worst > 1 or equal < 0.98 * n_layers:
                print(f"{rounding}: a layer is off by more than a step, or too often")
                failed = True
            if n_equal < LEAST_EQUAL * n_bytes:
                print(f"{rounding}: under {LEAST_EQUAL:.0%}")
                failed = True
            for text in complaints(code, rows):
                print(f"{rounding}: {text}")
                failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
