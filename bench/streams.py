#!/usr/bin/env python3
"""What a server over streams costs beside others: instructions, system calls, time and memory.

usage: streams.py PROGRAMS [PART]...   parts: echo, memory, lines, bulk, connections, tls

PROGRAMS is where the benchmarks were built: build/release/bench. A server is one program and one of
its kinds: see bench/streams/main.cpp. Instructions and system calls are the difference of a long and
a short run, divided by the difference in round trips. Times are the server's processor time in
proportion to a loop written by hand on epoll in the same round: the median, with client and server
on one processor. libuv has no TLS. Needs valgrind and strace.
"""

import math
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile

from workers import Process, Unsupported, interleave

REFERENCE = "epoll echo"
ECHO = (REFERENCE, "event echo", "event echo-virtual", "event echo-idle-timeout",
        "event echo-waiter", "event echo-callbacks", "libuv echo", "libevent echo", "asio echo",
        "asio echo-bufferless", "asio echo-callbacks")
ACTIVE = (1, 50, 500, 5_000)  # connections
PLAIN = ("epoll", "event", "libuv", "libevent", "asio")
TLS = ("tls_epoll", "tls_event", "tls_libevent", "tls_asio")
MESSAGE = 64
BULK = 1 << 20
IN_BULK = {"download": (MESSAGE, 1, BULK), "upload": (BULK, 1, MESSAGE)}
SMALL_RECORD = 1_400
RENEWED = (1, 0)  # arguments of the client: a connection for each message
IDLE = 5_000
ROUNDS = 9
STARTS = 15  # where a process has its memory decides how fast it moves a MiB
EPOLL = {**os.environ, "EVENT_BACKEND": "epoll"}


def directory():
    return pathlib.Path(sys.argv[1]).resolve()


def command(server):
    program, kind = server.split()
    return [str(directory() / f"bench_streams_{program}"), kind]


def there(servers):
    return [server for server in servers if os.access(command(server)[0], os.X_OK)]


class Pair:
    """A server and its client, whose arguments follow the number of connections."""

    def __init__(self, server, connections, *arguments, instrument=()):
        self.server = Process([*instrument, *command(server)], EPOLL)
        kind = "tls_client" if server.startswith("tls_") else "client"
        client = [str(directory() / f"bench_{kind}"), self.server.told[0], str(self.server.pid),
                  str(connections), *map(str, arguments or (MESSAGE,))]
        try:
            self.client = Process(client)
        except Unsupported:
            self.server.close()
            raise
        self.run = self.client.run

    def dirty(self):
        """Bytes of memory that the server has written to and shares with nobody."""
        table = pathlib.Path(f"/proc/{self.server.pid}/smaps_rollup").read_text(encoding="ascii")
        return int(re.search(r"Private_Dirty: +(\d+)", table)[1]) * 1024

    def end(self):
        """Ends the server so that an instrument writes what it has found: before its client, so that
        no connection ends in some runs, at the cost of an exception, and in others not."""
        children = subprocess.run(["pgrep", "-P", str(self.server.pid)], text=True,
                                  capture_output=True, check=False).stdout.split()
        os.kill(int(children[0]) if children else self.server.pid, signal.SIGTERM)
        self.server.process.wait()
        self.client.close()

    def close(self):
        self.client.close()
        self.server.close()


def difference(measure, server, connections, short, long, *arguments):
    """Of two runs, for each name that `measure` finds."""
    few, less = measure(server, connections, short, *arguments)
    many, more = measure(server, connections, long, *arguments)
    return {name: (many[name] - few.get(name, 0)) / (more - less) for name in many}


def run_with(instrument, server, connections, operations, arguments):
    pair = Pair(server, connections, *arguments, instrument=instrument)
    done = pair.run(operations)["ops"][0]
    pair.end()
    return done


def instructions(server, connections, operations, *arguments):
    with tempfile.NamedTemporaryFile("r") as out:
        tool = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out.name}"]
        done = run_with(tool, server, connections, operations, arguments)
        found = re.search(r"^(?:summary|totals): (\d+)", out.read(), re.MULTILINE)
    return {"instructions": int(found[1])}, done


def system_calls(server, connections, operations, *arguments):
    with tempfile.NamedTemporaryFile("r") as out:
        tool = ["strace", "-f", "-c", "-U", "calls,name", "-o", out.name]
        done = run_with(tool, server, connections, operations, arguments)
        calls = {name: int(count)
                 for count, name in re.findall(r"^ *(\d+) +(\w+)$", out.read(), re.MULTILINE)}
    calls.pop("total", None)
    return calls, done


def idle_bytes(server):
    """Of a connection that has been used and waits."""
    sizes = []
    for connections in (1_000, 1_000 + IDLE):
        pair = Pair(server, connections)
        sizes.append(pair.dirty())
        pair.close()
    return (sizes[1] - sizes[0]) / IDLE


def instructions_each(server, connections, short, long, *arguments):
    return difference(instructions, server, connections, short, long, *arguments)["instructions"]


def calls_each(server, connections, short, long, *arguments):
    return sum(difference(system_calls, server, connections, short, long, *arguments).values())


def times(servers, connections, *arguments, least=200, starts=1):
    """For each server its processor time for an operation: nanoseconds, and in proportion to the
    first one's in the same round. Each is started so many times."""
    found = {server: [] for server in servers}
    for _ in range(starts):
        once = interleave(lambda server: Pair(server, connections, *arguments), servers,
                          math.ceil(ROUNDS / starts), least, 0.05)["cpu"]
        for server, values in once.items():
            found[server] += values
    first = found[servers[0]]
    return {server: (statistics.median(values),
                     statistics.median(value / base for value, base in zip(values, first)))
            for server, values in found.items()}


