#!/usr/bin/env python3
"""Runs the example servers with each call that they make failing, once or from then on.

    servers.py --examples DIRECTORY --preload FILE [--every K] [--jobs N] [--only REGEX]

While one fails, clients come and speak to it; when it fails once, others come after them, and must
be answered. A server may end by itself only with status 1 and a line that says why. It must end
when it is told to, and never by a crash, nor spin, which shows in how many calls it makes.
"""

import argparse
import collections
import concurrent.futures
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time

from faulty import MISSING, SHORTAGES, environment, read_report, text_of

SECONDS = 30  # for anything that takes a moment
BACKENDS = ["epoll", "poll"]
CLIENTS = 3
# What a run makes is a few hundred; what spins makes so many in a moment.
MOST_CALLS = 20_000

# For ever, these would say that there is always more to come.
PASSING = {"EAGAIN", "ECONNABORTED", "EINTR"}

ERRORS = {
    "accept4": SHORTAGES + ["ENOBUFS", "ECONNABORTED", "EINTR", "EPERM", "EPROTO"],
    "bind": ["EADDRINUSE", "EACCES", "EADDRNOTAVAIL"],
    "calloc": ["ENOMEM"],
    "close": ["EIO"],
    "epoll_create1": SHORTAGES + MISSING,
    "epoll_ctl_add": ["ENOMEM", "ENOSPC"],
    "epoll_ctl_del": ["ENOMEM"],
    "epoll_ctl_mod": ["ENOMEM"],
    "epoll_wait": ["EINTR", "ENOMEM"],
    "eventfd": SHORTAGES + MISSING,
    "fstat": ["ENOMEM"],
    "getsockname": ["ENOBUFS"],
    "listen": ["EADDRINUSE"],
    "malloc": ["ENOMEM"],
    "poll": ["EINTR", "ENOMEM"],
    "ppoll": ["EINTR", "ENOMEM"] + MISSING,
    "realloc": ["ENOMEM"],
    "recv": ["EAGAIN", "ECONNRESET", "EINTR", "ENOMEM"],
    "register_atfork": ["ENOMEM"],
    "send": ["EAGAIN", "ECONNRESET", "EINTR", "ENOBUFS", "EPIPE"],
    "setsockopt": ["ENOMEM"],
    "setsockopt_linger": ["ENOMEM"],
    "setsockopt_no_delay": ["ENOMEM"],
    "sigaction": ["EINVAL"],
    "signalfd": SHORTAGES + MISSING,
    "socket": SHORTAGES + ["EAFNOSUPPORT"],
    "timerfd_create_monotonic": SHORTAGES + MISSING,
    "timerfd_settime": ["EPERM"],
}

Fault = collections.namedtuple("Fault", "backend act call error nth onwards")
Run = collections.namedtuple("Run", "fault injected outcome detail calls")
FINE = ["served", "dropped a client", "gave an error"]


