#!/usr/bin/env python3
"""What the last line of scripts/test.sh says."""

import pathlib
import sys
import unittest
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
from summarize_tests import Summary  # noqa: E402


def summary_of(*cases):
    summary = Summary()
    for name, status, output in cases:
        case = xml.etree.ElementTree.Element("testcase", name=name, status=status)
        xml.etree.ElementTree.SubElement(case, "system-out").text = output
        summary.add(case)
    return str(summary)


class SummarizeTests(unittest.TestCase):
    def test_counts_each_test_of_a_share(self):
        share = "a_test.cpp:7: Skipped\nno IPv6\n[  PASSED  ] 1200 tests.\n[  SKIPPED ] 1 test.\n"
        self.assertEqual(summary_of(("api_tests_0", "run", share), ("layers", "run", "")),
                         "1,201 tests passed; none failed; 1 skipped (1 no IPv6)")

    def test_groups_the_reasons_of_what_was_skipped(self):
        one = "a_test.cpp:7: Skipped\nno fd\n[  PASSED  ] 0 tests.\n[  SKIPPED ] 1 test, listed below:\n"
        self.assertEqual(summary_of(("A.B", "notrun", one), ("A.C", "notrun", one),
                                    ("load", "notrun", "some lines\nno /proc\n")),
                         "0 tests passed; none failed; 3 skipped (2 no fd, 1 no /proc)")

    def test_names_what_failed(self):
        share = "[  FAILED  ] A.B/poll, where\n[  PASSED  ] 5 tests.\n[  FAILED  ] 1 test, listed below:\n"
        self.assertEqual(summary_of(("api_tests_1", "fail", share), ("stress", "fail", "")),
                         "5 tests passed; 2 FAILED (A.B/poll, stress); 0 skipped")


if __name__ == "__main__":
    unittest.main()
