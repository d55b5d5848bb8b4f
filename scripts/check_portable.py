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

# Files that are for Linux alone, by their names, and what only they may include.
FOR_LINUX = re.compile(r"(epoll|eventfd|signalfd|timerfd|pidfd|auxv|clone)")
HEADER_OF_LINUX = re.compile(
    r'#\s*include\s*<(linux/[^>]+|sys/(epoll|eventfd|signalfd|timerfd|inotify|prctl|syscall|auxv)\.h)>')
OF_SOME_SYSTEM = re.compile(r"(kqueue|pipe|none|issetugid|ids)$")


class Platform:
    """What cmake/platform.cmake builds for a system, by the name that CMake has for it."""

    def __init__(self, name, version="1000"):
        printed = subprocess.run(
            ["cmake", f"-DEVENT_PLATFORM={name}", f"-DCMAKE_SYSTEM_VERSION={version}",
             "-P", str(ROOT / "cmake" / "print_platform.cmake")],
            check=True, capture_output=True, text=True).stdout
        lists = dict(re.findall(r"-- EVENT_(\w+): (.*)", printed))
        self.backends = lists["BACKENDS"].split(";")
        self.parts = lists["PARTS"].split(";")
        self.definitions = lists["PLATFORM_DEFINITIONS"].split(";")


def platform_of(system):
    """SYSTEM, or SYSTEM-VERSION for one that had less."""
    name, _, version = system.partition("-")
    return Platform(name, version) if version else Platform(name)


def compiles(compiler, sources, system, definitions):
    """Compiles these sources as one, which takes a fraction of the time. g++ takes them for headers
    then, where a type without linkage would be a mistake."""
    flags = ["-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow",
             "-Wconversion", "-Wundef", "-Werror", "-Wno-unknown-warning-option", "-Wno-subobject-linkage",
             *(f"-D{each}" for each in definitions),
             f"-I{ROOT / 'include'}", f"-I{ROOT / 'src'}", "-isystem", str(BSD / system),
             "-include", str(BSD / "no_linux.hpp")]
    joined = "".join(f'#include "{source}"\n' for source in sources)
    return subprocess.run([compiler, *flags, "-x", "c++", "-"], input=joined, text=True,
                          check=False).returncode == 0


def shared():
    """The sources that all systems share, by folder."""
    folders = {}
    for source in sorted((ROOT / "src").rglob("*.cpp")):
        if not FOR_LINUX.search(source.stem) and not OF_SOME_SYSTEM.search(source.stem):
            folders.setdefault(source.parent, []).append(source)
    return folders


def wrong_includes():
    for file in sorted([*(ROOT / "src").rglob("*.?pp"), *(ROOT / "include").rglob("*.?pp")]):
        if FOR_LINUX.search(file.stem):
            continue
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            if HEADER_OF_LINUX.search(line):
                yield f"{file.relative_to(ROOT)}:{number}: a header of Linux: {line.strip()}"


def main():
    compiler = sys.argv[1]
    system = sys.argv[2] if len(sys.argv) > 2 else "FreeBSD"
    platform = platform_of(system)
    faults = []
    if len(sys.argv) > 2:
        chosen = {ROOT / "src": [ROOT / "src" / f"{name}.cpp" for name in [
            *platform.parts, *(f"poller/{backend}" for backend in platform.backends)]]}
    else:
        faults = list(wrong_includes())
        chosen = shared()
    for fault in faults:
        print(fault, file=sys.stderr)
    failed = [folder for folder, sources in chosen.items()
              if not compiles(compiler, sources, system, platform.definitions)]
    for folder in failed:
        print(f"{folder.relative_to(ROOT)}: does not compile for {system}", file=sys.stderr)
    print(f"{sum(map(len, chosen.values()))} files, {len(failed)} folders do not compile for {system}")
    return 1 if failed or faults or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
