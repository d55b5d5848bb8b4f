"""pgbouncer: the test script of its sources, over PostgreSQL on port 6666, as an unprivileged user.

One base; timers, signals, a restart that takes over the sockets of a process that serves.
"""

import os
import pathlib
import re
import shutil
import signal

from library import run

PACKAGES = ["pgbouncer", "postgresql-15"]
USER = "nobody"
STATES = {"ok": "passed", "skipped": "skipped", "FAILED": "failed"}


def unprivileged():
    """How to start a process: neither PostgreSQL nor pgbouncer runs as root."""
    if os.geteuid() != 0:
        return {}
    return {"user": USER, "group": "nogroup", "extra_groups": []}


def judge(library, only=None):
    place = library.empty_directory("pgbouncer")
    source = library.debian.source("pgbouncer")
    for part in ("test", "include"):
        shutil.copytree(source / part, place / part)
    library.wrap("pgbouncer", place / "pgbouncer")
    user = unprivileged()
    if user:
        for path in [place, *place.rglob("*")]:
            shutil.chown(path, USER)
    path = f"{library.debian.program('initdb').parent}:{os.environ['PATH']}"
    environment = {**library.debian.environment, "PATH": path, "USER": USER, "HOME": str(place)}
    test = place / "test"
    try:
        output, _ = run(["bash", "test.sh", *sorted(only or [])], 570, cwd=test, env=environment,
                        **user)
    finally:
        for file in (test / "test.pid", test / "pgdata/postmaster.pid"):
            end_daemon(file)
    return {case: STATES[state]
            for case, state in re.findall(r" running (\w+) \.\.\. (\w+)$", output, re.M)}


def end_daemon(file):
    """Where a test got stuck, it did not end what it had started."""
    if file.exists():
        try:
            os.kill(int(pathlib.Path(file).read_text().split()[0]), signal.SIGINT)
        except ProcessLookupError:
            pass
