#!/usr/bin/env bash
# Fails if an operation costs 5 % more instructions or bytes than bench/costs.txt says; reports gains:
#   scripts/check_costs.sh [--update]                     --update: writes the table anew
# Nothing is timed: it may run beside other things.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh build costs
cmake --preset release -B build/optimized -DEVENT_BUILD_{TESTS,EXAMPLES,DNS,TLS}=OFF \
  -DEVENT_BUILD_BENCH=ON >/dev/null
cmake --build build/optimized --target bench_event bench_streams_event bench_client \
  --parallel "$(nproc)"
exec python3 bench/costs.py build/optimized/bench "$@"
