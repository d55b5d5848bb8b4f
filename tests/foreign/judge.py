#!/usr/bin/env python3
"""Programs that Debian has linked with libevent 2.1 judge this library: none of them is changed.

    judge.py NAME|all|speed [--backend epoll|poll] [--preset release|asan|tsan]

The directory libevent/ has libevent's API over the public API of this library: a `struct event` has an
Event of its own. With libevent's own upper layers (buffers, HTTP, DNS ...) it is a shared library with
libevent's name, libevent-2.1.so.7. Each judge is a program of Debian, with its own test suite or
driven by its own command line: judges/NAME.py. It runs with Debian's libevent first and with ours
second, and we may do worse only where differences.py says so and why. speed.py measures both instead.

What fails with ours alone is tried again alone, twice, with both: a busy machine makes some suites
fail. All is below build/foreign; nothing is installed, all sockets are local, nothing is left running.
"""

import argparse
import collections
import importlib
import pathlib
import subprocess
import sys

import speed
from debian import Debian
from differences import DIFFERENCES
from library import Library

HERE = pathlib.Path(__file__).parent
PROJECT = HERE.parent.parent
TRIES = 3


def build(debian, preset):
    """The directory of our library, and libevent's own tests."""
    source = debian.source("libevent")
    directory = debian.directory / preset
    # libevent's users add events from any thread, under its lock. Our assertions allow only for the
    # thread that runs the base: they are left out, and the thread sanitizer looks instead.
    options = [f"-DEVENT_FOREIGN_LIBEVENT={source}", "-DCMAKE_CXX_FLAGS=-DNDEBUG"]
    targets = ["foreign_libevent", "foreign_regress", "foreign_http"]
    for command in (["cmake", "--preset", preset, "-B", directory, *options],
                    ["cmake", "--build", directory, "--parallel", "2", "--target", *targets]):
        done = subprocess.run(command, cwd=PROJECT, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        if done.returncode != 0:
            sys.exit(done.stdout)
    return directory / "tests/foreign"


def judged(name, theirs, ours):
    """The results with both, and what failed with ours first and passed later."""
    module = importlib.import_module(f"judges.{name}")
    theirs.debian.install(module.PACKAGES)
    results = [module.judge(library) for library in (theirs, ours)]
    unsteady = set()
    for _ in range(TRIES - 1):
        again = {case for case, _ in worse(name, *results)}
        if not again:
            break
        for library, result in zip((theirs, ours), results):
            for case, state in module.judge(library, again).items():
                if case in again and state != "failed":
                    if library is ours:
                        unsteady.add(case)
                    result[case] = state
    return *results, unsteady


def worse(name, theirs, ours):
    """Cases that do not pass with ours though they do with Debian's, for no reason that is named."""
    found = []
    for case, state in theirs.items():
        other = ours.get(case, "missing")
        if state == "passed" and other != "passed" and (name, case) not in DIFFERENCES:
            found.append((case, other))
    return found


def group_of(name, case):
    return f"{name} {case.split('/')[0]}" if name == "regress" else name


def table(name, theirs, ours):
    counts = collections.defaultdict(lambda: [collections.Counter(), collections.Counter()])
    for column, results in enumerate((theirs, ours)):
        for case, state in results.items():
            counts[group_of(name, case)][column][state] += 1
    return [(group, *columns) for group, columns in sorted(counts.items())]


def show(rows):
    print("\n| judge | Debian's: passed, failed, skipped | ours: passed, failed, skipped |\n|---|---|---|")
    for group, *columns in rows:
        cells = [f"{count['passed']}, {count['failed']}, {count['skipped']}" for count in columns]
        print(f"| {group} | {' | '.join(cells)} |")


def main():
    parser = argparse.ArgumentParser()
    names = sorted(path.stem for path in (HERE / "judges").glob("*.py"))
    parser.add_argument("name", choices=[*names, "all", "speed"])
    parser.add_argument("--backend", choices=["epoll", "poll"], default="epoll")
    parser.add_argument("--preset", default="release")
    options = parser.parse_args()

    debian = Debian(PROJECT / "build/foreign")
    built = build(debian, options.preset)
    common = {"debian": debian, "backend": options.backend, "preset": options.preset}
    scratch = PROJECT / "build/foreign/run"
    theirs = Library("Debian's libevent", scratch=scratch / "theirs", **common)
    ours = Library("ours", scratch=scratch / "ours", directory=built / "libevent", **common)
    for library in (theirs, ours):
        library.regress = built / "foreign_regress"
        library.http = built / "foreign_http"
    if options.name == "speed":
        return speed.compare(theirs, ours)

    rows = []
    failures = []
    for name in names if options.name == "all" else [options.name]:
        print(f"{name} ...", flush=True)
        before, after, unsteady = judged(name, theirs, ours)
        rows += table(name, before, after)
        for case in sorted(unsteady):
            print(f"{name}: passed when tried again: {case}")
        for case in sorted(case for case in before if before[case] == after.get(case) == "failed"):
            print(f"{name}: fails with both: {case}")
        for (judge, case), reason in DIFFERENCES.items():
            if judge == name and before.get(case) == "passed" and after.get(case) != "passed":
                print(f"{name}: differs, as it is to: {case}: {reason}")
        failures += [f"{name}: {case}: {state} with ours" for case, state in worse(name, before, after)]
        failures += [f"{name}: {report}" for report in ours.reports()]
        if not any(state == "passed" for state in before.values()):
            failures.append(f"{name}: nothing passes with Debian's libevent either")
    show(rows)
    for failure in failures:
        print(failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
