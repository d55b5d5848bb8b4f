#!/usr/bin/env python3
"""Runs fault_program with each call that it makes failing: the first, the second, the third ...
with each error that makes sense, over each backend, once or from then on.

    sweep.py --program FILE --preload FILE [--every K] [--jobs N] [--only REGEX] [--report FILE]

Of each run it is asked whether the error was reported, or is one for which there is a fallback (the
table below says which); whether anything leaked; whether everything else still came; and whether it
ended at all. Ends with 1 if not.
"""

import argparse
import collections
import concurrent.futures
import errno
import os
import re
import signal
import subprocess
import sys
import tempfile

from faulty import MISSING, SHORTAGES, environment, read_report, text_of

BACKENDS = ["epoll", "poll"]
SECONDS_PER_RUN = 60

ERRORS = {
    "accept4": SHORTAGES + ["ENOBUFS", "ECONNABORTED", "EINTR", "EINVAL", "EPERM", "EPROTO"],
    "access": ["EACCES"],
    "bind": ["EACCES", "EADDRINUSE", "ENOMEM"],
    "calloc": ["ENOMEM"],
    "chdir": ["EACCES"],
    "clone": SHORTAGES + MISSING + ["EAGAIN"],
    "close": ["EINTR", "EIO"],
    "close_range": MISSING,
    "connect": ["EADDRNOTAVAIL", "ECONNREFUSED", "EINTR", "ENETUNREACH", "ENOBUFS"],
    "dup3": ["EMFILE", "EBUSY"],
    "epoll_create1": SHORTAGES + MISSING,
    "epoll_ctl_add": ["ENOMEM", "ENOSPC"],
    "epoll_ctl_del": ["ENOMEM"],
    "epoll_ctl_mod": ["ENOMEM"],
    "epoll_pwait2": ["EINTR", "ENOSYS"],
    "epoll_wait": ["EINTR", "ENOMEM"],
    "eventfd": SHORTAGES + MISSING,
    "execve": ["E2BIG", "ENOMEM", "ETXTBSY"],
    "faccessat": ["EACCES", "ENOMEM"],
    "fcntl": ["ENOMEM"],
    "fork": ["EAGAIN", "ENOMEM"],
    "fstat": ["ENOMEM"],
    "fstatat": ["EACCES", "ENOMEM"],
    "getaddrinfo": SHORTAGES,
    "getentropy": ["EIO", "ENOSYS"],
    "getpeername": ["ENOBUFS"],
    "getsockname": ["ENOBUFS"],
    "getsockopt": ["ENOBUFS"],
    "ioctl": ["EIO"],
    "listen": ["EADDRINUSE"],
    "lstat": ["EACCES", "ENOMEM"],
    "malloc": ["ENOMEM"],
    "open": SHORTAGES + ["EACCES"],
    "openssl_malloc": ["ENOMEM"],
    "pidfd_open": SHORTAGES + MISSING,
    "pidfd_send_signal": MISSING,
    "pipe2": SHORTAGES,
    "poll": ["EINTR", "ENOMEM"],
    "posix_openpt": ["EMFILE", "ENOSPC"],
    "posix_spawn": ["EAGAIN", "ENOMEM"],
    "ppoll": ["EINTR", "ENOMEM", "ENOSYS", "EPERM"],
    "prctl": ["EPERM"],
    "pread": ["EINTR", "EIO"],
    "prlimit": ["EPERM"],
    "pthread_create": ["EAGAIN"],
    "pwritev2": ["EINTR", "ENOMEM", "ENOSYS", "EOPNOTSUPP"],
    "read": ["EINTR"],
    "read_file": ["EINTR", "EIO"],
    "read_pipe": ["EINTR", "EIO"],
    "realloc": ["ENOMEM"],
    "recv": ["ECONNRESET", "EINTR", "ENOMEM", "ETIMEDOUT"],  # an EAGAIN that is not true would wait for ever
    "recvmsg": ["ECONNREFUSED", "EINTR", "ENOMEM"],
    "register_atfork": ["ENOMEM"],
    "send": ["ECONNRESET", "EINTR", "ENOBUFS", "EPIPE"],
    "sendfile": ["ECONNRESET", "EINTR", "EINVAL", "EIO", "ENOSYS", "EPIPE"],
    "sendmsg": ["ECONNRESET", "EINTR", "ENOBUFS", "EPIPE"],
    "setgid": ["EPERM"],
    "setgroups": ["EPERM"],
    "setpgid": ["EPERM"],
    "setsid": ["EPERM"],
    "setsockopt": ["ENOMEM"],
    "setsockopt_linger": ["ENOMEM"],
    "setsockopt_no_delay": ["ENOMEM"],
    "setuid": ["EAGAIN", "EPERM"],
    "shutdown": ["ENOTCONN"],
    "sigaction": ["EINVAL"],
    "signalfd": SHORTAGES,  # where it is missing: profiles.py
    "socket": SHORTAGES + ["EAFNOSUPPORT"],
    "socketpair": SHORTAGES,
    "splice": ["ECONNRESET", "EINTR", "EINVAL", "ENOMEM", "ENOSYS", "EPIPE"],
    "stat": ["EACCES", "ENOMEM"],
    "timerfd_create_boottime": SHORTAGES + MISSING,
    "timerfd_create_monotonic": SHORTAGES + MISSING,
    "timerfd_create_wall": SHORTAGES + MISSING,
    "timerfd_settime": ["ENOMEM", "EPERM", "ECANCELED"],
    "unlink": ["EACCES"],
    "waitid": ["EINTR"],
    "waitpid": ["EINTR"],
    "write": ["EINTR"],
    "writev": ["EINTR", "ENOMEM"],
}

