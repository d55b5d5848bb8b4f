"""The layer check finds what it is there to find. Each test is a source tree with one fault."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
sys.dont_write_bytecode = True
import check_layers  # noqa: E402


def faults(files):
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        return check_layers.check(root)[1]


class CheckLayers(unittest.TestCase):
    def test_accepts_includes_of_its_own_floor_and_below(self):
        self.assertEqual(faults({
            "include/event/time.hpp": "#include <chrono>\n",
            "src/loop/fd_table.hpp": '#include "event/time.hpp"\n',
            "src/loop/loop.cpp": '#include "loop/fd_table.hpp"\n#include <event/time.hpp>\n',
        }), [])

    def test_reports_an_include_of_a_floor_above_with_its_line(self):
        self.assertEqual(faults({
            "include/event/base.hpp": "",
            "src/loop/fd_table.hpp": '#pragma once\n\n#include "event/base.hpp"\n',
        }), ["src/loop/fd_table.hpp:3: floor loop includes include/event/base.hpp "
             "of floor api above it"])

    def test_sees_through_brackets_and_spaces(self):
        self.assertEqual(len(faults({
            "include/event/base.hpp": "",
            "src/poller/poll.cpp": "  #  include <event/base.hpp>\n",
        })), 1)

    def test_reports_a_file_that_is_on_no_floor(self):
        self.assertEqual(faults({"src/core/surprise.cpp": ""}),
                         ["src/core/surprise.cpp:1: is on no floor: "
                          "see FLOORS in scripts/check_layers.py"])

    def test_reports_a_public_header_that_includes_a_private_one(self):
        self.assertEqual(faults({
            "include/event/base.hpp": '#include "loop/loop.hpp"\n',
            "src/loop/loop.hpp": "",
        }), ["include/event/base.hpp:1: public header includes src/loop/loop.hpp, "
             "which is not installed"])

    def test_reports_an_include_that_does_not_start_at_a_root(self):
        self.assertEqual(faults({
            "src/loop/loop.cpp": '#include "loop.hpp"\n',
            "src/loop/loop.hpp": "",
        }), ["src/loop/loop.cpp:1: includes loop.hpp, which is neither in include/ nor in src/"])


if __name__ == "__main__":
    unittest.main()
