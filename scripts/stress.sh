#!/usr/bin/env bash
# Threads post to bases, stop them and destroy them, all at once, for ten minutes; prints what was
# done, and whether anything was lost:
#   scripts/stress.sh [--minutes N] [--preset release|tsan|asan] [option of tests/stress]...
# The options of the program itself stand at the top of tests/programs/stress.cpp.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

minutes=10
preset=release
while [[ ${1:-} == --minutes || ${1:-} == --preset ]]; do
  [[ $# -ge 2 ]] || { echo "stress.sh: $1 needs a value" >&2; exit 2; }
  if [[ $1 == --minutes ]]; then minutes=$2; else preset=$2; fi
  shift 2
done

exec scripts/program.sh "$preset" stress --seconds $((60 * minutes)) "$@"