# Of calls that are made far more often than the rest only each K-th fails.
STRIDES = {"openssl_malloc": 101}

# What may come to nothing but a fallback, and why that is right: (backend, act, call, error) as
# regular expressions. All else must be reported.
ABSORBED = [
    (".*", ".*", "close", ".*"),  # the number is free, whatever it says
    (".*", ".*", ".*", "EINTR"),  # it is done again
    # Who removes a registration, or has it report less, is told nothing: it is done another way.
    (".*", ".*", "epoll_ctl_del|epoll_ctl_mod", ".*"),
    # The timer of an epoll backend is not needed: waits are in whole milliseconds then.
    (".*", ".*", "timerfd_create_monotonic|timerfd_settime|epoll_ctl_add", ".*"),
    (".*", ".*", "timerfd_create_wall", "ENOSYS|EPERM"),  # the loop looks at the clock itself
    (".*", ".*", "pidfd_open", "ENOSYS|EPERM"),  # SIGCHLD is watched
    (".*", ".*", "fcntl", ".*"),  # whether a descriptor only names a file: no proof
    (".*", ".*", "sigaction", ".*"),  # who restores a disposition is told nothing
    (".*", ".*", "fstat", ".*"),  # it is asked whether a file is still the same: no proof
    (".*", ".*", "ppoll", "ENOSYS|EPERM"),  # poll
    (".*", "rest", "epoll_create1", ".*"),  # another backend
    (".*", "net", "accept4", "ECONNABORTED|EPERM|EPROTO"),  # one connection: the next is taken
    (".*", "net", "accept4", "EMFILE|ENFILE|ENOBUFS|ENOMEM"),  # accept() tries, and then waits
    # Exceptions have memory of their own, and a thread tells its base once there is some.
    (".*", "net", "malloc", ".*"),
    (".*", "net", "recv|shutdown", ".*"),  # drain_and_close() gives up, and closes
    (".*", "net", "setsockopt_linger", ".*"),  # reset() closes all the same
    (".*", "net", "setsockopt_no_delay", ".*"),  # of an accepted socket: slower answers, no loss
    (".*", "net", "getsockname", ".*"),  # is a listener one of TCP? It tries that option then
    # No proof that a path is still the socket's own: it stays. The next listener takes it over, and
    # the next Datagram is told that the address is in use.
    (".*", "net", "lstat|unlink", ".*"),
    (".*", "net", "pipe2", ".*"),  # copy() takes the bytes itself
    (".*", "net", "sendfile|splice", "EINVAL|ENOSYS"),  # so do send_file() and copy()
    # A lookup asks again, or another server; one family is enough; a name server that cannot answer
    # is asked again. All of it has an end: see below.
    (".*", "dns", "accept4|connect|recv|recvmsg|send|sendmsg|socket", ".*"),
    (".*", "dns", "bind|listen", "EADDRINUSE"),  # the name server takes another port
    (".*", "dns", "getentropy", ".*"),  # one family is enough
    (".*", "dns", "getsockname", ".*"),  # how near an address is; is a listener one of TCP?
    (".*", "dns", "setsockopt_no_delay", ".*"),  # as above
    (".*", "dns", "malloc|realloc", ".*"),  # as for a socket; and exceptions
    (".*", "dns", "open|read_file|stat", ".*"),  # what the file said before holds
    (".*", "process", "access", ".*"),  # more to say of an error
    (".*", "process", "clone", "ENOSYS|EPERM"),  # posix_spawn(3), fork(2)
    (".*", "process", "close_range", ".*"),  # each descriptor by itself
    (".*", "process", "execve", "ETXTBSY"),  # soon again
    (".*", "process", "faccessat|fstatat", "EACCES"),  # the program is looked for further on
    (".*", "process", "malloc", ".*"),  # exceptions
    (".*", "process", "pidfd_send_signal", ".*"),  # kill(2)
    (".*", "process", "pwritev2", "ENOSYS|EOPNOTSUPP"),  # writev(2)
    (".*", "tls", "accept4", "ECONNABORTED|EPERM|EPROTO|EMFILE|ENFILE|ENOBUFS|ENOMEM"),  # as of net
    (".*", "tls", "getentropy", ".*"),  # OpenSSL asks the kernel in another way
    (".*", "tls", "getpeername", ".*"),  # of an accepted connection, for the text of its errors
    (".*", "tls", "getsockname|setsockopt_no_delay", ".*"),  # as of net
    (".*", "tls", "malloc", ".*"),  # exceptions; a session that is not kept
    # OpenSSL does without: a decoder of many is not tried, a session not kept, an error not noted.
    (".*", "tls", "openssl_malloc", ".*"),
    (".*", "tls", "recv|send|shutdown", ".*"),  # close() gives up, and closes
]

