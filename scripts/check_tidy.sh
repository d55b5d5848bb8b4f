#!/usr/bin/env bash
# Runs clang-tidy over the library: its sources with the headers they include, and the public
# headers, as some of those are templates that no source uses. The checks are in .clang-tidy.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh build check
without=(-DEVENT_BUILD_{TESTS,EXAMPLES,BENCH}=OFF)
cmake --preset dev-clang -B build/tidy "${without[@]}" >/dev/null
cmake --preset dev-clang -B build/tidy-kqueue -DEVENT_PLATFORM=kqueue-model "${without[@]}" >/dev/null
{ find src -name '*.cpp' ! -name '*kqueue*' ! -name '*issetugid*' -print0 && printf 'include/event/event.hpp\0'; } |
  xargs -0 -n 2 -P "$(nproc)" clang-tidy --quiet -p build/tidy
find src -name '*kqueue*.cpp' -print0 |
  xargs -0 -n 2 -P "$(nproc)" clang-tidy --quiet -p build/tidy-kqueue
