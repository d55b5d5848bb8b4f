#!/usr/bin/env python3
"""Runs test programs as an old kernel or a sandbox would have it.

    profiles.py --tests FILE... --wrapper FILE [--only REGEX] [--jobs N]

The kernel then refuses what with_profile says, to every test. What is left out is in the table
below, with the reason.
"""

import argparse
import collections
import concurrent.futures
import os
import re
import subprocess
import sys

SECONDS = 600
SHARES = 6  # of the tests, each in a process of its own

# What cannot be without a descriptor for it, as the headers say.
WITHOUT_SIGNALFD = {
    "*Blocked*:*EveryThreadBlocks*:*TouchesNothingOfTheParentsInAChildThatOnlyDestroys*":
        "a signal that every thread has blocked needs a signalfd",
    "*ChildErrorTest.IsThrownIf*":
        "they block SIGCHLD, which then needs a signalfd where there is no pidfd",
}
WITHOUT_TIMERFD = {
    "*Boottime*": "a base on boottime needs a timerfd, and its constructor says so",
    "*FailingEpollTest.EveryDescriptor*:*FailingEpollTest.TimersNeedNoTimerDescriptor*":
        "they look for the timerfd, or make it fail",
}

# profile: {what is left out: why}
PROFILES = {
    "old-kernel": {},
    "sandbox": WITHOUT_SIGNALFD | WITHOUT_TIMERFD,
    "emulator": WITHOUT_SIGNALFD | WITHOUT_TIMERFD,
    "no-settime": {
        "*EmbeddedBaseTest.IsReadableWhenATimerOnBoottimeIsDue*:"
        "*EmbeddedBaseTest.IsReadableWhenAnAlarm*":
            "Base::fd() tells of times only where the kernel does: next_timeout() always does",
        "*FailingEpollTest.TheTimerDescriptorIsSet*": "it counts how often the timerfd is set",
    },
    "no-epoll": {
        "BackendVariableTest.*:BackendListTest.*:*RefusedCallTest*":
            "they expect that a backend which was compiled works",
        "*Lighttpd*:*ApacheBench*": "these programs do without epoll only if they are told",
    },
}


def run_share(options, profile, tests, share):
    left_out = ":".join(PROFILES[profile])
    environment = dict(os.environ, GTEST_TOTAL_SHARDS=str(SHARES), GTEST_SHARD_INDEX=str(share))
    command = [options.wrapper, profile, tests, "--gtest_brief=1", f"--gtest_filter=*-{left_out}"]
    try:
        ended = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS,
                               check=False)
        return profile, ended.returncode, ended.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as expired:
        return profile, None, (expired.stdout or b"").decode(errors="replace")


def number_in(output, name):
    found = re.search(rf"\[ *{name} *\] (\d+) test", output)
    return int(found[1]) if found else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--tests", required=True, nargs="+", help="programs")
    parser.add_argument("--wrapper", required=True)
    parser.add_argument("--only", default="", help="profiles")
    parser.add_argument("--jobs", type=int, default=2 * os.cpu_count())
    options = parser.parse_args()
    counts = collections.defaultdict(collections.Counter)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        jobs = [pool.submit(run_share, options, profile, tests, share)
                for profile in PROFILES if re.search(options.only, profile)
                for tests in options.tests for share in range(SHARES)]
        for job in jobs:
            profile, status, output = job.result()
            counts[profile]["passed"] += number_in(output, "PASSED")
            counts[profile]["skipped"] += number_in(output, "SKIPPED")
            failed = re.findall(r"^\[  FAILED  \] (\S+)", output, re.MULTILINE)
            if status != 0:
                counts[profile]["failed"] += max(1, len(set(failed)))
                print(f"{profile}: status {status}\n{output}")
    for profile, row in counts.items():
        print(f"{profile}: {row['passed']} passed, {row['skipped']} skipped, "
              f"{row['failed']} failed")
        for tests, reason in PROFILES[profile].items():
            print(f"  without {tests}: {reason}")
    fine = counts and all(row["passed"] and not row["failed"] for row in counts.values())
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