# Of these calls only some uses may be absorbed, the ones named here: (act, call, error) as above, and
# how many in a run. Where threads race there are some more than a run has.
MOST_ABSORBED = [
    ("net", "accept4", "EMFILE|ENFILE|ENOBUFS|ENOMEM", 10),  # before accept() waits; later on_error
    ("net", "epoll_ctl_add", ".*", 4),  # the timers of two bases; a listener that ends at once
    ("net", "getsockname", ".*", 11),  # six listeners; five that ask whether a connection is one to itself
    ("net", "malloc", ".*", 24),  # exceptions of what is cancelled at the end
    ("net", "recv", "(?!EINTR).*", 3),  # one drain_and_close()
    ("net", "shutdown", ".*", 1),  # the same
    # Five accepted connections, and a sixth on a slow machine, where connect() tries two addresses.
    ("net", "setsockopt_no_delay", ".*", 6),
    # Those of the name server, and of the other family.
    ("dns", "connect|getentropy|socket", "EIO|EMFILE|ENFILE|ENOBUFS|ENOMEM|ENOSYS", 9),
    ("dns", "recvmsg|sendmsg", "ENOBUFS|ENOMEM", 18),
    ("dns", "epoll_ctl_add", ".*", 20),
    ("dns", "malloc", ".*", 170),
    ("dns", "getsockname", ".*", 14),  # how near each address is; three listeners
    ("dns", "open|read_file|stat", "(?!EINTR).*", 6),  # two files that are read again
    ("process", "epoll_ctl_add", ".*", 2),  # the timer of the base
    ("process", "malloc", ".*", 14),  # exceptions of what is cancelled at the end
    ("tls", "epoll_ctl_add|getsockname|setsockopt_no_delay", ".*", 3),  # as of net
    ("tls", "getpeername", ".*", 5),  # each accepted connection
    ("tls", "malloc", ".*", 36),
    ("tls", "recv|send|shutdown", "(?!EINTR).*", 5),  # close() of each side
]

# What is never to be told of, as there is a fallback for every use of it: (act, call, error).
QUIET = [
    (".*", ".*", "EINTR"),
    (".*", "access|close|close_range|lstat|pidfd_send_signal|setsockopt_linger|unlink", ".*"),
    ("net", "pipe2", ".*"),
    (".*", "timerfd_create_monotonic|timerfd_settime", ".*"),
    (".*", "pidfd_open|ppoll|timerfd_create_wall", "ENOSYS|EPERM"),
    ("process", "clone", "ENOSYS|EPERM"),
    ("process", "pwritev2", "ENOSYS|EOPNOTSUPP"),
]

