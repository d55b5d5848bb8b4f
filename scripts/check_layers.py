#!/usr/bin/env python3
"""Checks that each file includes only what is on its own floor or below it.

    scripts/check_layers.py [root]

Prints file:line for each include that goes up, and for each file that the table does not place.
"""

import fnmatch
import pathlib
import re
import sys

# From the lowest floor to the highest. A file belongs to the first pattern that matches its path.
FLOORS = [
    ("queues", [
        "include/event/detail/callable.hpp",
        "include/event/detail/callback.hpp",
        "include/event/detail/export.hpp",
        "include/event/detail/node.hpp",
        "include/event/error.hpp",
        "include/event/events.hpp",
        "include/event/fwd.hpp",
        "include/event/hook.hpp",
        "include/event/manual_time.hpp",
        "include/event/options.hpp",
        "include/event/stats.hpp",
        "include/event/time.hpp",
        "src/core/active_queue.?pp",
        "src/core/attention.hpp",
        "src/core/*_array.hpp",
        "src/core/hooks.?pp",
        "src/core/outcome.hpp",
        "src/core/post_queue.?pp",
        "src/core/short_lock.hpp",
        "src/core/task_queue.?pp",
        "src/core/text.hpp",
        "src/core/timer_queue.?pp",
    ]),
    ("backend", [
        "src/backend/*.?pp",
    ]),
    ("loop", [
        "src/core/alarms.?pp",
        "src/core/dispatch.cpp",
        "src/core/fd_table.?pp",
        "src/core/fork.cpp",
        "src/core/fork_safe_lock.hpp",
        "src/core/loop.?pp",
        "src/core/observe.cpp",
        "src/core/processes.hpp",
        "src/core/signals.?pp",
        "src/core/waker.hpp",
        "src/core/watch.cpp",
    ]),
    ("event", [
        "include/event/alarm.hpp",
        "include/event/base.hpp",
        "include/event/child.hpp",
        "include/event/detail/owned.hpp",
        "include/event/event.hpp",
        "include/event/event_object.hpp",
        "include/event/signal.hpp",
        "include/event/timer.hpp",
        "src/core/alarm.cpp",
        "src/core/base.cpp",
        "src/core/child.cpp",
        "src/core/error.cpp",
        "src/core/event_object.cpp",
        "src/core/hook.cpp",
        "src/core/owned.cpp",
    ]),
]

# Where an include is looked up: "event/base.hpp" is include/event/base.hpp, "core/loop.hpp" is
# src/core/loop.hpp.
INCLUDE_DIRECTORIES = ["include", "src"]
INCLUDE = re.compile(r'\s*#\s*include\s*(?:"(?P<own>[^"]+)"|<(?P<own_in_brackets>event/[^>]+)>)')


def floor_of(path):
    """The number of the floor of a file, or None if the table does not place it."""
    for number, (_, patterns) in enumerate(FLOORS):
        if any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns):
            return number
    return None


def name(number):
    return FLOORS[number][0]


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
        yield f"{path}:1: is on no floor: add it to the table in scripts/check_layers.py"
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
        if file.is_file())
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
