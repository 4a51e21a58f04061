#!/usr/bin/env python3
"""Checks what the libraries define: the shared one exactly the functions of the public headers, the static
one nothing outside the scree_ prefix.

usage: check_symbols.py ROOT libscree.so libscree.a
"""
import pathlib
import re
import subprocess
import sys


def defined(arguments):
    lines = subprocess.run(["nm", "--defined-only", *arguments], check=True, text=True,
                           capture_output=True).stdout.splitlines()
    return {line.split()[2] for line in lines if re.match(r"[0-9a-f]+ [TDBRVW] ", line)}


def main():
    root, shared, static = map(pathlib.Path, sys.argv[1:4])
    headers = "".join(p.read_text() for p in (root / "include/scree").glob("*.h"))
    headers = re.sub(r"/\*.*?\*/", "", headers, flags=re.S)
    public = set(re.findall(r"\b(scree_\w+)\(", headers))
    exported = defined(["-D", str(shared)])
    found = [f"exported but not in a public header: {name}" for name in sorted(exported - public)]
    found += [f"in a public header but not exported: {name}" for name in sorted(public - exported)]
    # Names that begin with two underscores are the compiler's own (sanitizers).
    found += [f"static library defines {name}" for name in sorted(defined([str(static)]))
              if not name.startswith(("scree_", "__", "_"))]
    print("\n".join(found) or "symbols: ok")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
