#!/usr/bin/env bash
# Installs what is missing, builds, and runs the whole test suite:
#   scripts/test.sh [preset] [ctest option]...            preset suite by default
# The last line says what passed, what failed, and what was skipped and why.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=${1:-suite}
shift || true
scripts/setup.sh build test
case $preset in
  *-clang | kqueue-core) scripts/setup.sh check ;;
  arm64 | x86-32) scripts/setup.sh "$preset" ;;
esac

# The thread sanitizer of g++ 12 does not start where addresses are randomized in many bits.
run=()
if [[ $preset == tsan* ]] && setarch -R true 2>/dev/null; then run=(setarch -R); fi

jobs=$(getconf _NPROCESSORS_ONLN)
compiler=()
command -v g++ >/dev/null || compiler=(-DCMAKE_CXX_COMPILER=c++)

# An array that is empty is unset to the bash of macOS.
cmake --preset "$preset" ${compiler[@]+"${compiler[@]}"}
${run[@]+"${run[@]}"} cmake --build --preset "$preset" --parallel "$jobs"
# Tests wait more than they compute. The results have all that the tests print, for the last line.
results=$PWD/build/$preset/test_results.xml
rm -f "$results"
status=0
${run[@]+"${run[@]}"} ctest --preset "$preset" --parallel $((2 * jobs)) --output-junit "$results" \
  --test-output-size-passed 10000000 --test-output-size-failed 10000000 "$@" || status=$?
[[ ! -e $results ]] || python3 scripts/summarize_tests.py "$results"
exit $status
