#!/usr/bin/env python3
"""Fails if the table of systems in README.md says otherwise than cmake/platform.cmake:

    scripts/check_platforms.py
"""

import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
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


def built(system):
    """What the build makes for a system."""
    with tempfile.NamedTemporaryFile("w", suffix=".cmake") as script:
        script.write(f"""
            cmake_minimum_required(VERSION 3.25)
            function(find_path)
            endfunction()
            function(find_library)
            endfunction()
            set(CMAKE_SYSTEM_VERSION 1000)
            set(EVENT_PLATFORM {CMAKE_NAMES.get(system, system)})
            set(URING_INCLUDE_DIR there)
            set(URING_LIBRARY there)
            include({ROOT}/cmake/platform.cmake)
        """)
        script.flush()
        done = subprocess.run(["cmake", "-P", script.name], check=True, capture_output=True, text=True)
    return set(re.search(r"Backends: (.*)", done.stdout)[1].split(", "))


def main():
    wrong = 0
    systems = 0
    for system, backends in table():
        if not backends:
            continue  # not supported
        systems += 1
        if backends != built(system):
            wrong += 1
            print(f"README.md: {system} has {sorted(backends)}; the build: {sorted(built(system))}")
    print(f"{systems} systems, {wrong} of them wrong")
    return 1 if wrong or not systems else 0


if __name__ == "__main__":
    sys.exit(main())
