#!/usr/bin/env python3
"""Checks that every #include in src/ obeys the table in docs/layers.md.

A row's layer is a folder of src/, or a folder inside one ("device/emu"): a file belongs to the deepest
row that holds it, and what is said of the outer layer does not go for the inner one.

usage: check_layers.py [ROOT]
"""
import pathlib
import re
import sys


def read_table(text):
    """{layer: set of layers it may include}"""
    rows = re.findall(r"^\| ([\w/]+) \|[^|]*\|([^|]*)\|$", text, re.M)
    return {layer: set(allowed.split()) | {layer, "scree"} for layer, allowed in rows
            if layer != "layer"}


def layer_of(path, table):
    """The deepest layer that holds the path, or its first folder."""
    parts = path.split("/")[:-1]
    for n in range(len(parts), 0, -1):
        if "/".join(parts[:n]) in table:
            return "/".join(parts[:n])
    return parts[0]


def violations(root):
    table = read_table((root / "docs/layers.md").read_text())
    for path in sorted((root / "src").rglob("*.[chi]*")):
        if path.suffix not in (".c", ".h", ".inc"):
            continue
        layer = layer_of(path.relative_to(root / "src").as_posix(), table)
        if layer not in table:
            yield f"{path}: layer '{layer}' is not in docs/layers.md"
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s*[<"](\w+/[^>"]*)[>"]', line)
            if not match:
                continue
            other = layer_of(match.group(1), table)
            known = other in table or other == "scree"
            if (known and other not in table[layer]) or (line.count('"') and not known):
                yield f"{path}:{number}: {layer} may not include {other}"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    found = list(violations(root))
    print("\n".join(found) or "layers: ok")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
