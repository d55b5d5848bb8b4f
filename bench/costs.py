#!/usr/bin/env python3
"""Holds what this library costs against the table costs.txt: a guard, and not a timed test.

usage: costs.py PROGRAMS            fails if a row is more than 5 % dearer; says which are cheaper
       costs.py PROGRAMS --update   writes the table anew

PROGRAMS is where bench_event, bench_streams_event and bench_client were built. The figures are user
instructions an operation and bytes an object. They are the same each time with one compiler: with
another one nothing is compared.
scripts/check_costs.sh builds and runs this. Needs valgrind.
"""

import pathlib
import platform
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import machine
import rows
import streams
from counts import Counter
from workers import OURS, OURS_AT, Programs, object_bytes, processors

TABLE = pathlib.Path(__file__).with_name("costs.txt")
HEADER = """\
# What this library costs. scripts/check_costs.sh compares, with --update it writes this.
# row, unit, expected
"""
UPDATE = "scripts/check_costs.sh --update"
TOLERANCE = 0.05
LEAST = {"instructions": 2.0, "bytes": 0.5}  # less than this is not a difference


@dataclass
class Row:
    unit: str
    cost: float

    @property
    def tolerance(self):
        return max(LEAST[self.unit], TOLERANCE * self.cost)


def instructions(programs, contender, workload, function):
    counter = Counter(programs.command(contender, workload), programs.environment(contender))
    if function:
        return counter.instructions(function, rows.GUARDED_TIMERS, 3 * rows.GUARDED_TIMERS)
    return counter.instructions()


def measure(programs):
    """The rows by their labels."""
    table = {}
    guarded = [*((OURS, *row) for row in rows.GUARDED),
               *((OURS_AT, *row) for row in rows.GUARDED_AT)]
    with ThreadPoolExecutor(len(processors())) as pool:
        costs = pool.map(lambda row: instructions(programs, row[0], *row[2:]), guarded)
        for (_, label, *_), cost in zip(guarded, costs):
            table[label] = Row("instructions", cost)
    for kind in (*rows.MEMORY, *rows.TASK_MEMORY):
        table[f"memory {kind}"] = Row("bytes", object_bytes(programs, OURS, kind)["bytes"])
    for server in rows.STREAMS:
        table[f"{server}, 1 active"] = Row("instructions",
                                           streams.instructions_each(server, 1, 500, 2500))
    return table


def read():
    """The compiler that the table is of, and its rows."""
    compiler, *lines = [line for line in TABLE.read_text(encoding="ascii").splitlines()
                        if not line.startswith("#")]
    table = {}
    for line in lines:
        label, unit, cost = line.rsplit(maxsplit=2)
        table[label] = Row(unit, float(cost))
    return compiler, table


def write(compiler, table):
    lines = [f"{label:30} {row.unit:12} {row.cost:8.1f}\n"
             for label, row in table.items()]
    TABLE.write_text(HEADER + compiler + "\n" + "".join(lines), encoding="ascii")


def compare(expected, measured):
    """Prints the rows. Returns the labels of the dearer ones, and of the cheaper ones."""
    dearer, cheaper = [], []
    print(f"{'row':30} {'unit':12} {'expected':>8} {'measured':>8} {'change':>8}")
    for label, row in expected.items():
        cost = measured[label].cost
        verdict = ""
        if cost > row.cost + row.tolerance:
            dearer.append(label)
            verdict = "  DEARER"
        elif cost < row.cost - row.tolerance:
            cheaper.append(label)
            verdict = "  CHEAPER"
        print(f"{label:30} {row.unit:12} {row.cost:8.1f} {cost:8.1f} "
              f"{100 * (cost / row.cost - 1):+6.1f} %{verdict}")
    return dearer, cheaper


def main():
    if len(sys.argv) < 2 or sys.argv[2:] not in ([], ["--update"]):
        sys.exit(__doc__)
    programs = Programs(sys.argv[1])
    compiler = f"{machine.compiler(sys.argv[1])}, {platform.machine()}"
    if sys.argv[2:]:
        write(compiler, measure(programs))
        return
    of, expected = read()
    if of != compiler:
        print(f"Nothing is compared: the table is of {of}; this is {compiler}")
        return
    measured = measure(programs)
    if measured.keys() != expected.keys():
        sys.exit(f"The table has other rows than are measured: {UPDATE}")
    dearer, cheaper = compare(expected, measured)
    if dearer:
        print(f"Dearer than the table allows: {'; '.join(dearer)}.\n"
              f"If it is worth that: {UPDATE}, and the commit says why.")
    if cheaper:
        print(f"Cheaper than the table says: {'; '.join(cheaper)}. To hold that: {UPDATE}")
    sys.exit(1 if dearer else 0)


if __name__ == "__main__":
    main()
