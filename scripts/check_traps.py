#!/usr/bin/env python3
"""Fails if docs/traps.md names a test that does not exist:  check_traps.py TEST_PROGRAM

Tests of a file that is for builds with another backend are looked up in the file.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "traps.md"


def tests_of(program):
    """Suite.Name of each test, without what parameters put before and behind."""
    listed = subprocess.run([program, "--gtest_list_tests"], check=True, capture_output=True,
                            text=True).stdout
    suite = ""
    for line in listed.splitlines():
        name = line.split("#")[0].strip()
        if not line.startswith(" "):
            suite = name.rstrip(".").split("/")[-1]
        elif name:
            yield f"{suite}.{name.split('/')[0]}"


def tests_of_other_builds():
    """The same of each file all of which is inside #if EVENT_HAVE_<BACKEND>."""
    for file in sorted((ROOT / "tests").glob("*_test.cpp")):
        text = file.read_text(encoding="utf-8")
        if re.search(r"^#if EVENT_HAVE_\w+$", text, re.M) and text.rstrip().endswith("#endif"):
            for suite, name in re.findall(r"^TEST(?:_F|_P)?\((\w+),\s*(\w+)\)", text, re.M):
                yield f"{suite}.{name}"


def main():
    known = set(tests_of(sys.argv[1])) | set(tests_of_other_builds())
    named = set(re.findall(r"`(\w+\.\w+)`", PAGE.read_text())) - {"Suite.Name"}
    unknown = sorted(named - known)
    for name in unknown:
        print(f"docs/traps.md: no such test: {name}")
    print(f"{len(named)} tests named, {len(unknown)} of them unknown")
    return 1 if unknown or not named else 0


if __name__ == "__main__":
    sys.exit(main())
