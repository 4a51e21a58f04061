#!/usr/bin/env python3
"""Runs the sessions of a .t file and compares what they print.

A line "$ command" is run by sh in a folder of its own; the lines behind it are what it must print, stdout and
stderr together. A line that ends in " (re)" is a regular expression. "[N]" at the end is the exit code if it
is not 0. Everything else that does not follow a command is prose. Commands find `scree` in their path, the
models and pictures of the tree in $MODELS and $PICTURES.

usage: run.py SCREE MODELS FILE.t [WRAPPER...]
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile


def sessions(text):
    """(line number, command, expected lines) of each session."""
    found, current = [], None
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("$ "):
            current = (number, line[2:], [])
            found.append(current)
        elif not line:
            current = None
        elif current:
            current[2].append(line)
    return found


def matches(expected, actual):
    if expected.endswith(" (re)"):
        return re.fullmatch(expected[:-5], actual) is not None
    return expected == actual


def run(command, folder, environment):
    done = subprocess.run(["sh", "-c", command], cwd=folder, env=environment, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=300)
    # An empty line would end the expected text.
    lines = [line for line in done.stdout.splitlines() if line]
    return lines + ([f"[{done.returncode}]"] if done.returncode else [])


def put_scree(folder, scree, wrapper):
    """A script named scree in the path, so that an emulator can stand before the program."""
    script = folder / "scree"
    words = " ".join([*wrapper, f"'{scree}'"])
    script.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    script.chmod(0o755)


def main():
    scree, models, path = map(pathlib.Path, sys.argv[1:4])
    failed = 0
    with tempfile.TemporaryDirectory() as temp:
        folder = pathlib.Path(temp)
        (folder / "bin").mkdir()
        (folder / "work").mkdir()
        put_scree(folder / "bin", scree.resolve(), sys.argv[4:])
        environment = dict(os.environ, PATH=f"{folder / 'bin'}:{os.environ['PATH']}",
                           MODELS=str(models.resolve()),
                           PICTURES=str(models.resolve() / "pictures"), LC_ALL="C.UTF-8")
        for number, command, expected in sessions(path.read_text()):
            actual = run(command, folder / "work", environment)
            if len(actual) == len(expected) and all(map(matches, expected, actual)):
                continue
            failed += 1
            print(f"{path}:{number}: $ {command}\nexpected:\n  " + "\n  ".join(expected) +
                  "\nprinted:\n  " + "\n  ".join(actual))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
