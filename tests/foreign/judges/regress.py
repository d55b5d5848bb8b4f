"""libevent's own tests, in Debian's version. They look into buffers, and not into bases."""

import re

from library import run

PACKAGES = []
STATES = {"OK": "passed", "SKIPPED": "skipped", "DISABLED": "skipped"}


def judge(library, only=None):
    script = library.wrap(library.regress)
    output, status = run([script, *(only or [])], 900, cwd=library.empty_directory("regress"))
    results = {}
    case = None
    for line in output.splitlines():
        begun = re.match(r"([a-z]+/\w+): (.*)", line)
        if begun:
            case = begun[1]
        if case:
            for word, state in STATES.items():
                if re.search(rf"\b{word}$", line):
                    results.setdefault(case, state)
            if "FAILED]" in line:
                results[case] = "failed"
            results.setdefault(case, "failed") if status is None else None
    return results
