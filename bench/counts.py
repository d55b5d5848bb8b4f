#!/usr/bin/env python3
"""Counts that do not wobble: user instructions and system calls per event, beside hand-written epoll.

usage: counts.py PATH_TO_THE_EVENTS_PROGRAM            this library beside hand-written epoll
       counts.py PATH_TO_THE_EVENTS_PROGRAM BACKEND... this library on each of these

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
ON_BACKENDS = [
    *(("echo", 2 * active, active) for active in (1, 100, 1000)),
    *(("echo-oneshot", 2 * active, active) for active in (1, 100, 1000)),
    *(("ready", active, active) for active in (1, 100, 1000)),
    ("change-detach", 1, 0),
    ("change-between", 1, 0),
    ("change-destroy", 1, 0),
]
SHORT, LONG = 20_000, 60_000


def run(command):
    return subprocess.run(command, check=True, capture_output=True, text=True)


class Contender:
    """What the program is to run: this library on a backend, or what it is measured against."""

    def __init__(self, argument, backend=None):
        self.argument = argument
        self.name = backend or argument
        self.prefix = ["env", f"EVENT_BACKEND={backend}"] if backend else []


def instructions(program, contender, workload, events):
    with tempfile.NamedTemporaryFile() as out:
        result = run([*contender.prefix, "valgrind", "--tool=callgrind",
                      f"--callgrind-out-file={out.name}", program, contender.argument,
                      *map(str, workload), str(events)])
    return int(re.search(r"Collected : (\d+)", result.stderr)[1])


def system_calls(program, contender, workload, events):
    with tempfile.NamedTemporaryFile("r") as out:
        run([*contender.prefix, "strace", "-f", "-c", "-o", out.name, program, contender.argument,
             *map(str, workload), str(events)])
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
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    program, *backends = sys.argv[1:]
    contenders = [Contender("event", backend) for backend in backends] or [
        Contender(name) for name in ("epoll", "event", "timed")]
    print(f"{'workload':32} {'contender':9} {'instructions':>12} {'system calls':>13}  which")
    for workload in ON_BACKENDS if backends else WORKLOADS:
        for contender in contenders:
            cost = per_event(instructions)(program, contender, workload)
            calls = calls_per_event(program, contender, workload)
            name = f"{workload[0]}, {workload[1]} fds, {workload[2]} active"
            which = " ".join(f"{call}={rate:.3f}" for call, rate in sorted(calls.items()))
            print(f"{name:32} {contender.name:9} {cost:12.1f} {sum(calls.values()):13.3f}  {which}")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
