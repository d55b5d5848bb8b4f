#!/usr/bin/env bash
# Everything that can fail fails, one after the other, in a program and in the example servers; and
# the tests run as an old kernel or a sandbox would have it. Some minutes.
#   scripts/faults.sh [preset] [every]                     preset dev, each call, by default
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=${1:-dev}
every=${2:-1}
scripts/setup.sh build test
jobs=$(getconf _NPROCESSORS_ONLN)
cmake --preset "$preset" -DEVENT_BUILD_{TESTS,EXAMPLES}=ON
cmake --build --preset "$preset" --parallel "$jobs" --target \
  event_tests event_faults fault_program with_profile

built=build/$preset
faults=$PWD/$built/tests/faults
python3 tests/faults/sweep.py --program "$faults/fault_program" --preload "$faults/event_faults.so" \
  --every "$every" --report "$built/faults.md"
python3 tests/faults/servers.py --examples "$built/examples" --preload "$faults/event_faults.so" \
  --every "$every"
python3 tests/faults/profiles.py --tests "$PWD/$built/tests/"{api,examples}_tests \
  --wrapper "$faults/with_profile"
