"""The measured processes: started, pinned to a processor, and told what to run."""

import os
import pathlib
import random
import subprocess
import sys
import time

UNSUPPORTED = 3
# Name, program, and what is added to its environment. The second epoll is the control: what it
# differs from the first by is noise.
CONTENDERS = {
    "epoll": ("epoll", {}),
    "epoll-again": ("epoll", {}),
    "epoll-mod": ("epoll_mod", {}),
    "event": ("event", {"EVENT_BACKEND": "epoll"}),
    "event-at": ("event", {"EVENT_BACKEND": "epoll", "BENCH_KEPT_TIME": "1"}),
    "libevent": ("libevent", {}),
    "libev": ("libev", {}),
    "libuv": ("libuv", {}),
    "asio": ("asio", {}),
    "go": ("go", {}),
    "uring": ("uring", {}),
}
REFERENCE, CONTROL, OURS, OURS_AT = "epoll", "epoll-again", "event", "event-at"
PEERS = ("libevent", "libev", "libuv", "asio", "go")
# Those that are measured wherever nothing else is said.
USUAL = (REFERENCE, CONTROL, OURS, *PEERS)


class Unsupported(Exception):
    """The contender lacks what the workload needs."""


def processors():
    return sorted(os.sched_getaffinity(0))


def pin(place):
    """A function for the child: the first processor is the contender's, the second the client's."""
    available = processors()
    chosen = set(available[:2]) if place is None else {available[place % len(available)]}
    return lambda: os.sched_setaffinity(0, chosen)


class Programs:
    """Where the programs were built, and which of the contenders are there."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory).resolve()

    def path(self, program):
        return str(self.directory / f"bench_{program}")

    def has(self, contender):
        return os.access(self.path(CONTENDERS[contender][0]), os.X_OK)

    def missing(self):
        """Those that are not there, and why."""
        return {name: self.said(name) for name in CONTENDERS if not self.has(name)}

    def said(self, contender):
        """What the build left instead of a program, if it left anything."""
        note = pathlib.Path(self.path(CONTENDERS[contender][0]) + ".missing")
        return (note.read_text(encoding="utf-8").strip() if note.exists()
                else "its program was not built; its library may be missing")

    def command(self, contender, workload):
        return [self.path(CONTENDERS[contender][0]), *map(str, workload)]

    def environment(self, contender):
        return {**os.environ, **CONTENDERS[contender][1]}


class Process:
    """A program that says "ready", and answers each number with a line of names and values."""

    def __init__(self, command, environment=None, place=0):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=environment, text=True, preexec_fn=pin(place))
        first = self.process.stdout.readline().split()
        if not first:
            code = self.process.wait()
            if code != UNSUPPORTED:
                print(f"{' '.join(command)}: ended with {code}", file=sys.stderr)
            raise Unsupported
        self.told = first[1:]
        self.pid = self.process.pid

    def run(self, operations):
        self.process.stdin.write(f"{operations}\n")
        self.process.stdin.flush()
        fields = self.process.stdout.readline().split()
        if not fields:
            raise RuntimeError(f"{' '.join(self.process.args)}: ended with {self.process.wait()}")
        values = {}
        for name, value in zip(fields[::2], fields[1::2]):
            values.setdefault(name, []).append(float(value))
        return values

    def close(self):
        self.process.kill()
        self.process.wait()


def object_bytes(programs, contender, kind):
    """What each of 10,000 takes, of a kind in rows.MEMORY: "object", "heap", "bytes" for both."""
    process = Process(programs.command(contender, (f"memory-{kind}",)),
                      programs.environment(contender))
    figures = process.run(10_000)
    process.close()
    return {name: values[0] for name, values in figures.items()}


class Echo:
    """A server of one contender, and the client that all have in common."""

    def __init__(self, programs, contender, connections, size):
        self.server = Process(programs.command(contender, ["echo"]),
                              programs.environment(contender))
        self.empty = self.resident()
        try:
            self.client = self.connect(programs, connections, size)
        except Unsupported:
            self.server.close()
            raise
        self.run = self.client.run

    def connect(self, programs, connections, size):
        return Process([programs.path("client"), self.server.told[0], str(self.server.pid),
                        str(connections), str(size)], place=1)

    def resident(self):
        """Bytes of memory that the server has to itself."""
        with open(f"/proc/{self.server.pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024
        return 0

    def close(self):
        self.client.close()
        self.server.close()


def calibrate(process, least, seconds):
    """How many operations, of at least so many, take about so long."""
    operations = least
    for _ in range(12):
        start = time.perf_counter()
        process.run(operations)
        took = time.perf_counter() - start
        if took > seconds / 4:
            return max(least, int(operations * seconds / took))
        operations *= 4
    return operations


def interleave(start, contenders, rounds, least=1000, seconds=0.012):
    """Runs each contender for a slice in each round, in random order.

    start(contender) returns its process. Returns, for each name of a figure and each contender, its
    values, one a round.
    """
    running, samples = {}, {}
    try:
        for name in contenders:
            try:
                running[name] = start(name)
            except Unsupported:
                continue
        sizes = {name: calibrate(process, least, seconds) for name, process in running.items()}
        for _ in range(rounds):
            for name in random.sample(list(running), len(running)):
                for figure, values in running[name].run(sizes[name]).items():
                    samples.setdefault(figure, {}).setdefault(name, []).extend(values)
    finally:
        for process in running.values():
            process.close()
    return samples
