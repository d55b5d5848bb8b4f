#!/usr/bin/env python3
"""scripts/check_docs.py finds what it is for:  check_docs_test.py COMPILER"""

import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import check_docs  # noqa: E402

COMPILER = sys.argv.pop(1)

PROGRAM = """
```cpp
#include <cstdio>
int main() { std::puts("hello"); }
```
"""


class Snippets(unittest.TestCase):
    def fault(self, text):
        (snippet,) = check_docs.snippets_of("page.md", text)
        with tempfile.TemporaryDirectory() as work:
            path = pathlib.Path(work)
            (path / "event.hpp").write_text("")
            return check_docs.fault_of(snippet, 0, COMPILER, [], path)

    def test_that_print_what_is_shown_pass(self):
        self.assertIsNone(self.fault(PROGRAM + "\n```text\nhello\n```\n"))

    def test_that_print_something_else_are_faults(self):
        self.assertIn("prints", self.fault(PROGRAM + "\n```text\ngoodbye\n```\n"))

    def test_that_print_what_is_not_shown_are_faults(self):
        self.assertIn("prints", self.fault(PROGRAM))

    def test_that_do_not_compile_are_faults_at_their_line(self):
        self.assertIn("page.md:3", self.fault("```cpp\nint main() {\n  return nothing;\n}\n```\n"))

    def test_with_a_warning_are_faults(self):
        self.assertIn("unused", self.fault("```cpp\nint main() {\n  int x = 1;\n}\n```\n"))

    def test_that_fail_are_faults(self):
        self.assertIn("status 3", self.fault("```cpp\nint main() { return 3; }\n```\n"))

    def test_that_do_not_end_are_faults(self):
        check_docs.SECONDS = 1
        self.addCleanup(setattr, check_docs, "SECONDS", 20)
        self.assertIn("does not end",
                      self.fault("```cpp\n#include <unistd.h>\nint main() { ::pause(); }\n```\n"))


class Links(unittest.TestCase):
    def test_lead_to_headings_as_github_names_them(self):
        self.assertEqual(list(check_docs.anchors_of("## Errors, and Debug builds\n")),
                         ["#errors-and-debug-builds"])


class Headers(unittest.TestCase):
    def faults(self, *rows):
        text = "".join(f"| [`event/{name}.hpp`](x) | something | {library} |\n" for name, library in rows)
        return list(check_docs.faults_of_headers(text, {"base", "net/socket", "adapters/curl"}))

    def test_that_are_all_there_have_no_fault(self):
        self.assertEqual(self.faults(("base", "`event::event`"), ("net/socket", "`event::net`"),
                                     ("adapters/curl", "`event::net`, libcurl")), [])

    def test_that_are_missing_or_of_another_library_are_faults(self):
        self.assertEqual(self.faults(("base", "`event::net`"), ("net/socket", "`event::net`")),
                         ["not in the table: adapters/curl.hpp", "base.hpp is not of event::net"])

    def test_that_do_not_exist_or_are_named_twice_are_faults(self):
        self.assertEqual(len(self.faults(*[("base", "`event::event`")] * 2, ("net/socket", "`event::net`"),
                                         ("adapters/curl", "`event::net`"), ("gone", "`event::event`"))), 3)


if __name__ == "__main__":
    unittest.main()
