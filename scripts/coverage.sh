#!/usr/bin/env bash
# Fails if the tests reach less than 95 % of the library's lines or 85 % of its branches:
#   scripts/coverage.sh [--no-tests] [preset]...           preset coverage by default
# With several presets it adds up what each reaches: coverage-kqueue and coverage-posix count, too.
# --no-tests: counts what the last runs left. Writes build/coverage/report.html and report.txt, with
# every line that is not reached. Children that end without exit() leave no count: what only they run
# is listed, too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

lines=95
branches=85
tests=yes
if [[ ${1:-} == --no-tests ]]; then
  tests=no
  shift
fi
builds=("$@")
[[ ${#builds[@]} -gt 0 ]] || builds=(coverage)
scripts/setup.sh check
counts=()
for build in "${builds[@]}"; do
  if [[ $tests == yes ]]; then
    find "build/$build" -name '*.gcda' -delete 2>/dev/null || true
    scripts/test.sh "$build"
  fi
  # Not counted as branches: the way of an exception out of each call, which the compiler adds, and
  # the one by which an assertion ends the program. frame_pool.hpp is inlined into each coroutine, whose
  # size decides its branches: they are a fifth of all. With an error gcovr 5.2 hangs.
  timeout 900 gcovr --root . --filter src/ --filter include/ --exclude include/event/co/detail/frame_pool.hpp \
    --exclude-throw-branches \
    --exclude-unreachable-branches --exclude-branches-by-pattern '.*\bassert\(.*' \
    -j "$(getconf _NPROCESSORS_ONLN)" --json "build/$build/counts.json" "build/$build"
  counts+=(--add-tracefile "build/$build/counts.json")
done

mkdir -p build/coverage
report=build/coverage/report
gcovr --root . "${counts[@]}" --txt "$report.txt"
gcovr --root . "${counts[@]}" --branches --txt "$report-branches.txt"
gcovr --root . "${counts[@]}" --html-self-contained --html-details "$report.html" \
  --html-title "Coverage of event by its tests"
cat "$report.txt"
gcovr --root . "${counts[@]}" --print-summary --fail-under-line "$lines" \
  --fail-under-branch "$branches" --txt "$report.txt"
