#!/usr/bin/env python3
"""Asks `scree doctor` about each machine that is described in a folder here, and compares what it says.

machine.txt describes the machine (src/device/tree.h says how), expected.txt is what is printed, with the exit code
in brackets as the last line, expected.json is what --json prints.

usage: run.py [--update] SCREE [WRAPPER...]     --update writes the expected files anew
"""
import difflib
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def ask(command, machine, *options):
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("SCREE_ROOT", "SCREE_TEFLON")}
    done = subprocess.run([*command, "doctor", "--root", machine, *options], text=True,
                          env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60)
    return done.stdout, done.returncode


def compare(path, actual, update):
    if update:
        path.write_text(actual)
        return True
    expected = path.read_text()
    sys.stdout.writelines(difflib.unified_diff(expected.splitlines(True), actual.splitlines(True),
                                               str(path), "printed"))
    return expected == actual


def main():
    arguments = sys.argv[1:]
    update = arguments[0] == "--update"
    command = arguments[1:] if update else arguments
    command = [*command[1:], command[0]]
    machines = sorted(HERE.glob("*/machine.txt"))
    good = len(machines) >= 8
    for machine in machines:
        text, code = ask(command, machine)
        good &= compare(machine.parent / "expected.txt", f"{text}[{code}]\n", update)
        json, json_code = ask(command, machine, "--json")
        good &= compare(machine.parent / "expected.json", json, update) and code == json_code
    print(f"{len(machines)} machines")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
