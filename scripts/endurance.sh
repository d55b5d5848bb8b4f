#!/usr/bin/env bash
# Ten simulated years of timers, tickers, alarms and idle timeouts on each backend, in some seconds;
# prints what fired, and whether all of it did so at its time:
#   scripts/endurance.sh [--years N] [--preset release] [option of tests/endurance]...
# The options of the program itself stand at the top of tests/programs/endurance.cpp.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

years=10
preset=release
while [[ ${1:-} == --years || ${1:-} == --preset ]]; do
  [[ $# -ge 2 ]] || { echo "endurance.sh: $1 needs a value" >&2; exit 2; }
  if [[ $1 == --years ]]; then years=$2; else preset=$2; fi
  shift 2
done

exec scripts/program.sh "$preset" endurance --days $((36525 * years / 100)) "$@"
