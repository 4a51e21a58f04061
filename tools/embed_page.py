#!/usr/bin/env python3
"""Makes one page of web/page.html, page.css and page.js, as a C file: see src/serve/page.h.

usage: embed_page.py HTML CSS JS > page.c
"""
import base64
import hashlib
import pathlib
import sys

POLICY = ("default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src 'self' blob: data:; "
          "media-src blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")


def digest(text):
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def main():
    html, css, js = (pathlib.Path(path).read_text(encoding="utf-8") for path in sys.argv[1:4])
    for mark in ("/*STYLE*/", "/*SCRIPT*/"):
        if html.count(mark) != 1:
            sys.exit(f"{sys.argv[1]}: {mark} should be there once")
    if "</script" in js or "</style" in css:
        sys.exit("an end of the element in its text")
    page = html.replace("/*STYLE*/", css).replace("/*SCRIPT*/", js).encode()
    print("/* Made by tools/embed_page.py from web/. */\n#include \"serve/page.h\"\n\nconst char scree_page[] = {")
    for at in range(0, len(page), 24):
        print("    " + ", ".join(str(byte if byte < 128 else byte - 256) for byte in page[at:at + 24]) + ",")
    print("};\nconst size_t scree_page_bytes = sizeof scree_page;")
    print(f'const char scree_page_policy[] = "{POLICY.format(digest(js), digest(css))}";')


if __name__ == "__main__":
    main()
