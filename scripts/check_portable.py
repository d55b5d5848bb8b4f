#!/usr/bin/env python3
"""Compiles the library for systems with kqueue, as far as that can be done elsewhere.

    scripts/check_portable.py COMPILER [SYSTEM]

Without a system: every source that all systems share, with what only Linux has made unknown, and
looks for headers of Linux outside the files that are for it. With one: what is chosen for it, with
its constants and types from tests/support/bsd/SYSTEM. Nothing is linked or run.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BSD = ROOT / "tests" / "support" / "bsd"

WITH_USER_FILTER = ["wakeup_kqueue", "blocked_signals_kqueue"]
WITHOUT = ["wakeup_pipe", "blocked_signals_none"]
PARTS = {
    "FreeBSD": WITH_USER_FILTER,
    "DragonFly": WITH_USER_FILTER,
    "Darwin": WITH_USER_FILTER,
    "NetBSD": WITH_USER_FILTER,
    "NetBSD-9": WITHOUT,
    "OpenBSD": WITHOUT,
}
HAVE_SIGTIMEDWAIT = ["FreeBSD", "DragonFly", "NetBSD", "NetBSD-9"]
OF_ALL = ["kqueue", "process_kqueue", "clock_timer_none"]

# Files that are for Linux alone, by their names, and what only they may include.
FOR_LINUX = re.compile(r"(epoll|eventfd|signalfd|timerfd|pidfd|io_uring|uring)")
HEADER_OF_LINUX = re.compile(
    r'#\s*include\s*<(linux/[^>]+|sys/(epoll|eventfd|signalfd|timerfd|inotify|prctl|syscall)\.h)>')
OF_SOME_SYSTEM = re.compile(r"(kqueue|pipe|none)$")


def compiles(compiler, source, system):
    flags = ["-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow",
             "-Wconversion", "-Wundef", "-Werror", "-DEVENT_HAVE_EPOLL=0", "-DEVENT_HAVE_KQUEUE=1",
             f"-DEVENT_HAVE_SIGTIMEDWAIT={int(system in HAVE_SIGTIMEDWAIT)}",
             "-DEVENT_HAVE_IO_URING=0", "-DEVENT_HAVE_POLL=1", "-DEVENT_HAVE_PPOLL=0",
             f"-I{ROOT / 'include'}", f"-I{ROOT / 'src'}", "-isystem", str(BSD / system),
             "-include", str(BSD / "no_linux.hpp")]
    return subprocess.run([compiler, *flags, str(source)], check=False).returncode == 0


def sources():
    return sorted((ROOT / "src").rglob("*.cpp"))


def shared():
    return [source for source in sources()
            if not FOR_LINUX.search(source.stem) and not OF_SOME_SYSTEM.search(source.stem)]


def wrong_includes():
    for file in sorted([*(ROOT / "src").rglob("*.?pp"), *(ROOT / "include").rglob("*.?pp")]):
        if FOR_LINUX.search(file.stem):
            continue
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            if HEADER_OF_LINUX.search(line):
                yield f"{file.relative_to(ROOT)}:{number}: a header of Linux: {line.strip()}"


def main():
    compiler = sys.argv[1]
    if len(sys.argv) > 2:
        system = sys.argv[2]
        faults = []
        chosen = [ROOT / "src" / "backend" / f"{name}.cpp" for name in OF_ALL + PARTS[system]]
    else:
        system = "FreeBSD"
        faults = list(wrong_includes())
        chosen = shared()
    for fault in faults:
        print(fault, file=sys.stderr)
    failed = [source for source in chosen if not compiles(compiler, source, system)]
    for source in failed:
        print(f"{source.relative_to(ROOT)}: does not compile for {system}", file=sys.stderr)
    print(f"{len(chosen)} files, {len(failed)} do not compile for {system}")
    return 1 if failed or faults or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