# Errors that are an answer like any other: (act, call, error).
LEFT_OUT = [
    ("dns", "open|stat", "EACCES"),  # a file that may not be read counts as none
]

Fault = collections.namedtuple("Fault", "backend act call error nth onwards")
Run = collections.namedtuple("Run", "fault injected outcome detail reported")

# The outcomes of a run that are right, and those that are not.
FINE = ["reported", "absorbed"]
WRONG = ["swallowed", "no fallback", "wrong error", "gave up", "lost", "leaked", "crashed", "hung"]


class Sweep:
    def __init__(self, options):
        self.options = options
        self.directory = tempfile.TemporaryDirectory(prefix="event-faults-")
        self.baseline = {}

    def start(self, fault):
        """Runs the program; returns (exit status or None, output, injected, calls)."""
        handle, report = tempfile.mkstemp(dir=self.directory.name)
        os.close(handle)
        try:
            ended = subprocess.run([self.options.program, fault.backend, fault.act],
                                   env=environment(self.options.preload, report, fault),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, timeout=SECONDS_PER_RUN, check=False,
                                   close_fds=False)
            status, output = ended.returncode, ended.stdout.decode(errors="replace")
        except subprocess.TimeoutExpired as expired:
            status, output = None, (expired.stdout or b"").decode(errors="replace")
        injected, calls = read_report(report)
        os.unlink(report)
        return status, output, injected, calls

    def acts(self):
        """What the program can do: not all of it is in every build."""
        return subprocess.run([self.options.program, "acts"], stdout=subprocess.PIPE, text=True,
                              check=True).stdout.split()

    def measure(self, backend, act):
        """A run in which nothing fails."""
        status, output, _, calls = self.start(Fault(backend, act, "", "", 0, False))
        if status != 0:
            sys.exit(f"{backend} {act} fails when nothing else does ({status}):\n{output}")
        self.baseline[backend, act] = blocks_in(output), calls
        return calls

    def run(self, fault):
        status, output, injected, _ = self.start(fault)
        outcome, detail = self.judge(fault, status, output, injected)
        return Run(fault, injected, outcome, detail, len(reported_in(output)))

    def judge(self, fault, status, output, injected):
        if status is None:
            return "hung", output
        if status < 0:
            return "crashed", f"{signal.Signals(-status).name}\n{output}"
        if status not in (0, 1, 3):
            return "crashed", f"exit status {status}\n{output}"
        if blocks_in(output) > self.baseline[fault.backend, fault.act][0]:
            return "leaked", output
        if "missed every descriptor to be closed" in output:
            return "leaked", output
        reported = reported_in(output)
        if status == 3 and not fault.onwards:
            return "gave up", output
        if "missed" in output and not (fault.onwards and reported):
            return "lost", output
        if any(error not in (str(getattr(errno, fault.error)), "unknown") for error in reported):
            return "wrong error", output
        if reported and matches(QUIET, fault[1:4]):
            return "no fallback", output
        if reported or injected == 0:
            return "reported", ""
        return ("absorbed", "") if matches(ABSORBED, fault) else ("swallowed", output)

    def faults(self, backend, act, call, error, onwards, first):
        """Each run of one row, until the program makes no more such calls."""
        step = self.options.every * STRIDES.get(call, 1)
        nth = 1 + first % step
        if step > 1 and nth > self.baseline[backend, act][1][call]:
            return
        while True:
            run = self.run(Fault(backend, act, call, error, nth, onwards))
            if run.injected == 0 and run.outcome == "reported":
                return
            yield run
            nth += step
            if step > 1 and nth > self.baseline[backend, act][1][call]:
                return


def blocks_in(output):
    found = re.search(r"^blocks (-?\d+)$", output, re.MULTILINE)
    return int(found[1]) if found else 0


def reported_in(output):
    return re.findall(r"^reported (\d+|unknown) ", output, re.MULTILINE)


def matches(rows, names):
    return any(all(map(re.fullmatch, patterns, names)) for patterns in rows)