def echo():
    servers = there(ECHO)
    print(f"echo of 64 bytes: instructions with 1 / 50 connections, system calls, processor time with "
          f"{' / '.join(map(str, ACTIVE))}")
    ratios = [times(servers, connections, least=max(200, connections)) for connections in ACTIVE]
    for server in servers:
        one = instructions_each(server, 1, 500, 2500)
        fifty = instructions_each(server, 50, 1000, 4000)
        calls = calls_each(server, 1, 500, 1500)
        print(f"{server:26} {one:7.0f} /{fifty:6.0f} {calls:8.2f}   "
              f"{' / '.join(f'{ratio[server][1]:.2f}' for ratio in ratios)}", flush=True)


def memory():
    print("bytes of an idle connection")
    for server in there(ECHO):
        print(f"{server:26} {idle_bytes(server):15.0f}", flush=True)


def lines():
    print("16 lines at a time: ns of the server a line, instructions, system calls")
    for connections in (1, 50):
        found = times(["event lines-apart", "event lines"], connections, MESSAGE, 16)
        for server, (ns, ratio) in found.items():
            print(f"{server:26} {connections:3} connections {ns:8.0f} {ratio:6.3f}", flush=True)
    for server in ("event lines-apart", "event lines"):
        print(f"{server:26} {instructions_each(server, 1, 1600, 8000, MESSAGE, 16):8.0f} "
              f"{calls_each(server, 1, 1600, 3200, MESSAGE, 16):6.2f}", flush=True)


def bulk():
    print("a MiB in one direction: microseconds of the server, in proportion, system calls")
    for kind, sizes in IN_BULK.items():
        servers = there([f"{name} {kind}" for name in PLAIN])
        found = times(servers, 1, *sizes, least=20, starts=STARTS)
        for server in servers:
            ns, ratio = found[server]
            print(f"{server:26} {ns / 1000:8.1f} {ratio:6.2f} "
                  f"{calls_each(server, 1, 20, 120, *sizes):6.1f}", flush=True)


def connections():
    servers = there(ECHO)
    print("a connection for each message: ns of the server, in proportion, instructions, calls")
    found = times(servers, 1, MESSAGE, *RENEWED, least=100)
    for server in servers:
        ns, ratio = found[server]
        print(f"{server:26} {ns:8.0f} {ratio:6.2f} "
              f"{instructions_each(server, 1, 200, 600, MESSAGE, *RENEWED):8.0f} "
              f"{calls_each(server, 1, 200, 600, MESSAGE, *RENEWED):6.2f}", flush=True)


def tls():
    servers = there([f"{name} echo" for name in TLS])
    ratios = [times(servers, connections) for connections in (1, 50)]
    bulks = [times(there([f"{name} {kind}" for name in TLS]), 1, *sizes, least=5)
             for kind, sizes in IN_BULK.items()]
    print("over TLS: echo of 64 bytes with 1 / 20 connections, a MiB sent and received, a connection\n"
          f"{'server':26} {'instructions':>15} {'calls':>6} {'time, 1 / 50':>13} {'MiB out / in':>13} "
          f"{'calls':>13} {'idle':>7}")
    for server in servers:
        name = server.split()[0]
        echoes = [instructions_each(server, 1, 500, 2500), instructions_each(server, 20, 1000, 4000)]
        bulk_ratios = [found[f"{name} {kind}"][1] for found, kind in zip(bulks, IN_BULK)]
        bulk_calls = [calls_each(f"{name} {kind}", 1, 20, 120, *sizes)
                      for kind, sizes in IN_BULK.items()]
        print(f"{server:26} {echoes[0]:7.0f} /{echoes[1]:6.0f} {calls_each(server, 1, 500, 1500):6.2f} "
              f"{ratios[0][server][1]:6.2f} /{ratios[1][server][1]:5.2f} "
              f"{bulk_ratios[0]:6.2f} /{bulk_ratios[1]:5.2f} {bulk_calls[0]:6.1f} /{bulk_calls[1]:5.1f} "
              f"{idle_bytes(server):7.0f}", flush=True)
    whole = dict(zip(IN_BULK, bulks))["upload"]
    os.environ["BENCH_RECORD"] = str(SMALL_RECORD)
    small = times(list(whole), 1, *IN_BULK["upload"], least=5)
    del os.environ["BENCH_RECORD"]
    for server, (ns, ratio) in small.items():
        print(f"{server:26} a MiB received in records of {SMALL_RECORD} bytes {ns / 1000:8.1f} us "
              f"{ratio:6.2f}, {ns / whole[server][0]:.2f} times one in large records", flush=True)
    for resumed in (False, True):
        if resumed:
            os.environ["BENCH_RESUME"] = "1"
        found = times(servers, 1, MESSAGE, *RENEWED, least=50)
        for server, (ns, ratio) in found.items():
            print(f"{server:26} a connection, {'resumed' if resumed else 'full':8} {ns / 1000:8.1f} us "
                  f"{ratio:6.2f}", flush=True)


PARTS = {part.__name__: part for part in (echo, memory, lines, bulk, connections, tls)}


def main():
    if len(sys.argv) < 2 or not set(sys.argv[2:]) <= PARTS.keys():
        sys.exit(__doc__)
    for part in sys.argv[2:] or PARTS:
        PARTS[part]()


if __name__ == "__main__":
    main()
