"""What the figures were taken on."""

import os
import pathlib
import platform
import re
import subprocess

PACKAGES = {"libevent": "libevent-dev", "libev": "libev-dev", "libuv": "libuv1-dev",
            "asio": "libasio-dev", "liburing": "liburing-dev"}


def output_of(*command):
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def first_match(pattern, text, otherwise="unknown"):
    match = re.search(pattern, text, re.MULTILINE)
    return match[1].strip() if match else otherwise


def compiler(programs):
    """What the programs were built with: its version and flags."""
    cache = pathlib.Path(programs).parent / "CMakeCache.txt"
    settings = cache.read_text(encoding="utf-8") if cache.exists() else ""
    command = first_match(r"^CMAKE_CXX_COMPILER:\w+=(.*)$", settings)
    kind = first_match(r"^CMAKE_BUILD_TYPE:\w+=(.*)$", settings, "")
    flags = first_match(rf"^CMAKE_CXX_FLAGS_{kind.upper()}:\w+=(.*)$", settings)
    version = output_of(command, "--version").splitlines() or ["unknown"]
    return f"{version[0]}, {flags}"


def go_package(programs):
    """What the contender in Go was built with; nothing if there is none."""
    built = output_of("go", "version", "-m", str(pathlib.Path(programs) / "bench_go"))
    version = first_match(r"^\s+dep\s+\S+/event\s+(\S+)", built)
    return [f"go {version} ({first_match(r': (go.*)$', built)})"] if built else []


def describe(programs):
    """A table of names and texts."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2 ** 30
    processor = first_match(r"^model name\s*: (.*)$",
                            pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    versions = {name: output_of("dpkg-query", "-W", "-f", "${Version}", package)
                for name, package in PACKAGES.items()}
    return {
        "processor": f"{len(os.sched_getaffinity(0))} x {processor}",
        "memory": f"{memory:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "compiler": compiler(programs),
        "libraries": ", ".join([*(f"{name} {version or 'of unknown version'}"
                                  for name, version in versions.items()),
                                *go_package(programs)]),
    }


def available_memory():
    meminfo = pathlib.Path("/proc/meminfo").read_text(encoding="ascii")
    return 1024 * int(first_match(r"^MemAvailable:\s*(\d+)", meminfo, "0"))


def context_switches(process):
    """How often a process has given up the processor of its own will."""
    status = pathlib.Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return int(first_match(r"^voluntary_ctxt_switches:\s*(\d+)$", status))
