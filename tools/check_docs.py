#!/usr/bin/env python3
"""Checks that every declaration of the public headers, and every header's head, is documented.

A function is documented by the comment right above it, or above the group of functions (no blank line
between) that it belongs to; likewise structs, enums and macros of the public headers. Every header under src/
must begin with a comment "/* folder/name.h - what it is".

usage: check_docs.py [ROOT]
"""
import pathlib
import re
import sys

DECLARATION = re.compile(r"^(SCREE_API|struct \w+ \{|enum \w+ \{|__attribute__\(\(visibility)")


def undocumented(path):
    """Declarations whose paragraph does not begin with a comment."""
    documented = in_comment = False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if in_comment:
            in_comment = "*/" not in line
            continue
        if line.startswith("/*"):
            documented, in_comment = True, "*/" not in line
        elif not line.strip():
            documented = False
        elif DECLARATION.match(line) and not documented:
            yield f"{path}:{number}: not documented: {line.strip()}"


def headless(root, path):
    name = path.relative_to(root / ("src" if "src" in path.parts else "include"))
    head = path.read_text().split("\n", 1)[0]
    if not head.startswith(f"/* {name} - "):
        yield f"{path}:1: the first line should be '/* {name} - what it is'"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    found = []
    for path in sorted((root / "include").rglob("*.h")):
        found += [*undocumented(path), *headless(root, path)]
    for path in sorted((root / "src").rglob("*.h")):
        found += headless(root, path)
    print("\n".join(found) or "docs: ok")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
