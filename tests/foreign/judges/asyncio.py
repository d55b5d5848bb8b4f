"""CPython's tests of asyncio, over a selector that waits in libevent: libevent_selector.py."""

import os
import pathlib
import re

from library import run

PACKAGES = ["libpython3.11-testsuite"]
SELECTOR = pathlib.Path(__file__).parent.parent / "libevent_selector.py"
MODULES = [f"test.test_asyncio.test_{part}" for part in (
    "base_events", "buffered_proto", "events", "runners",
    "selector_events", "sendfile", "server", "sock_lowlevel", "ssl", "sslproto", "streams",
    "subprocess", "tasks", "threads", "timeouts", "unix_events", "waitfor")]
STATES = {"ok": "passed", "FAIL": "failed", "ERROR": "failed"}


def judge(library, only=None):
    root = library.debian.root
    python = library.debian.program("python3.11")
    modules = [module for module in MODULES
               if (root / "usr/lib/python3.11" / (module.replace(".", "/") + ".py")).exists()]
    environment = {**os.environ, **library.environment}
    for name in ("PYTHONHOME", "PYTHONPATH"):
        environment.pop(name, None)
    environment["PYTHONHOME" if root in python.parents else "PYTHONPATH"] = \
        str(root / ("usr" if root in python.parents else "usr/lib/python3.11"))
    place = library.empty_directory("asyncio")
    results = {}
    for module in modules:
        if only is not None and not any(case.startswith(module + ".") for case in only):
            continue
        output, status = run([*library.prefix, python, "-X", "faulthandler", SELECTOR, "-v", module], 300,
                             cwd=place, env=environment)
        for case, state in re.findall(r"^\w+ \(([\w.]+)\)(?:\n.*?)? \.\.\. (?:.*\n)*?.*?\b(ok|FAIL|ERROR|skipped)\b",
                                      output, re.M):
            results[case] = STATES.get(state, "skipped")
        if status not in (0, 1):
            results[f"{module}.ends"] = "failed"
    return results
