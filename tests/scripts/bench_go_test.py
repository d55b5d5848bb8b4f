"""The benchmarks go without the contender in Go where it cannot be built, and say why."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "bench" / "go" / "build.sh"
COMMANDS = ("bash", "cp", "dirname", "rm", "timeout", "touch")


def build(go):
    """Builds with a `go` that does this, or with none. What is then there: bench_go, why not."""
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        (root / "bin").mkdir()
        for command in COMMANDS:
            os.symlink(shutil.which(command), root / "bin" / command)
        if go is not None:
            (root / "bin" / "go").write_text(f"#!{shutil.which('bash')}\n{go}\n", encoding="utf-8")
            (root / "bin" / "go").chmod(0o755)
        (root / "bench_go").touch()  # of an earlier build
        subprocess.run(["bash", SCRIPT, root], env={"PATH": str(root / "bin")}, check=True)
        why = root / "bench_go.missing"
        return (root / "bench_go").exists(), why.read_text("utf-8") if why.exists() else None


class BenchGo(unittest.TestCase):
    def test_says_that_go_is_not_installed(self):
        self.assertEqual(build(None), (False, "Go is not installed\n"))

    def test_says_in_a_line_what_go_said_last(self):
        self.assertEqual(build("echo go: one >&2; echo no such host >&2; exit 1"),
                         (False, "go build failed: no such host\n"))

    def test_says_that_go_took_too_long(self):
        self.assertEqual(build("exit 124"), (False, "go build took more than a minute\n"))

    def test_says_nothing_when_it_was_built(self):
        self.assertEqual(build('while [[ $1 != -o ]]; do shift; done; touch "$2"'), (True, None))


if __name__ == "__main__":
    unittest.main()
