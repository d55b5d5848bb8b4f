#!/usr/bin/env python3
"""Counts that do not wobble: user instructions and system calls per event, beside hand-written epoll.

usage: counts.py PATH_TO_THE_EVENTS_PROGRAM

Each figure is the difference of a long and a short run of the same workload, divided by the
difference in events: what it costs to start is not in it. Needs valgrind and strace.
"""

import re
import subprocess
import sys
import tempfile

WORKLOADS = [
    ("ready", 1000, 1),
    ("ready-timeout", 1000, 1),
    ("ring", 1000, 1),
    ("ring", 1000, 100),
    ("ring-timeout", 1000, 100),
    ("ring-oneshot", 1000, 100),
]
SHORT, LONG = 20_000, 60_000


def run(command):
    return subprocess.run(command, check=True, capture_output=True, text=True)


def instructions(program, contender, workload, events):
    with tempfile.NamedTemporaryFile() as out:
        result = run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out.name}", program,
                      contender, *map(str, workload), str(events)])
    return int(re.search(r"Collected : (\d+)", result.stderr)[1])


def system_calls(program, contender, workload, events):
    with tempfile.NamedTemporaryFile("r") as out:
        run(["strace", "-f", "-c", "-o", out.name, program, contender, *map(str, workload),
             str(events)])
        counts = {}
        for line in out:
            fields = line.split()
            if len(fields) >= 5 and re.fullmatch(r"[\d.]+", fields[0]) and fields[-1] != "total":
                counts[fields[-1]] = int(fields[3])
    return counts


def per_event(count):
    return lambda *args: (count(*args, LONG) - count(*args, SHORT)) / (LONG - SHORT)


def calls_per_event(program, contender, workload):
    short = system_calls(program, contender, workload, SHORT)
    long = system_calls(program, contender, workload, LONG)
    rates = {name: (long[name] - short.get(name, 0)) / (LONG - SHORT) for name in long}
    return {name: rate for name, rate in rates.items() if rate >= 0.0005}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    program = sys.argv[1]
    print(f"{'workload':28} {'contender':9} {'instructions':>12} {'system calls':>13}  which")
    for workload in WORKLOADS:
        for contender in ("epoll", "event", "timed"):
            cost = per_event(instructions)(program, contender, workload)
            calls = calls_per_event(program, contender, workload)
            name = f"{workload[0]}, {workload[1]} fds, {workload[2]} active"
            which = " ".join(f"{call}={rate:.3f}" for call, rate in sorted(calls.items()))
            print(f"{name:28} {contender:9} {cost:12.1f} {sum(calls.values()):13.3f}  {which}")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
