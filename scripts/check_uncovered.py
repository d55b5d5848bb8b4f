#!/usr/bin/env python3
"""Fails if docs/coverage.md does not explain every line that no test reaches:

  check_uncovered.py REPORT.json     as gcovr writes it

A row of the table names a file, a function in it, how many lines, and why. More lines than that are
a failure, and so is a row of which all lines are reached by now; a row may say "up to" a number of
lines, where what is reached depends on the moment.
"""

import collections
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "coverage.md"
ROW = re.compile(r"^\| `([^`]+)` \| `([^`]+)` \| (up to )?(\d+) \| \S.* \|$", re.M)


def short(name):
    """Class::function of a demangled name: no namespaces, arguments, or lambdas inside it."""
    name = name.replace("(anonymous namespace)::", "").replace("{anonymous}::", "")
    name = re.sub(r"::\{lambda.*", "", name)
    name = re.sub(r"\[.*?\]", "", name)
    while re.search(r"<[^<>]*>", name) and "operator<" not in name:
        name = re.sub(r"<[^<>]*>", "", name)
    name = name.split("(")[0].split(" ")[-1]
    return re.sub(r"^(event::|detail::)+", "", name)


def functions_of(file):
    """The line at which each function begins, in order."""
    starts = {}
    for function in file["functions"]:
        name = short(function["name"])
        known = starts.get(function["lineno"])
        # A lambda has the name of what it is in, once that is known.
        if known is None or len(name) < len(known):
            starts[function["lineno"]] = name
    return sorted(starts.items())


def uncovered(report):
    """The lines of each file and function that were never reached."""
    found = collections.defaultdict(list)
    for file in report["files"]:
        starts = functions_of(file)
        for line in file["lines"]:
            if line["count"] or line.get("gcovr/noncode"):
                continue
            before = [name for start, name in starts if start <= line["line_number"]]
            found[file["file"], before[-1] if before else "?"].append(line["line_number"])
    return found


def main():
    found = uncovered(json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")))
    explained = {}
    for file, function, at_most, count in ROW.findall(PAGE.read_text(encoding="utf-8")):
        explained[file, function] = (bool(at_most), int(count))
    wrong = 0
    for key in sorted(found.keys() | explained.keys()):
        lines = found.get(key, [])
        at_most, count = explained.get(key, (False, 0))
        if len(lines) == count or (at_most and len(lines) < count):
            continue
        wrong += 1
        where = ", ".join(map(str, lines)) or "none"
        print(f"{key[0]}: {key[1]}: lines not reached: {where}; explained in docs/coverage.md: {count}")
    total = sum(map(len, found.values()))
    print(f"{total} lines not reached, in {len(found)} functions; {wrong} of those not as explained")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
