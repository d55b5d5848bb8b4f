#!/usr/bin/env python3
"""Fails if docs/traps.md names a test that does not exist:  check_traps.py TEST_PROGRAM"""

import pathlib
import re
import subprocess
import sys

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "traps.md"


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


def main():
    known = set(tests_of(sys.argv[1]))
    named = set(re.findall(r"`(\w+\.\w+)`", PAGE.read_text())) - {"Suite.Name"}
    unknown = sorted(named - known)
    for name in unknown:
        print(f"docs/traps.md: no such test: {name}")
    print(f"{len(named)} tests named, {len(unknown)} of them unknown")
    return 1 if unknown or not named else 0


if __name__ == "__main__":
    sys.exit(main())
