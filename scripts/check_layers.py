#!/usr/bin/env python3
"""Checks that each file includes only what is on its own floor or below it.

    scripts/check_layers.py [root]

The folders of src/ are the floors. Prints file:line for each include that goes up, and for each file
that is on no floor.
"""

import pathlib
import re
import sys

# From the lowest floor to the highest.
FLOORS = ["words", "base", "sys", "poller", "loop", "api", "co", "net", "dns", "tls", "adapters"]

# The public headers that lower floors speak with: values and plain data. Those of include/event/co,
# and co.hpp, are on the floor of src/co, and so on; all other public headers declare what src/api implements,
# and are on its floor.
WORDS = {
    "include/event/" + name + ".hpp"
    for name in ["error", "event_mask", "fwd", "hook", "manual_time", "options", "stats", "time",
                 "detail/callable", "detail/callback", "detail/export", "detail/node"]
}

# Where an include is looked up: "event/base.hpp" is include/event/base.hpp, "loop/loop.hpp" is
# src/loop/loop.hpp.
INCLUDE_DIRECTORIES = ["include", "src"]
INCLUDE = re.compile(r'\s*#\s*include\s*(?:"(?P<own>[^"]+)"|<(?P<own_in_brackets>event/[^>]+)>)')


def floor_of(path):
    """The number of the floor of a file, or None if it is on none."""
    if path.startswith("include/"):
        upper = re.match(r"include/event/(\w+)[./]", path)
        if upper and upper[1] in FLOORS[FLOORS.index("api") + 1:]:
            return FLOORS.index(upper[1])
        return FLOORS.index("words" if path in WORDS else "api")
    folder = path.split("/")[1]
    return FLOORS.index(folder) if folder in FLOORS else None


def name(number):
    return FLOORS[number]


def includes(file):
    """The project's own includes in a file, as (line number, what is included)."""
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        match = INCLUDE.match(line)
        if match:
            yield number, match["own"] or match["own_in_brackets"]


def resolve(root, included):
    """The path of an included file from the root, or None if there is no such file."""
    for directory in INCLUDE_DIRECTORIES:
        if (root / directory / included).is_file():
            return f"{directory}/{included}"
    return None


def faults_of(root, path):
    """What is wrong with one file, as lines of text."""
    floor = floor_of(path)
    if floor is None:
        yield f"{path}:1: is on no floor: see FLOORS in scripts/check_layers.py"
        return
    for line, included in includes(root / path):
        target = resolve(root, included)
        if target is None:
            yield f"{path}:{line}: includes {included}, which is neither in include/ nor in src/"
        elif path.startswith("include/") and target.startswith("src/"):
            yield f"{path}:{line}: public header includes {target}, which is not installed"
        elif floor_of(target) is not None and floor_of(target) > floor:
            yield (f"{path}:{line}: floor {name(floor)} includes {target} "
                   f"of floor {name(floor_of(target))} above it")


def check(root):
    files = sorted(
        file.relative_to(root).as_posix()
        for directory in INCLUDE_DIRECTORIES
        for file in (root / directory).rglob("*")
        if file.suffix in (".cpp", ".hpp"))
    return files, [fault for path in files for fault in faults_of(root, path)]


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    files, faults = check(root)
    if not files:
        faults = [f"{root}: no source files here"]
    for fault in faults:
        print(fault, file=sys.stderr)
    if not faults:
        print(f"{len(files)} files, each on its floor")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
