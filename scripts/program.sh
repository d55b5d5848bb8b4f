#!/usr/bin/env bash
# Builds a program of tests/programs, and runs it as the tests of that preset are run:
#   scripts/program.sh PRESET NAME [argument]...
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=$1
name=$2
shift 2
scripts/setup.sh build test
run=()
if [[ $preset == tsan* ]] && setarch -R true 2>/dev/null; then run=(setarch -R); fi
cmake --preset "$preset" -DEVENT_BUILD_TESTS=ON >/dev/null
${run[@]+"${run[@]}"} cmake --build --preset "$preset" --parallel "$(getconf _NPROCESSORS_ONLN)" \
  --target "$name"

# As CMakePresets.json has them for the tests.
export TSAN_OPTIONS=halt_on_error=1
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_init_order=1:use_sigaltstack=0
export UBSAN_OPTIONS=print_stacktrace=1
exec ${run[@]+"${run[@]}"} "build/$preset/tests/$name" "$@"
