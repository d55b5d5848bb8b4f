#!/usr/bin/env bash
# Everything that .ci/run does, and then the slow rest. Goes on after a failure, and ends with a line
# per check. Run it before a change of more than a few lines is called done.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

summary=
failed=0

# check NAME COMMAND...
check() {
  local name=$1 began=$SECONDS result=passed
  shift
  printf '\n== %s: %s\n' "$name" "$*"
  "$@" || { result=FAILED && failed=1; }
  printf -v summary '%s%6s  %4d s  %s\n' "$summary" "$result" $((SECONDS - began)) "$name"
}

check "what guards a change" bash .ci/run
check "what the tests reach" scripts/coverage.sh
check "valgrind" scripts/check_memory.sh
check "hardening of a release build" scripts/check_hardening.sh
check "clang, and which descriptors are used" scripts/test.sh closed-clang
check "only what POSIX has" scripts/test.sh posix
check "faults of system calls" scripts/faults.sh
check "load" scripts/load.sh --quick
check "stress" scripts/stress.sh --minutes 1
check "endurance" scripts/endurance.sh --years 1
check "fuzzing, a minute each" scripts/fuzz.sh all 1

printf '\n%s' "$summary"
exit "$failed"
