#!/usr/bin/env python3
"""Runs examples/classify.c on what models there are and compares its first lines.

usage: check_classify.py CLASSIFY ROOT
"""
import os
import pathlib
import subprocess
import sys

# model, picture, labels (under models/ of ROOT, or of SCREE_SHARED), the lines that come first
OURS = [("shapes_classifier.tflite", "pictures/single_star.jpg", "shapes_labels.txt", ["star"])]
SHARED = [
    ("mobilenet_v1_1.0_224_quant.tflite", "images/cat_720p.jpg", "labels/imagenet_labels.txt",
     [" 286  0.7812  Egyptian cat", " 283  0.1250  tiger cat", " 282  0.0352  tabby, tabby cat"]),
]


def run(program, *arguments):
    return subprocess.run([program, *map(str, arguments)], text=True, capture_output=True)


def check_models(program, folder, cases):
    """Number of cases run; a mismatch ends the script."""
    for model, picture, labels, expected in cases:
        if not (folder / model).exists():
            return 0
        done = run(program, folder / model, folder / picture, folder / labels)
        lines = done.stdout.splitlines()
        if done.returncode != 0 or len(lines) != 5:
            sys.exit(f"{model}: exit {done.returncode}, {done.stdout}{done.stderr}")
        for line, wanted in zip(lines, expected):
            if not line.endswith(wanted):
                sys.exit(f"{model}: '{line}' instead of '{wanted}'")
    return len(cases)


def main():
    program, root = sys.argv[1], pathlib.Path(sys.argv[2])
    failed = run(program, root / "no.tflite", root / "no.png")
    if failed.returncode != 1 or "No such file" not in failed.stderr:
        sys.exit(f"a missing model: exit {failed.returncode}, {failed.stderr}")
    shared = pathlib.Path(os.environ.get("SCREE_SHARED", root / "../shared"))
    n = check_models(program, root / "models", OURS) + check_models(program, shared / "models", SHARED)
    if n == 0:
        print("skipped: no models to run")
        return 77
    print(f"{n} models classified")
    return 0


if __name__ == "__main__":
    sys.exit(main())
