#!/usr/bin/env python3
"""Fails if a page names a test that does not exist:  check_traps.py FOLDER

The folder has the test programs, *_tests, of a build.

The pages are docs/traps.md, SECURITY.md, and others that name tests as `Suite.Name`.

Tests of a file that is for builds with another backend are looked up in the file.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = [page for page in (ROOT / "docs" / "traps.md", ROOT / "SECURITY.md",
                           ROOT / "docs" / "reliability.md") if page.exists()]
# Suites and tests are in PascalCase, which `CHANGELOG.md` is not.
NAMED = re.compile(r"`(\w+\.[A-Z]\w+)`")


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
    for file in sorted((ROOT / "tests").rglob("*_test.cpp")):
        text = file.read_text(encoding="utf-8")
        if re.search(r"^#if EVENT_HAVE_\w+$", text, re.M) and text.rstrip().endswith("#endif"):
            for suite, name in re.findall(r"^TEST(?:_F|_P)?\((\w+),\s*(\w+)\)", text, re.M):
                yield f"{suite}.{name}"


def main():
    programs = sorted(pathlib.Path(sys.argv[1]).glob("*_tests"))
    known = set(tests_of_other_builds()).union(*(tests_of(program) for program in programs))
    named = unknown = 0
    for page in PAGES:
        on_page = set(NAMED.findall(page.read_text(encoding="utf-8"))) - {"Suite.Name"}
        named += len(on_page)
        for name in sorted(on_page - known):
            unknown += 1
            print(f"{page.relative_to(ROOT)}: no such test: {name}")
    print(f"{named} tests named, {unknown} of them unknown")
    return 1 if unknown or not named else 0


if __name__ == "__main__":
    sys.exit(main())
