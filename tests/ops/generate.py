#!/usr/bin/env python3
"""Makes the pack of the cases whose expectations are committed (see README.md).

    generate.py -o PACK [--op OP]... [--filter TEXT]
"""

import argparse
import fnmatch
import importlib
import pathlib
import sys

import case as cases
import pack
import tflite_writer

# The families of which some cases also come with nothing but constants.
FOLDED = ("activations", "choice", "conv", "elementwise", "indexing", "layout", "matrix", "pooling",
          "quantization", "reduce", "slicing")
# Here LiteRT uses the output's shape as the file has it, and the files have none.
NOT_FOLDED = {("REDUCE_PROD", "i8"), ("REDUCE_PROD", "i16")}
FAMILIES = sorted(path.stem for path in (pathlib.Path(__file__).parent / "cases").glob("[a-z]*.py"))


def load():
    """All groups of cases, in the order of the family's names."""
    if not cases.GROUPS:
        for family in FAMILIES:
            importlib.import_module("cases." + family)
        cases.GROUPS.extend(
            cases.Group(group.family, group.op, "folded." + group.label, 1, cases.fold,
                        (group.function, group.args))
            for group in cases.GROUPS[:]
            if group.family in FOLDED and (group.op, group.label) not in NOT_FOLDED)
        names = [(group.op, group.label) for group in cases.GROUPS]
        assert len(set(names)) == len(names), "two groups have one name"
    return cases.GROUPS


def add_selection(parser):
    """The options that choose cases."""
    parser.add_argument("--op", action="append", help="only this operator (repeatable)")
    parser.add_argument("--family", action="append", choices=FAMILIES, help="only this family")
    parser.add_argument("--filter", default="*", help="only names like this, as CONV_2D.i8*")


def build(options, wanted=lambda name, index: True):
    """The Built cases that the options choose and `wanted` accepts."""
    built = []
    for group in load():
        if options.op and group.op not in options.op:
            continue
        if options.family and group.family not in options.family:
            continue
        for index in range(group.count):
            name = group.name(index)
            if fnmatch.fnmatch(name, options.filter) and wanted(name, index):
                case = group.case(index)
                built.append(pack.Built(group.family, case, tflite_writer.model(case)))
    return built


def main():
    """Joins the generated models with the committed expectations."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_selection(parser)
    parser.add_argument("-o", "--output", required=True, help="the pack to write")
    options = parser.parse_args()

    expected = {}
    for family in FAMILIES:
        expected.update(pack.read_expected(family))
    built = build(options, lambda name, index: name in expected)
    for case in built:
        digest, outputs = expected[case.name]
        if case.hash() == digest:
            case.outputs = outputs
        else:
            case.forget()
    pack.write_pack(options.output, built)
    print(f"{len(built)} cases written to {options.output}")


if __name__ == "__main__":
    main()
