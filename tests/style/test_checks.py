#!/usr/bin/env python3
"""Plants a violation of each kind in a copy of a tiny tree: every checker must find it, and must pass
the tree without it."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"

LAYERS = "| layer | what | may include |\n|---|---|---|\n| base | x | |\n| model | x | base |\n"
HEADER = '/* scree/scree.h - a header. */\n\n/* Adds. */\nSCREE_API int scree_add(int a);\n'


class Checks(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)
        self.write("docs/layers.md", LAYERS)
        self.write("include/scree/scree.h", HEADER)
        self.write("src/model/a.c", '#include "base/error.h"\n#include <stdio.h>\n')
        self.write("src/base/b.h", "/* base/b.h - a header. */\n")

    def tearDown(self):
        self.folder.cleanup()

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run_tool(self, name):
        done = subprocess.run([sys.executable, str(TOOLS / name), str(self.root)],
                              capture_output=True, text=True)
        return done.returncode, done.stdout

    def expect(self, tool, name, text, message):
        self.assertEqual(self.run_tool(tool)[0], 0)
        self.write(name, text)
        code, output = self.run_tool(tool)
        self.assertEqual(code, 1)
        self.assertIn(message, output)

    def test_upward_include(self):
        self.expect("check_layers.py", "src/base/c.c", '#include "model/graph.h"\n',
                    "base may not include model")

    def test_inner_layer(self):
        self.write("docs/layers.md", LAYERS + "| device | x | base |\n| device/emu | x | base device |\n")
        self.write("src/device/emu/a.c", '#include "device/b.h"\n#include "device/emu/a.h"\n')
        self.expect("check_layers.py", "src/device/c.c", '#include "device/emu/a.h"\n',
                    "device may not include device/emu")

    def test_unknown_layer(self):
        self.expect("check_layers.py", "src/novel/c.c", "\n", "'novel' is not in docs/layers.md")

    def test_banned_function(self):
        self.expect("check_banned.py", "src/base/c.c", "int x;\nint f(char *p)\n{\n    return atoi(p);\n}\n",
                    "c.c:4: atoi() is not used here")

    def test_banned_function_in_comment_is_fine(self):
        self.write("src/base/c.c", "/* not atoi() */\n")
        self.assertEqual(self.run_tool("check_banned.py")[0], 0)

    def test_tab(self):
        self.expect("check_banned.py", "src/base/c.c", "\tint x;\n", "tab")

    def test_undocumented_function(self):
        self.expect("check_docs.py", "include/scree/scree.h",
                    HEADER + "\nSCREE_API int scree_sub(int a);\n", "not documented")

    def test_header_without_head(self):
        self.expect("check_docs.py", "src/base/c.h", "int x;\n", "the first line should be")


if __name__ == "__main__":
    unittest.main()
