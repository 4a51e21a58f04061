#!/usr/bin/env python3
"""Runs `scree doctor` on the software NPU: the test convolution is computed, on every core, and each way in which a
job can go wrong is told truly and soon.

usage: on_software_npu.py SCREE SHIM
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent

# What the software NPU is told to do, and what the doctor must say of it.
CASES = [
    ("", "ok inference Test convolutions came out right on every core, in"),
    ("timeout@1+", "error inference The NPU took the test convolution, but wrote no result"),
    ("lost@1+", "error inference The NPU took the test convolution, but wrote no result"),
    ("lost@2", "error inference The NPU took the test convolution, but wrote no result"),
    ("eio@1+", "error inference The test convolution could not be run: the NPU's driver takes no job"),
    ("enodev@1+", "error inference The test convolution could not be run: waiting for the NPU: No such"),
    ("corrupt@3", "error inference The NPU computes wrongly:"),
]


def lay_out(description, folder):
    """The files and links of a machine.txt as files and links."""
    content = None
    for line in description.read_text().splitlines():
        words = line.split()
        if line.startswith("|"):
            text = line[2:].replace("\\0", "\0") + "\n"
            content.write_bytes(content.read_bytes() + text.encode())
        elif line.startswith("x "):
            content.write_bytes(content.read_bytes() + bytes.fromhex(words[1]))
        elif words[0] in ("file", "link", "dir"):
            path = folder / words[1].lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            if words[0] == "file":
                content = path
                path.write_bytes(b"")
            elif words[0] == "link":
                path.symlink_to(words[2])
            else:
                path.mkdir(parents=True, exist_ok=True)


def ask(scree, shim, root, faults):
    outside = {name: value for name, value in os.environ.items()
               if not name.startswith(("SCREE_", "LD_PRELOAD"))}
    environment = dict(outside, LD_PRELOAD=shim, SCREE_EMU_ROOT=str(root), SCREE_EMU_FAULTS=faults)
    start = time.monotonic()
    done = subprocess.run([scree, "doctor"], env=environment, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60)
    return " ".join(done.stdout.split()), time.monotonic() - start


def main():
    scree, shim = (str(pathlib.Path(name).resolve()) for name in sys.argv[1:3])
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        lay_out(HERE / "no-permission" / "machine.txt", pathlib.Path(folder))
        for faults, expected in CASES:
            text, seconds = ask(scree, shim, folder, faults)
            # Half a second is the kernel's limit for a job; a busy machine gets some on top.
            good = expected in text and seconds < 5
            failed += not good
            print(f"{'ok' if good else 'FAILED'}: {faults or 'no fault'}: {seconds:.2f} s"
                  + ("" if good else f"\n  wanted: {expected}\n  printed: {text}"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
