"""What a request costs with either library: the same program, the same load, in turns.

Ratios are ours to Debian's. Wall-clock figures depend on what else the machine does; instructions
and calls do not.
"""

import contextlib
import os
import pathlib
import re
import resource
import shutil
import socket
import statistics

from judges.pgbouncer import PACKAGES, USER, unprivileged
from library import free_port, run, server

ROUNDS = 5
REQUESTS = 100_000
IDLE = 1000
CLIENTS = 50
DESCRIPTORS = 4096
MOST = DESCRIPTORS - 12  # valgrind keeps so many, and memcached sets the limit itself


class Program:
    """command() starts it; load() sends it so many requests and returns how many it answers a second."""

    packages = []

    def surroundings(self, library):
        """What it needs while it is measured with either library."""
        return contextlib.nullcontext()


class Http(Program):
    """libevent's own server for measurements, one thread."""

    name = "bench_http"

    def command(self, library, port, under=()):
        return [library.wrap(library.http, under=under), "-p", port]

    def load(self, library, port, requests):
        output, status = run(["ab", "-q", "-k", "-c", CLIENTS, "-n", requests,
                              f"http://127.0.0.1:{port}/ind"], 300)
        assert status == 0 and re.search(r"Failed requests: +0$", output, re.M), output
        return float(re.search(r"^Requests per second: +([\d.]+)", output, re.M)[1])


class Memcached(Program):
    """One thread that serves; a tenth of the requests store."""

    name = "memcached"
    packages = ["memcached", "libmemcached-tools"]

    def command(self, library, port, under=()):
        script = library.wrap("memcached", under=under)
        return [script, "-u", "root", "-t", "1", "-c", MOST, "-l", "127.0.0.1", "-p", port]

    def load(self, library, port, requests):
        environment = library.debian.environment
        output, status = run([library.debian.program("memcaslap"), "-s", f"127.0.0.1:{port}", "-T", "1",
                              "-c", CLIENTS, "-x", requests], 300, env=environment)
        assert status == 0, output
        return float(re.search(r"TPS: (\d+)", output)[1])


class Pgbouncer(Program):
    """A pool of connections to PostgreSQL; a request is a transaction that reads a row."""

    name = "pgbouncer"
    packages = PACKAGES

    @contextlib.contextmanager
    def surroundings(self, library):
        self.place = library.empty_directory("postgresql")
        user = unprivileged()
        if user:
            shutil.chown(self.place, USER)
        program = library.debian.program
        environment = library.debian.environment
        options = {"env": environment, "cwd": self.place, **user}
        output, status = run([program("initdb"), "-D", self.place / "data", "-A", "trust", "-U", USER],
                             120, **options)
        assert status == 0, output
        self.database = free_port()
        command = [program("postgres"), "-D", self.place / "data", "-p", self.database,
                   "-h", "127.0.0.1", "-k", "", "-F"]
        with server(command, self.database, self.place / "log", **options):
            self.pgbench(library, self.database, "--initialize", "--quiet")
            yield

    def command(self, library, port, under=()):
        settings = self.place / "pgbouncer.ini"
        settings.write_text(f"""\
[databases]
* = host=127.0.0.1 port={self.database} user={USER}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
max_client_conn = {MOST - CLIENTS}
""")
        as_user = ["-u", USER] if os.geteuid() == 0 else []
        return [library.wrap("pgbouncer", under=under), *as_user, settings]

    def load(self, library, port, requests):
        output = self.pgbench(library, port, "--no-vacuum", "--select-only",
                              f"--client={CLIENTS}", f"--transactions={requests // CLIENTS}")
        assert "number of failed transactions: 0 " in output, output
        return float(re.search(r"^tps = ([\d.]+)", output, re.M)[1])

    def pgbench(self, library, port, *arguments):
        environment = library.debian.environment
        output, status = run([library.debian.program("pgbench"), *arguments, "-h", "127.0.0.1",
                              "-p", port, "-U", USER, "postgres"], 300, env=environment)
        assert status == 0, output
        return output


def processor_seconds(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(process):
    text = pathlib.Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    return 1024 * int(re.search(r"^Private_Dirty: +(\d+)", text, re.M)[1])


def serve(program, library, under=()):
    port = free_port()
    directory = library.empty_directory("speed")
    return port, server(program.command(library, port, under), port, directory / "log")


def under_load(program, library):
    port, serving = serve(program, library)
    with serving as process:
        program.load(library, port, REQUESTS // 10)
        before = processor_seconds(process)
        rate = program.load(library, port, REQUESTS)
        spent = processor_seconds(process) - before
    return {"requests a second": rate, "processor time a request, us": spent / REQUESTS * 1e6}


def idle(program, library):
    port, serving = serve(program, library)
    with serving as process:
        program.load(library, port, REQUESTS // 10)
        before = memory(process)
        connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(IDLE)]
        program.load(library, port, CLIENTS)  # all are accepted before this ends
        after = memory(process)
        for connection in connections:
            connection.close()
    return {"bytes an idle connection": (after - before) / IDLE}


def counted(program, library, requests):
    """Instructions of the program, and system calls, when it has answered so many requests."""
    file = library.scratch / "counts"
    port, serving = serve(program, library,
                          ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"])
    with serving:
        program.load(library, port, requests)
    log = (library.scratch / "speed/log").read_text()
    instructions = int(re.search(r"Collected : (\d+)", log)[1])
    port, serving = serve(program, library, ["strace", "-f", "-c", "-S", "calls", "-o", file])
    with serving:
        program.load(library, port, requests)
    calls = int(re.search(r"(\d+)(?: +\d+)? total", file.read_text())[1])
    return instructions, calls


def a_request(program, library):
    few, many = (counted(program, library, requests) for requests in (500, 2500))
    return {name: (after - before) / 2000
            for name, before, after in zip(("instructions a request", "system calls a request"), few, many)}


def compare(theirs, ours):
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    print("| program | | Debian's | ours | ratio |\n|---|---|---|---|---|")
    for program in (Http(), Memcached(), Pgbouncer()):
        theirs.debian.install(program.packages)
        with program.surroundings(theirs):
            for measure, rounds in ((under_load, ROUNDS), (idle, 1), (a_request, 1)):
                show_both(program, measure, rounds, theirs, ours)
    return 0


def show_both(program, measure, rounds, theirs, ours):
    results = [], []
    for _ in range(rounds):
        for library, result in zip((theirs, ours), results):
            result.append(measure(program, library))
    for name in results[0][0]:
        before, after = (statistics.median(one[name] for one in result) for result in results)
        print(f"| {program.name} | {name} | {before:,.1f} | {after:,.1f} | {after / before:.2f} |",
              flush=True)
