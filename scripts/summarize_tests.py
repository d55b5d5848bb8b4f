#!/usr/bin/env python3
"""Says in one line what passed, what failed, and what was skipped and why.

    scripts/summarize_tests.py RESULTS.XML          as ctest --output-junit writes it

A share of the tests is one test to ctest; here each of its tests counts.
"""

import collections
import re
import sys
import xml.etree.ElementTree

MOST_NAMES = 10
REASON = re.compile(r"^\S+:\d+: Skipped\n(.*)$", re.MULTILINE)
FAILED = re.compile(r"^\[  FAILED  \] ([\w/]+\.[\w/.-]+)", re.MULTILINE)
COUNT = re.compile(r"^\[  (PASSED|SKIPPED|FAILED)\s+\] (\d+) tests?[.,]", re.MULTILINE)


class Summary:
    def __init__(self):
        self.passed = 0
        self.skipped = 0
        self.failed = []
        self.reasons = collections.Counter()

    def add(self, case):
        """A test of ctest's."""
        output = case.findtext("system-out", default="")
        status = case.get("status")
        counts = {name: int(number) for name, number in COUNT.findall(output)}
        if status == "disabled":
            self.skip(1, ["disabled"])
        elif status == "notrun":
            self.skip(1, REASON.findall(output) or [self.reason_of_program(output)])
        elif status == "fail":
            names = list(dict.fromkeys(FAILED.findall(output)))
            self.passed += counts.get("PASSED", 0)
            self.skip(counts.get("SKIPPED", 0), REASON.findall(output))
            self.failed += names or [case.get("name")]
        elif counts:
            self.passed += counts.get("PASSED", 0)
            self.skip(counts.get("SKIPPED", 0), REASON.findall(output))
        else:
            self.passed += 1

    def skip(self, number, reasons):
        self.skipped += number
        self.reasons.update(reason.strip() or "no reason given" for reason in reasons)
        if number > len(reasons):
            self.reasons["no reason given"] += number - len(reasons)

    @staticmethod
    def reason_of_program(output):
        """The last line of a program that ends with the status for that."""
        lines = output.strip().splitlines()
        return lines[-1] if lines else "no reason given"

    def __str__(self):
        parts = [f"{self.passed:,} tests passed"]
        if self.failed:
            names = ", ".join(self.failed[:MOST_NAMES])
            more = len(self.failed) - MOST_NAMES
            parts.append(f"{len(self.failed)} FAILED ({names}{f' and {more} more' if more > 0 else ''})")
        else:
            parts.append("none failed")
        reasons = ", ".join(f"{number} {reason}" for reason, number in self.reasons.most_common())
        parts.append(f"{self.skipped} skipped" + (f" ({reasons})" if reasons else ""))
        return "; ".join(parts)


def main():
    summary = Summary()
    for case in xml.etree.ElementTree.parse(sys.argv[1]).getroot().iter("testcase"):
        summary.add(case)
    print(summary)


if __name__ == "__main__":
    main()
