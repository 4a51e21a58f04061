#!/usr/bin/env python3
"""Makes a C file of a text: const char NAME_text[] and const size_t NAME_bytes, for the HEADER that declares them.

usage: embed_text.py NAME HEADER FILE > file.c
"""
import pathlib
import sys


def main():
    name, header, path = sys.argv[1:4]
    data = pathlib.Path(path).read_bytes()
    print(f'/* Made by tools/embed_text.py. */\n#include "{header}"\n\nconst char {name}_text[] = {{')
    for at in range(0, len(data), 24):
        print("    " + ", ".join(str(byte if byte < 128 else byte - 256) for byte in data[at:at + 24]) + ",")
    print(f"    0}};\nconst size_t {name}_bytes = sizeof {name}_text - 1;")


if __name__ == "__main__":
    main()
