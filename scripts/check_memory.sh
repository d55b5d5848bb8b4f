#!/usr/bin/env bash
# Runs tests under valgrind's memcheck. It sees what no sanitizer of g++ does: a decision by memory
# that nobody wrote, in the C++ library and in system calls, too. Fails at that, at any access to
# memory that is not the program's, and at memory that is lost.
#   scripts/check_memory.sh [--core]         --core: what takes a minute, the floors below the public API
# Uses the build of the preset coverage, and leaves its counts alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh build test check
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The tests have an operator new of their own, which is not to be replaced by valgrind's.
check() {
  GCOV_PREFIX=$work valgrind --quiet --soname-synonyms=somalloc=nouserintercepts --error-exitcode=9 \
    --leak-check=full --show-leak-kinds=definite,indirect \
    --errors-for-leak-kinds=definite,indirect "$@"
}

# seeded STATEMENT: that a program in which it is wrong does not pass.
seeded() {
  local status=0
  echo "int* volatile p; int main() { $1 }" | g++ -xc++ - -o "$work/seeded"
  check "$work/seeded" 2>/dev/null || status=$?
  [[ $status -eq 9 ]] || {
    echo "check_memory.sh: valgrind does not mind: $1" >&2
    exit 1
  }
}

# Not the examples: other programs do the work there, and are not followed.
floors=(base sys poller loop)
[[ ${1:-} == --core ]] || floors+=(api)
# valgrind makes calls of its own, which seccomp filters refuse; has descriptors of its own, and the
# highest signal; delivers signals late; makes a fork of a vfork; and takes threads of the parent for
# lost memory in the child of a fork.
left_out=(
  '*Missing*' '*RefusedCallTest*'
  '*LeaksNoDescriptorInTheChild*' '*LooksAtTheClockOfASourceByItselfInTheChildToo*' '*ALimitBelowWhatIsWatched*'
  'SignalTest.IsDeliveredToItsOwnEventsOnly*'
  'InterruptionTest.*'
  'SignalProcessTest.ReachesTheFormerHandlerInAChild*' '*StopsAForkedChildThatGoesOn*' '*UnseenForkTest*'
  'ForkPostTest.*' '*WasForkedWhileAnotherThread*' '*MayEndByReplacementInTheCallback*'
)
without=$(IFS=: && echo "${left_out[*]}")

seeded 'p = new int; if (*p == 7) p = nullptr; delete p;'
seeded 'p = new int(7); p = nullptr;'
cmake --preset coverage >/dev/null
cmake --build --preset coverage --target event_tests --parallel "$(getconf _NPROCESSORS_ONLN)"

# valgrind runs on one processor: each gets a share of the tests.
shares=$(getconf _NPROCESSORS_ONLN)
running=()
for ((share = 0; share < shares; ++share)); do
  for floor in "${floors[@]}"; do
    GTEST_TOTAL_SHARDS=$shares GTEST_SHARD_INDEX=$share check "build/coverage/tests/${floor}_tests" \
      --gtest_brief=1 --gtest_filter="-$without" || exit 1
  done >"$work/said.$share" 2>&1 &
  running+=($!)
done
status=0
for ((share = 0; share < shares; ++share)); do
  wait "${running[share]}" || status=1
  cat "$work/said.$share"
done
exit $status