class Server:
    """One of the examples, under the library that makes calls fail."""

    def __init__(self, options, directory, fault):
        handle, self.report = tempfile.mkstemp(dir=directory)
        os.close(handle)
        self.process = subprocess.Popen(
            [os.path.join(options.examples, fault.act), "0"], stdin=subprocess.DEVNULL,
            env=environment(options.preload, self.report, fault, EVENT_BACKEND=fault.backend),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, close_fds=False)
        line = self.process.stdout.readline()
        listens = re.fullmatch(r"listening on port (\d+)\n", line)
        self.port = int(listens[1]) if listens else None

    def end(self):
        """Tells it to end; returns (status or None, what it said, and on standard error)."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            output, errors = self.process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            return None, "", ""
        return self.process.returncode, output, errors


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=SECONDS)


def hears(listener, speaker, text, patience):
    """Whether the text arrives, in a chat after others; either of them may be dropped."""
    heard = b""
    waits = select.poll()
    waits.register(speaker, select.POLLRDHUP)
    waits.register(listener, select.POLLIN)
    while text not in heard:
        ready = dict(waits.poll(patience * 1000))
        if listener.fileno() not in ready:
            return False
        some = listener.recv(4096)
        if not some:
            return False
        heard += some
    return True


def speak(port, act, name, patience):
    """So many clients come; returns how many of them were answered."""
    answered = 0
    clients = []
    try:
        clients = [connect(port) for _ in range(CLIENTS)]
    except OSError:
        pass
    # The first comes last: in the chat an earlier one hears it, and the second is there by then.
    for place, client in list(enumerate(clients))[1:] + list(enumerate(clients))[:1]:
        listener = client if act == "echo_server" else clients[place - 1 if place > 0 else 1]
        text = b"%s %d %s\n" % (name, place, b"x" * 100)
        try:
            client.sendall(text)
            answered += hears(listener, client, text, patience)
        except OSError:
            pass
    for client in clients:
        client.close()
    return answered


def run_server(options, directory, fault, pause=0):
    server = Server(options, directory, fault)
    served = [0, 0]
    if server.port is not None:
        # A client that is dropped, or has to wait, is not waited for.
        served[0] = speak(server.port, fault.act, b"hello", 0.3 if fault.nth else SECONDS)
        if fault.nth and not fault.onwards:
            served[1] = speak(server.port, fault.act, b"again", SECONDS)
            # What was measured includes the end, so that it may fail only now.
            if served[1] < CLIENTS == served[0]:
                served[1] = speak(server.port, fault.act, b"once more", SECONDS)
    time.sleep(pause)
    status, output, errors = server.end()
    injected, calls = read_report(server.report)
    os.unlink(server.report)
    if status == -signal.SIGTERM and pause == 0:
        # Perhaps it was told to end while it did so by itself.
        return run_server(options, directory, fault, pause=1)
    outcome = judge(fault, status, errors, served, sum(calls.values()))
    return Run(fault, injected, outcome, f"status {status}, served {served}\n{output}{errors}",
               calls)


def judge(fault, status, errors, served, calls):
    if status is None:
        return "hung"
    if status < 0 or status > 1:
        return "crashed"
    if calls > MOST_CALLS:
        return "spun"
    if status == 1:
        # Before that it may have said that new connections wait.
        reason = errors.splitlines()[-1:]
        return "gave an error" if reason and reason[0].startswith(fault.act + ": ") else "no reason"
    if fault.onwards or not fault.nth:
        return "served" if served[0] == CLIENTS else "dropped a client"
    if served[1] < CLIENTS:
        return "does not go on"
    return "served" if served[0] == CLIENTS else "dropped a client"


def rows_of(options, directory, pool):
    measured = [Fault(backend, act, "", "", 0, False)
                for backend in BACKENDS for act in ["echo_server", "chat_server"]]
    for run in pool.map(lambda fault: run_server(options, directory, fault), measured):
        if run.outcome != "served":
            sys.exit(f"{text_of(run.fault)}: {run.outcome}\n{run.detail}")
        for call in sorted(run.calls.keys() & ERRORS.keys()):
            for error in ERRORS[call]:
                for onwards in [False] if error in PASSING else [False, True]:
                    fault = run.fault._replace(call=call, error=error, onwards=onwards)
                    yield fault, run.calls[call]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--examples", required=True)
    parser.add_argument("--preload", required=True)
    parser.add_argument("--every", type=int, default=1, help="only each K-th run")
    parser.add_argument("--jobs", type=int, default=2 * os.cpu_count())
    parser.add_argument("--only", default="", help="of 'backend server call error'")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="event-faults-") as directory, \
            concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        faults = [fault._replace(nth=nth)
                  for fault, count in rows_of(options, directory, pool)
                  if re.search(options.only, " ".join(fault[:4])) for nth in range(1, count + 1)]
        runs = list(pool.map(lambda fault: run_server(options, directory, fault),
                             faults[::options.every]))
    wrong = [run for run in runs if run.outcome not in FINE]
    for run in wrong:
        print(f"{run.outcome}: {text_of(run.fault)}\n{run.detail}")
    outcomes = collections.Counter(run.outcome for run in runs)
    print(", ".join(f"{outcomes[outcome]} {outcome}" for outcome in sorted(outcomes)))
    print(f"{len(runs)} runs, {sum(run.injected for run in runs)} faults, {len(wrong)} wrong")
    return 1 if wrong or not runs else 0


if __name__ == "__main__":
    sys.exit(main())
