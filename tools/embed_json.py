#!/usr/bin/env python3
"""Makes a C file of a JSON document, without its white space.

usage: embed_json.py DOCUMENT HEADER NAME > NAME.c
"""
import json
import pathlib
import sys


def main():
    document, header, name = sys.argv[1:4]
    text = json.dumps(json.loads(pathlib.Path(document).read_text(encoding="utf-8")),
                      separators=(",", ":")).encode() + b"\n"
    print(f'/* Made by tools/embed_json.py from {pathlib.Path(document).name}. */')
    print(f'#include "{header}"\n\nconst char {name}[] = {{')
    for at in range(0, len(text), 24):
        print("    " + ", ".join(str(byte) for byte in text[at:at + 24]) + ",")
    print(f"}};\nconst size_t {name}_bytes = sizeof {name};")


if __name__ == "__main__":
    main()
