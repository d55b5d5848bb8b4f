"""The C++ blocks of docs/coroutines.md compile, and its programs print what the page says.

    tests/scripts/coroutines_doc_test.py COMPILER LIBRARY...

A block with a main() is a program; a block ```text right behind it is its output. The others, one after
the other, are one source file.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
sys.dont_write_bytecode = True
import check_coroutines  # noqa: E402

DOCUMENT = ROOT / "docs/coroutines.md"
BLOCK = re.compile(r"^```cpp\n(.*?)^```$(?:\n+```text\n(.*?)^```$)?", re.M | re.S)
FLAGS = ["-std=c++20", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'include'}", "-xc++", "-"]
COMPILER, *LIBRARIES = [os.path.abspath(path) if os.path.exists(path) else path for path in sys.argv[1:]]


def blocks():
    """Line, code and expected output of each block."""
    text = DOCUMENT.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        yield text.count("\n", 0, match.start()) + 2, match[1], match[2] or ""


class CoroutinesDoc(unittest.TestCase):
    def test_programs_print_what_the_page_says(self):
        programs = [block for block in blocks() if "int main(" in block[1]]
        self.assertGreater(len(programs), 0)
        for line, code, output in programs:
            with self.subTest(line=line), tempfile.TemporaryDirectory() as directory:
                program = pathlib.Path(directory) / "program"
                subprocess.run([COMPILER, *FLAGS, "-xnone", *LIBRARIES, "-pthread", "-o", program],
                               input=code, text=True, check=True)
                run = subprocess.run([program], capture_output=True, text=True, timeout=20, check=True)
                self.assertEqual(run.stdout, output)

    def test_the_other_blocks_compile(self):
        source = ""
        for line, code, _ in blocks():
            if "int main(" not in code:
                source += "\n" * (line - 1 - source.count("\n")) + code  # errors name the page's lines
        self.assertNotEqual(source, "")
        subprocess.run([COMPILER, *FLAGS, "-fsyntax-only"], input=source, text=True, check=True)

    def test_no_block_has_an_unsafe_form(self):
        for line, code, _ in blocks():
            with self.subTest(line=line):
                self.assertEqual(check_coroutines.check(code), [])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
