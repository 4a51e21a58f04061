#!/usr/bin/env python3
"""Replaces what is between the lines <!-- MARK --> and <!-- /MARK --> of a page by standard input, if there is any.

usage: fill.py PAGE MARK < TEXT
"""
import pathlib
import sys


def main():
    page, mark = pathlib.Path(sys.argv[1]), sys.argv[2]
    text = sys.stdin.read().strip()
    before, rest = page.read_text().split(f"<!-- {mark} -->", 1)
    after = rest.split(f"<!-- /{mark} -->", 1)[1]
    if text:
        page.write_text(f"{before}<!-- {mark} -->\n{text}\n<!-- /{mark} -->{after}")


if __name__ == "__main__":
    main()
