#!/usr/bin/env python3
"""Fails if the table of systems in README.md says otherwise than cmake/platform.cmake:

    scripts/check_platforms.py
"""

import sys

from platforms import ROOT, Platform

CMAKE_NAMES = {"macOS": "Darwin"}


def table():
    """The backends of each system, as README.md has them."""
    rows = [
        [cell.strip() for cell in line.strip("|\n").split("|")]
        for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("|")
    ]
    start = next(i for i, row in enumerate(rows) if row[0] == "system")
    backends = rows[start][1:]
    for row in rows[start + 2:]:
        if len(row) != len(backends) + 1:
            return
        yield row[0], {name for name, cell in zip(backends, row[1:]) if cell != "-"}


def main():
    wrong = 0
    systems = 0
    for system, backends in table():
        if not backends:
            continue  # not supported
        systems += 1
        built = set(Platform(CMAKE_NAMES.get(system, system)).backends)
        if backends != built:
            wrong += 1
            print(f"README.md: {system} has {sorted(backends)}; the build: {sorted(built)}")
    print(f"{systems} systems, {wrong} of them wrong")
    return 1 if wrong or not systems else 0


if __name__ == "__main__":
    sys.exit(main())
