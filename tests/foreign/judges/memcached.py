"""memcached: the suite of its sources, and memccapable, which speaks both of its protocols.

Four threads, a base each. They are told of a connection through an eventfd.
"""

import concurrent.futures
import re
import shutil

from library import free_port, run, server

PACKAGES = ["memcached", "libmemcached-tools"]

# The suite is for a build of its own, which has an option and a command ("debugtime") more: cases
# that need these fail with both libraries.
SCRIPTS = {
    "memcached-debug": '#!/bin/sh\nexec ${0%-debug} $(echo "$*" | sed "s/-o relaxed_privileges//")\n',
    "timedrun": '#!/bin/sh\nshift\nexec "$@"\n',
}


def judge(library, only=None):
    place = library.empty_directory("memcached")
    shutil.copytree(library.debian.source("memcached") / "t", place / "t")
    program = library.wrap("memcached", place / "memcached")
    for name, text in SCRIPTS.items():
        (place / name).write_text(text)
        (place / name).chmod(0o755)
    tests = [test for test in sorted((place / "t").glob("*.t")) if only is None or test.name in only]
    # Most of the time they sleep.
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        results = dict(zip((test.name for test in tests), pool.map(_state_of, tests)))
    if only is None or not only.issubset(results):
        results.update(_capable(library, program, place))
    return results


def _state_of(test):
    output, status = run(["perl", "-It/lib", test], 240, cwd=test.parent.parent)
    skipped = re.search(r"^1\.\.0 # SKIP", output, re.M)
    return "skipped" if skipped else "passed" if status == 0 else "failed"


def _capable(library, program, place):
    port = free_port()
    tool = library.debian.program("memccapable")
    environment = library.debian.environment
    with server([program, "-u", "root", "-l", "127.0.0.1", "-p", port], port, place / "log"):
        output, _ = run([tool, "-h", "127.0.0.1", "-p", port, "-t", "20"], 240, env=environment)
    return {f"memccapable {case}": "passed" if state == "pass" else "failed"
            for case, state in re.findall(r"^(.*?)\s+\[(\w+)\]", output, re.M)}
