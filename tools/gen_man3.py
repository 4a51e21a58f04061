#!/usr/bin/env python3
"""Writes the man page libscree(3) from the comments of the public headers.

usage: gen_man3.py VERSION HEADER... > libscree.3
"""
import pathlib
import re
import sys


def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def comment_text(comment):
    """A comment without its frame."""
    lines = [re.sub(r"^\s*\*? ?", "", line) for line in comment[2:-2].strip().split("\n")]
    return "\n".join(lines).strip()


def paragraphs(text):
    """Prose filled by the formatter, indented text as it stands."""
    for block in re.split(r"\n\s*\n", text):
        if block.startswith("    "):
            yield ".PP\n.nf\n.RS\n" + roff(re.sub(r"^    ", "", block, flags=re.M)) + "\n.RE\n.fi\n"
        else:
            yield ".PP\n" + roff(block) + "\n"


def main():
    version, headers = sys.argv[1], sys.argv[2:]
    out = [f'.TH LIBSCREE 3 "" "scree {version}" "Library Functions"\n',
           ".nh\n.ad l\n.SH NAME\nlibscree \\- run quantized TensorFlow Lite models\n",
           ".SH SYNOPSIS\n.nf\n#include <scree/scree.h>\n\ncc ... $(pkg-config \\-\\-cflags \\-\\-libs scree)\n.fi\n"]
    for index, header in enumerate(headers):
        text = pathlib.Path(header).read_text()
        head = re.match(r"/\*.*?\*/", text, re.S).group()
        if index == 0:
            out.append(".SH DESCRIPTION\n")
            out += paragraphs(comment_text(head).split("\n", 1)[1].strip("\n"))
            out.append(".SH FUNCTIONS AND TYPES\n")
        body = re.sub(r"^#(?:if|el|endif|include|define SCREE_(?:API|VERSION_H|SCREE_\w*H)).*\n", "",
                      text[len(head):], flags=re.M)
        for match in re.finditer(r"(/\*(?:(?!\*/).)*\*/)\n((?:(?!/\*)[^\n]+\n)+)", body, re.S):
            declarations = match.group(2).replace("SCREE_API ", "").rstrip()
            out.append(".PP\n.nf\n\\fB" + roff(declarations) + "\\fP\n.fi\n.RS\n")
            out += paragraphs(comment_text(match.group(1)))
            out.append(".RE\n")
    out.append(".SH SEE ALSO\n.BR scree (1)\n")
    sys.stdout.write("".join(out))


if __name__ == "__main__":
    main()
