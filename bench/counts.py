#!/usr/bin/env python3
"""Counts that do not wobble: user instructions and system calls per operation.

usage: counts.py PROGRAMS             this library beside hand-written epoll and other libraries
       counts.py PROGRAMS BACKEND...  this library on each of these

PROGRAMS is where the benchmarks were built: build/release/bench. Each figure is the difference of a
long and a short run of the same workload, divided by the difference in operations: what it costs to
start is not in it. Needs valgrind and strace.
"""

import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

import rows
from workers import OURS, PEERS, REFERENCE, Programs, UNSUPPORTED, processors

SHORT, LONG = 4_000, 12_000
# Not Go: its programs crash under valgrind, and its runtime calls the system as time passes.
COUNTABLE = (REFERENCE, OURS, *(name for name in PEERS if name != "go"))
TIMED = {"EVENT_BACKEND": "epoll", "BENCH_TIMING": "1"}


class Counter:
    """Runs one program under an instrument, short and long."""

    def __init__(self, command, environment):
        self.command = command
        self.environment = environment

    def run(self, instrument, operations):
        """What the instrument said, and how many operations there were; None if unsupported."""
        result = subprocess.run([*instrument, *self.command], env=self.environment, text=True,
                                input=f"{operations}\n", capture_output=True, check=False)
        if result.returncode == UNSUPPORTED:
            return None
        result.check_returncode()
        return result.stderr, float(re.search(r"ops (\S+)", result.stdout)[1])

    def instructions(self, function=None, short=SHORT, long=LONG):
        """User instructions an operation, of what is run in `function` if one is given."""
        only = ["--collect-atstart=no", f"--toggle-collect=*{function}*"] if function else []
        points = []
        for operations in (short, long):
            with tempfile.NamedTemporaryFile() as out:
                ran = self.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out.name}",
                                *only], operations)
            if ran is None:
                return None
            points.append((int(re.search(r"Collected : (\d+)", ran[0])[1]), ran[1]))
        (few, short_done), (many, long_done) = points
        return (many - few) / (long_done - short_done)

    def system_calls(self, short=SHORT, long=LONG):
        """For each call how often an operation made it."""
        points = []
        for operations in (short, long):
            with tempfile.NamedTemporaryFile("r") as out:
                ran = self.run(["strace", "-f", "-c", "-o", out.name], operations)
                if ran is None:
                    return None
                table = {}
                for line in out:
                    fields = line.split()
                    if len(fields) >= 5 and re.fullmatch(r"[\d.]+", fields[0]):
                        table[fields[-1]] = int(fields[3])
            table.pop("total", None)
            points.append((table, ran[1]))
        (few, short_done), (many, long_done) = points
        rates = {name: (many[name] - few.get(name, 0)) / (long_done - short_done) for name in many}
        return {name: rate for name, rate in rates.items() if rate >= 0.0005}


def count(counter, function):
    """The figures of one workload of one contender; nothing if it cannot be counted."""
    try:
        if function:
            instructions = counter.instructions(function, 20_000, 60_000)
            calls = None
        else:
            calls = counter.system_calls()
            if calls is None:
                return None
            instructions = counter.instructions()
    except subprocess.CalledProcessError:
        return None
    return {"instructions": instructions, "calls": calls}


def count_all(programs, progress):
    """Two at a time: what is counted does not depend on how fast it runs."""
    contenders = [name for name in COUNTABLE if programs.has(name)]
    jobs = [(label, workload, function, name)
            for label, workload, function in [*((*one, None) for one in rows.COUNTED),
                                              *rows.COUNTED_TIMERS]
            for name in contenders]
    return count_jobs(programs, jobs, progress)


def count_coroutines(programs, progress):
    """The same of coroutines."""
    jobs = [(label, workload, None, name) for label, workload in rows.COROUTINES
            for name in (REFERENCE, OURS, "asio") if programs.has(name)]
    return count_jobs(programs, jobs, progress)


def count_jobs(programs, jobs, progress):
    """The figures by label and contender."""

    def work(job):
        label, workload, function, name = job
        counter = Counter(programs.command(name, workload), programs.environment(name))
        found = count(counter, function)
        progress(f"counts: {label}, {name}")
        return label, name, found

    table = {}
    with ThreadPoolExecutor(len(processors())) as pool:
        for label, name, found in pool.map(work, jobs):
            if found:
                table.setdefault(label, {})[name] = found
    return table


def print_table(programs, contenders, workloads):
    """`contenders`: the name, the program's, and the environment of each."""
    print(f"{'workload':36} {'contender':9} {'instructions':>12} {'system calls':>13}  which")
    for label, workload in workloads:
        for shown, name, environment in contenders:
            counter = Counter(programs.command(name, workload),
                              {**programs.environment(name), **environment})
            found = count(counter, None)
            if found is None:
                continue
            calls = found["calls"]
            which = " ".join(f"{call}={rate:.3f}" for call, rate in sorted(calls.items()))
            print(f"{label:36} {shown:9} {found['instructions']:12.1f} "
                  f"{sum(calls.values()):13.3f}  {which}", flush=True)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    programs = Programs(sys.argv[1])
    if sys.argv[2:]:
        contenders = [(backend, OURS, {"EVENT_BACKEND": backend}) for backend in sys.argv[2:]]
        print_table(programs, contenders, rows.ON_BACKENDS)
    else:
        contenders = [(name, name, {}) for name in COUNTABLE if programs.has(name)]
        contenders.insert(2, ("timed", OURS, TIMED))
        print_table(programs, contenders, rows.COUNTED)


if __name__ == "__main__":
    main()
