#!/usr/bin/env python3
"""What a request to a Redis or PostgreSQL server costs the client, over the adapters.

usage: adapters.py PROGRAMS [redis|pg]...

PROGRAMS is where the benchmarks were built: build/release/bench. Starts a server of its own, on the
second processor, and runs clients on the first. Instructions and calls of epoll_ctl are the difference
of a long and a short run; times are the median of ROUNDS, in which the clients take turns. Needs
redis-server, PostgreSQL, valgrind and strace.
"""

import contextlib
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from workers import pin

ROUNDS = 5
WAITING = (1, 50)
REDIS = ("redis", "redis_callbacks", "redis_libevent")
PG = ("pg_blocking", "pg_connection", "pg_pipeline", "pg_pipeline_one")
PG_PROGRAMS = pathlib.Path("/usr/lib/postgresql/15/bin")
ENVIRONMENT = {**os.environ, "EVENT_BACKEND": "epoll"}


def directory():
    return pathlib.Path(sys.argv[1]).resolve()


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@contextlib.contextmanager
def server(command, port):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               preexec_fn=pin(1))
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.1)
        time.sleep(1)
        yield
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def redis():
    port = free_port()
    with server(["redis-server", "--port", str(port), "--save", "", "--appendonly", "no"], port):
        yield str(port)


@contextlib.contextmanager
def postgres():
    """As the user postgres, if this one is root: it does not run as root."""
    port = free_port()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="event-bench-"))
    folder.chmod(0o777)
    user = (["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
            if os.geteuid() == 0 else [])
    try:
        subprocess.run([*user, PG_PROGRAMS / "initdb", "-A", "trust", "-U", "bench", "-N",
                        "-D", folder / "data"], check=True, stdout=subprocess.DEVNULL)
        with server([*user, PG_PROGRAMS / "postgres", "-D", folder / "data", "-p", str(port),
                     "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="], port):
            yield f"host=127.0.0.1 port={port} user=bench dbname=postgres"
    finally:
        shutil.rmtree(folder)


def run(client, address, waiting, requests, instrument=()):
    command = [*instrument, directory() / f"bench_adapters_{client}", address, str(waiting),
               str(requests)]
    done = subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, text=True,
                          preexec_fn=pin(0))
    return [float(value) for value in done.stdout.split()]


def instructions(client, address, waiting, requests):
    with tempfile.NamedTemporaryFile("r") as out:
        run(client, address, waiting, requests,
            ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out.name}"])
        return int(re.search(r"^(?:summary|totals): (\d+)", out.read(), re.MULTILINE)[1])


def epoll_ctl(client, address, waiting, requests):
    with tempfile.NamedTemporaryFile("r") as out:
        run(client, address, waiting, requests,
            ["strace", "-f", "-c", "-U", "calls,name", "-e", "trace=epoll_ctl", "-o", out.name])
        found = re.search(r"^ *(\d+) +epoll_ctl$", out.read(), re.MULTILINE)
        return int(found[1]) if found else 0


def difference(measure, client, address, waiting, short=1_000, long=5_000):
    few = measure(client, address, waiting, short)
    many = measure(client, address, waiting, long)
    return (many - few) / (long - short)


def report(clients, address, requests):
    print("| | waiting | per second | processor time, ns | instructions | epoll_ctl |")
    print("|---|---|---|---|---|---|")
    there = [name for name in clients if os.access(directory() / f"bench_adapters_{name}", os.X_OK)]
    for waiting in WAITING:
        times = {name: [] for name in there}
        for _ in range(ROUNDS):
            for name in there:
                times[name].append(run(name, address, waiting, requests * min(waiting, 8)))
        for name in there:
            wall, cpu = (statistics.median(column) for column in zip(*times[name]))
            print(f"| {name} | {waiting} | {1e9 / wall:,.0f} | {cpu:,.0f} | "
                  f"{difference(instructions, name, address, waiting):,.0f} | "
                  f"{difference(epoll_ctl, name, address, waiting):.2f} |", flush=True)
    print()


def main():
    parts = sys.argv[2:] or ["redis", "pg"]
    if "redis" in parts:
        with redis() as address:
            report(REDIS, address, 10_000)
    if "pg" in parts:
        with postgres() as address:
            report(PG, address, 2_000)


if __name__ == "__main__":
    main()
