#!/usr/bin/env python3
"""Checks C sources for functions and habits that the project does not use, and text for odd characters.

usage: check_banned.py [ROOT]
"""
import pathlib
import re
import sys

BANNED = ("strcpy strcat sprintf vsprintf gets strtok atoi atol atof rand srand alloca setjmp longjmp "
          "system popen tmpnam").split()
CALL = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(BANNED))
# cmocka.h cannot be included without setjmp.h: the include is allowed, the call is not.
# libjpeg's error functions must not return: it is used in one function that they jump back to.
ALLOWED = {("src/media/jpeg.c", "setjmp"), ("src/media/jpeg.c", "longjmp")}
SOURCES = ("src", "include", "tests", "examples", "bench")
TEXT = (".c", ".h", ".inc", ".py", ".md", ".build", ".sh")


def strip_comments(text):
    """Comments and strings blanked, line numbers kept."""
    pattern = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def violations(root):
    files = [p for top in SOURCES for p in sorted((root / top).rglob("*")) if p.is_file()]
    for path in files:
        if path.suffix not in TEXT:
            continue
        text = path.read_text(encoding="utf-8")
        if path.suffix in (".c", ".h", ".inc"):
            for number, line in enumerate(strip_comments(text).splitlines(), 1):
                for match in CALL.finditer(line):
                    if (str(path.relative_to(root)), match.group(1)) in ALLOWED:
                        continue
                    yield f"{path}:{number}: {match.group(1)}() is not used here"
        for number, line in enumerate(text.splitlines(), 1):
            if "\t" in line:
                yield f"{path}:{number}: tab"
            if line != line.rstrip():
                yield f"{path}:{number}: trailing space"
            odd = re.search(r"[^\x20-\x7e]", line)
            if odd and path.suffix != ".md" and "\t" not in line:
                yield f"{path}:{number}: character U+{ord(odd.group()):04X}"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    found = list(violations(root))
    print("\n".join(found) or "banned: ok")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
