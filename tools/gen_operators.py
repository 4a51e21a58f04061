#!/usr/bin/env python3
"""Writes docs/operators.md from src/ops/ops.inc, the operator table.

usage: gen_operators.py [--check] [ROOT]     --check: only tell whether the file is up to date
"""
import pathlib
import re
import sys

COLUMNS = ["u8", "i8", "i16", "i32", "i64", "bool", "f32"]
HEAD = """# Operators

Every operator that scree runs, with the newest version of it and the element types it takes: made from
`src/ops/ops.inc` by `tools/gen_operators.py`, the same table that dispatch and error messages come from.

A mark means that the operator takes data of that type as its first input. The last column is the exact
rule: inputs `>` outputs; `T` and `U` stand for one of the types after the colon, the same in all places;
`(x)` may be left out; `x*` is any number of x; alternatives are separated by `;`. Integer results are
those of TFLite's reference kernels (LiteRT 2.3's `BUILTIN_REF`) bit for bit, with these exceptions, where
LiteRT has no reference kernel or reads or leaves memory that is not the tensor's:

* SUM of int8 and int16: LiteRT's reference kernel takes the bytes for uint8. Here it is what LiteRT's default
  kernel gives.
* CEIL, ROUND and ELU have no reference kernel; they are LiteRT's default ones.
* TFLite_Detection_PostProcess leaves outputs behind the last detection as they were in LiteRT; here they are 0.
* Convolutions of float activations with int8 weights of -128, which converters do not write: LiteRT's code for
  x86 overflows, here the product is right.
* A float that does not fit an integer becomes the nearest that does, where C++ leaves the result open.

DIV and quantized comparisons shift by amounts that C++ does not define when scales are unusual; here they give
what LiteRT gives on x86, on every machine.

"""


def rows(text):
    """(name, version, types) of each row."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    for match in re.finditer(r"^(OP|CUSTOM)\((.*?)\)\s*(?=^OP|^CUSTOM|\Z)", text, re.S | re.M):
        strings = re.findall(r'"((?:[^"\\]|\\.)*)"', match.group(2))
        name = re.match(r'"?(\w+)"?\s*,\s*(\d+)', match.group(2))
        if match.group(1) == "CUSTOM":
            strings = strings[1:]
        yield name.group(1), int(name.group(2)), "".join(strings)


def first_input_types(types):
    found = set()
    for alternative in types.split(";"):
        pattern, _, variables = alternative.partition(":")
        lists = dict(re.findall(r"([A-Z]) = ([a-z0-9 ]+)", variables))
        first = re.split(r"[,>]", pattern)[0].strip(" ()*")
        if first == "any":
            found |= set(COLUMNS)
        else:
            found |= set(lists.get(first, first).split())
    return found


def page(text):
    out = [HEAD, "| operator | version | " + " | ".join(COLUMNS) + " | types |\n",
           "|---|---|" + ":-:|" * len(COLUMNS) + "---|\n"]
    for name, version, types in sorted(rows(text)):
        marks = first_input_types(types)
        cells = " | ".join("x" if column in marks else "" for column in COLUMNS)
        out.append(f"| {name} | {version} | {cells} | `{re.sub(r' +', ' ', types)}` |\n")
    return "".join(out)


def main():
    arguments = [a for a in sys.argv[1:] if a != "--check"]
    root = pathlib.Path(arguments[0] if arguments else ".")
    made = page((root / "src/ops/ops.inc").read_text())
    path = root / "docs/operators.md"
    if "--check" not in sys.argv:
        path.write_text(made)
    elif path.read_text() != made:
        print("docs/operators.md is not up to date: run tools/gen_operators.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
