#!/usr/bin/env python3
"""Compiles the C++ blocks of README.md, so that what people copy from there works.

    scripts/check_readme.py compiler

A block that has a main() is a program; any other goes into a function that has a base, a file
descriptor and a callback, as the text around the block says.
"""

import pathlib
import re
import subprocess
import sys

BLOCK = re.compile(r"^```cpp\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FRAME = """
#include <csignal>
#include <event/event.hpp>
using namespace std::chrono_literals;
using event::Events;
using event::Priority;
void snippet(int fd, void (*callback)()) {
#line %d "README.md"
%s}
"""


def programs(text):
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start()) + 2
        block = match[1]
        yield f'#line {line} "README.md"\n{block}' if "int main(" in block else FRAME % (line, block)


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    found = list(programs(pathlib.Path("README.md").read_text(encoding="utf-8")))
    for program in found:
        subprocess.run(
            [sys.argv[1], "-std=c++20", "-Wall", "-Wextra", "-Werror", "-Iinclude", "-fsyntax-only",
             "-xc++", "-"],
            input=program, text=True, check=True)
    print(f"{len(found)} blocks compile")
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
