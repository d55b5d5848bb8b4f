#!/usr/bin/env bash
# Measures this library side by side with others and with hand-written loops, in some nine minutes:
#   scripts/bench.sh [--quick] [--only PART,...]      --quick: fewer sizes and rounds, two minutes
# The report is build/bench/report.md. The Go package that this library is modelled on takes part if
# `go` is on the PATH and can fetch it. Nothing else should run meanwhile.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh build bench
cmake --preset release -DEVENT_BUILD_{TESTS,EXAMPLES,DNS}=OFF -DEVENT_BUILD_BENCH=ON
cmake --build --preset release --target bench
bench/go/build.sh build/release/bench
exec python3 bench/run.py "$@"
