#!/usr/bin/env python3
"""What is configured on a machine that lacks what tests and examples need.

    tests/scripts/optional_parts_test.py CMAKE GENERATOR COMPILER
"""

import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CMAKE, GENERATOR, COMPILER = sys.argv[1:4]
# package: the part that needs it, and its name in Debian
NEEDED = {"CLI11": ("EXAMPLES", "libcli11-dev"), "GTest": ("TESTS", "libgtest-dev"),
          "Python3": ("TESTS", "python3"), "Cares": ("DNS", "libc-ares-dev"),
          "OpenSSL": ("TLS", "libssl-dev")}


def configure(missing, *arguments, preset=None):
    """Returns whether it worked, what was said, and the names of the targets."""
    with tempfile.TemporaryDirectory(prefix="event-parts-") as build:
        command = [CMAKE, "-S", str(ROOT), "-B", build, f"-DCMAKE_CXX_COMPILER={COMPILER}",
                   "-DEVENT_HARDENING=OFF", *(f"-DCMAKE_DISABLE_FIND_PACKAGE_{package}=ON"
                                              for package in missing), *arguments]
        command += ["--preset", preset] if preset else ["-G", GENERATOR]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False)
        targets = ""
        if done.returncode == 0:
            targets = subprocess.run([CMAKE, "--build", build, "--target", "help"], text=True,
                                     stdout=subprocess.PIPE, check=True).stdout
        return done.returncode == 0, " ".join(done.stdout.split()), targets


class OptionalParts(unittest.TestCase):
    def test_are_left_out_and_named_if_nothing_is_there_but_a_compiler(self):
        worked, said, targets = configure([*NEEDED, "PkgConfig"])
        self.assertTrue(worked, said)
        self.assertIn("event_shared", targets)
        self.assertNotIn("event_tests", targets)
        self.assertNotIn("echo_server", targets)
        self.assertNotIn("event_dns", targets)
        self.assertIn("EVENT_BUILD_DNS=OFF: Cares was not found (Debian: libc-ares-dev)", said)
        self.assertNotIn("event_tls", targets)
        self.assertIn("EVENT_BUILD_TLS=OFF: OpenSSL was not found (Debian: libssl-dev)", said)
        self.assertIn("EVENT_BUILD_EXAMPLES=OFF: CLI11 was not found (Debian: libcli11-dev)", said)
        self.assertIn("EVENT_BUILD_TESTS=OFF: Python3 was not found (Debian: python3)", said)

    def test_are_left_out_each_by_itself(self):
        worked, said, targets = configure(["GTest"])
        self.assertTrue(worked, said)
        self.assertIn("EVENT_BUILD_TESTS=OFF: GTest was not found (Debian: libgtest-dev)", said)
        self.assertIn("echo_server", targets)
        self.assertNotIn("event_tests", targets)

        worked, said, targets = configure(["CLI11"])
        self.assertTrue(worked, said)
        self.assertIn("event_tests", targets)
        self.assertNotIn("echo_server", targets)

    def test_are_an_error_if_they_were_asked_for(self):
        for package, (part, debian) in NEEDED.items():
            worked, said, _ = configure([package], f"-DEVENT_BUILD_{part}=ON")
            self.assertFalse(worked, package)
            self.assertIn(f"EVENT_BUILD_{part}=ON needs {package}", said)
            self.assertIn(debian, said)

    def test_are_not_needed_by_the_echo_server(self):
        script = (ROOT / "scripts/echo_server.sh").read_text(encoding="utf-8")
        options = re.search(r"^cmake --preset release (.*)$", script, re.M)[1]
        expanded = subprocess.run(["bash", "-c", f"echo {options}"], text=True, check=True,
                                  stdout=subprocess.PIPE).stdout.split()
        worked, said, targets = configure([*(set(NEEDED) - {"CLI11"}), "PkgConfig"], *expanded,
                                          preset="release")
        self.assertTrue(worked, said)
        self.assertIn("echo_server", targets)

    def test_are_asked_for_by_the_presets(self):
        for package in NEEDED:
            worked, said, _ = configure([package], preset="dev")
            self.assertFalse(worked, package)
            self.assertIn(f"=ON needs {package}", said)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
