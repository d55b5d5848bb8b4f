#!/usr/bin/env python3
"""Measures this library side by side with others and with hand-written loops.

    bench/run.py [--quick] [--programs DIRECTORY] [--out DIRECTORY] [--only PART,...]

Writes results.json, report.md and the plots into the output directory; the parts that are left out
keep what an earlier run found. scripts/bench.sh builds all of it and runs this.
"""

import argparse
import datetime
import json
import pathlib
import time

import counts
import machine
import plots
import report
import rows
from workers import (CONTENDERS, REFERENCE, USUAL, Echo, Process, Programs, Unsupported, interleave,
                     object_bytes)


class Progress:
    def __init__(self):
        self.began = time.monotonic()

    def __call__(self, text):
        print(f"{time.monotonic() - self.began:5.0f} s  {text}", flush=True)


class Run:
    def __init__(self, programs, quick, progress):
        self.programs = programs
        self.quick = quick
        self.rounds = 9 if quick else 25
        self.progress = progress

    def present(self, contenders):
        return [name for name in contenders if self.programs.has(name)]

    def start(self, workload, place=0):
        return lambda name: Process(self.programs.command(name, workload),
                                    self.programs.environment(name), place)

    def cell(self, cell):
        self.progress(f"{cell.row} {cell.label} {'/'.join(cell.figures)}")
        samples = interleave(self.start(cell.workload, cell.place), self.present(cell.contenders),
                             max(3, round(self.rounds * cell.rounds)), cell.least, cell.seconds)
        return [{"row": cell.row, "cell": cell.label, "figure": figure, "samples": samples[figure]}
                for figure in cell.figures if figure in samples]

    def cells(self, all_cells):
        return [result for cell in all_cells for result in self.cell(cell)]

    def descriptors(self):
        return self.cells(rows.descriptor_cells(self.quick))

    def others(self):
        return self.cells(rows.other_cells(self.quick))

    def coroutines(self):
        return self.cells(rows.coroutine_cells())

    def coroutine_counts(self):
        return counts.count_coroutines(self.programs, self.progress)

    def growth(self):
        found = self.cells(rows.growth_cells(self.quick))
        if not self.quick and machine.available_memory() > rows.MEMORY_FOR_MOST_TIMERS:
            found += self.most_timers()
        return found

    def most_timers(self):
        """One contender after the other, and once: so many of them do not fit beside each other."""
        cells = {figure: {"row": "growth-timers", "cell": f"{rows.MOST_TIMERS:,}",
                          "figure": figure, "samples": {}} for figure in ("add", "later", "cancel")}
        for name in self.present(USUAL):
            self.progress(f"growth-timers {rows.MOST_TIMERS:,} {name}")
            process = self.start(("timers", rows.MOST_TIMERS))(name)
            figures = process.run(rows.MOST_TIMERS)
            process.close()
            for figure, cell in cells.items():
                cell["samples"][name] = figures[figure]
        return list(cells.values())

    def echo(self):
        found = []
        for connections, size in rows.echo_sizes(self.quick):
            self.progress(f"echo {connections} x {size}")
            samples = interleave(lambda name: Echo(self.programs, name, connections, size),
                                 self.present(rows.WITH_URING), self.rounds,
                                 least=4 * connections, seconds=0.02)
            found += [{"row": "echo", "cell": f"{connections} x {size} bytes", "figure": figure,
                       "samples": samples[figure]} for figure in ("ns", "cpu")]
        return found

    def lateness(self):
        self.progress("lateness of timers")
        samples = interleave(self.start(("late",)), self.present(USUAL), 4 if self.quick else 20,
                             least=10, seconds=0)
        return {"late": samples["late"], "cpu": samples["cpu"]}

    def memory(self):
        self.progress("memory")
        found = {}
        for kind in rows.MEMORY:
            for name in self.present(USUAL):
                found.setdefault(kind, {})[name] = object_bytes(self.programs, name, kind)
        for kind in rows.TASK_MEMORY:
            for name in self.present((REFERENCE, OURS, "asio")):
                found.setdefault(kind, {})[name] = object_bytes(self.programs, name, kind)
        connections = 9000
        for name in self.present(rows.WITH_URING):
            try:
                echo = Echo(self.programs, name, connections, 64)
            except Unsupported:
                continue
            found.setdefault("connection", {})[name] = {
                "bytes": (echo.resident() - echo.empty) / connections}
            echo.close()
        return found

    def idle(self):
        """How often a loop that has nothing to do is woken in two seconds."""
        self.progress("idle loops")
        processes = {}
        for name in self.present(rows.WITH_URING):
            try:
                processes[name] = self.start(("idle",))(name)
            except Unsupported:
                continue
        time.sleep(0.2)
        before = {name: machine.context_switches(process.pid)
                  for name, process in processes.items()}
        time.sleep(2)
        woken = {name: machine.context_switches(process.pid) - before[name]
                 for name, process in processes.items()}
        for process in processes.values():
            process.close()
        return woken

    def counted(self):
        return counts.count_all(self.programs, self.progress)


PARTS = {"descriptors": Run.descriptors, "others": Run.others, "echo": Run.echo,
         "lateness": Run.lateness, "memory": Run.memory, "idle": Run.idle, "growth": Run.growth,
         "counts": Run.counted, "coroutines": Run.coroutines,
         "coroutine_counts": Run.coroutine_counts}


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer sizes and rounds")
    parser.add_argument("--programs", default=root / "build" / "release" / "bench")
    parser.add_argument("--out", type=pathlib.Path, default=root / "build" / "bench")
    parser.add_argument("--only", default=",".join(PARTS), help="parts: " + ",".join(PARTS))
    options = parser.parse_args()
    programs = Programs(options.programs)
    if not programs.has(REFERENCE):
        parser.error(f"no programs in {options.programs}: scripts/bench.sh builds them")
    options.out.mkdir(parents=True, exist_ok=True)
    saved = options.out / "results.json"
    results = json.loads(saved.read_text()) if saved.exists() else {}
    progress = Progress()
    for name, why in programs.missing().items():
        progress(f"{name} is left out: {why}")
    run = Run(programs, options.quick, progress)
    results["machine"] = machine.describe(options.programs)
    results["quick"] = options.quick
    results["missing"] = programs.missing()
    results["contenders"] = list(CONTENDERS)
    for part in options.only.split(","):
        results[part] = PARTS[part](run)
        results["date"] = datetime.datetime.now().astimezone().isoformat(timespec="minutes")
        saved.write_text(json.dumps(results, indent=1))
    plotted = plots.write(results, options.out)
    (options.out / "report.md").write_text(report.write(results, plotted))
    progress(f"done: {options.out / 'report.md'}")


if __name__ == "__main__":
    main()
