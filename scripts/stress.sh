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

scripts/setup.sh build test
jobs=$(getconf _NPROCESSORS_ONLN)
cmake --preset "$preset" -DEVENT_BUILD_TESTS=ON >/dev/null
run=()
if [[ $preset == tsan* ]] && setarch -R true 2>/dev/null; then run=(setarch -R); fi
${run[@]+"${run[@]}"} cmake --build --preset "$preset" --parallel "$jobs" --target stress

# As CMakePresets.json has them for the tests.
export TSAN_OPTIONS="halt_on_error=1:suppressions=$PWD/tests/tsan.supp"
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_init_order=1
export UBSAN_OPTIONS=print_stacktrace=1
exec ${run[@]+"${run[@]}"} "build/$preset/tests/stress" --seconds $((60 * minutes)) "$@"