def judge_together(runs):
    """The runs; where too many calls of a kind were absorbed, these are swallowed."""
    absorbed = collections.defaultdict(list)
    for run in runs:
        if run.outcome == "absorbed":
            absorbed[run.fault._replace(nth=0)].append(run.fault.nth)
    too_many = {}
    for fault, calls in absorbed.items():
        most = [row[3] for row in MOST_ABSORBED if matches([row[:3]], fault[1:4])]
        if most and len(calls) > most[0]:
            too_many[fault] = f"absorbed at calls {sorted(calls)}, and at most {most[0]} may be"
    return [run._replace(outcome="swallowed", detail=too_many[run.fault._replace(nth=0)])
            if run.outcome == "absorbed" and run.fault._replace(nth=0) in too_many else run
            for run in runs]


# Acts of the libraries above the loop, and the calls that these make. In the other acts the program
# itself makes them.
ACTS_OF_NET = {"net", "dns", "tls", "process"}
OF_NET = {"accept4", "access", "bind", "chdir", "clone", "close_range", "connect",
          "execve", "faccessat", "fork", "fstatat", "getaddrinfo", "getentropy",
          "getpeername", "getsockname", "getsockopt", "ioctl", "listen", "lstat",
          "open", "pidfd_send_signal", "posix_openpt", "posix_spawn", "prctl", "pread",
          "prlimit", "pwritev2", "read_file", "recv", "recvmsg", "send",
          "sendfile", "sendmsg", "setgid", "setgroups", "setpgid", "setsid",
          "setsockopt", "setsockopt_linger", "setsockopt_no_delay", "setuid",
          "shutdown", "socket", "socketpair", "splice", "stat", "unlink", "writev"}


# Errors of calls that the other acts make of another kind of file.
ERRORS_OF_OTHERS = {"read_pipe": ["EINTR"]}


def rows_of(sweep, pool):
    """(backend, act, call, error, onwards) of all that can fail."""
    pairs = [(backend, act) for backend in BACKENDS for act in sweep.acts()]
    for (backend, act), calls in zip(pairs, pool.map(lambda pair: sweep.measure(*pair), pairs)):
        if act not in ACTS_OF_NET:
            calls = calls.keys() - OF_NET
        for call in sorted(set(calls) & ERRORS.keys()):
            errors = ERRORS[call]
            if act not in ACTS_OF_NET:
                errors = ERRORS_OF_OTHERS.get(call, errors)
            for error in errors:
                if matches(LEFT_OUT, (act, call, error)):
                    continue
                yield backend, act, call, error, False
                # For ever interrupted would be for ever.
                if error != "EINTR":
                    yield backend, act, call, error, True


def table_of(runs):
    """Markdown: a line for each call."""
    columns = ["injected"] + FINE + ["lost", "leaked", "crashed", "hung"]
    by_call = collections.defaultdict(collections.Counter)
    for run in runs:
        for name in (run.fault.call, "all"):
            by_call[name]["injected"] += run.injected
            by_call[name]["runs"] += 1
            by_call[name][run.outcome] += 1
    calls = sorted(by_call.keys() - {"all"}) + (["all"] if by_call else [])
    lines = ["| call | runs | " + " | ".join(columns) + " |", "|---" * (len(columns) + 2) + "|"]
    for call in calls:
        row = by_call[call]
        lines.append(f"| {call} | {row['runs']} | " +
                     " | ".join(str(row[column]) for column in columns) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--preload", required=True)
    parser.add_argument("--every", type=int, default=1, help="only each K-th call")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="", help="of 'backend act call error'")
    parser.add_argument("--report", help="write the table there, too")
    options = parser.parse_args()
    sweep = Sweep(options)

    runs = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        rows = [row for row in rows_of(sweep, pool) if re.search(options.only, " ".join(row[:4]))]
        jobs = [pool.submit(lambda row, n: list(sweep.faults(*row, n)), row, n)
                for n, row in enumerate(rows)]
        for job in concurrent.futures.as_completed(jobs):
            runs += job.result()
    runs = judge_together(runs)
    wrong = sorted(run for run in runs if run.outcome in WRONG)
    for run in wrong:
        print(f"{run.outcome}: {text_of(run.fault)}\n{run.detail}")
    table = table_of(runs)
    print(table)
    if options.report:
        with open(options.report, "w", encoding="utf-8") as file:
            file.write(table + "\n")
    print(f"{len(runs)} runs, {sum(run.injected for run in runs)} faults, {len(wrong)} wrong")
    return 1 if wrong or not runs else 0


if __name__ == "__main__":
    sys.exit(main())
