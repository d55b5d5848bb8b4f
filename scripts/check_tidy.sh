#!/usr/bin/env bash
# Runs clang-tidy over the library: its sources with the headers they include, and the public
# headers, as some of those are templates that no source uses. The checks are in .clang-tidy.
#   scripts/check_tidy.sh [--analyzer]
#
# Each library is looked at as one source, as parsing is most of the work. The static analyzer, which
# takes longer than all the rest, runs alone: it does not follow a file into the sources that it
# includes, and gets a process for each.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh build check

case ${1:-} in
  '') joined=ON checks=-clang-analyzer-*,-bugprone-suspicious-include ;;
  --analyzer) joined=OFF checks=-*,clang-analyzer-*,-clang-analyzer-optin.performance.Padding ;;
  *) echo "check_tidy.sh: $1?" >&2 && exit 2 ;;
esac

# configure FOLDER [cmake option]...: nothing is built there, precompiled headers neither
configure() {
  cmake --preset dev-clang -B "$@" -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON \
    -DEVENT_BUILD_{TESTS,EXAMPLES,BENCH}=OFF >/dev/null
}
configure build/tidy -DCMAKE_UNITY_BUILD=$joined -DCMAKE_UNITY_BUILD_BATCH_SIZE=1000
configure build/tidy-kqueue -DEVENT_PLATFORM=kqueue-model

# sources FOLDER: what is compiled there
sources() {
  python3 -c 'import json, sys
for entry in json.load(sys.stdin):
    print(entry["file"])' <"$1/compile_commands.json"
}

# look FOLDER: at the files of standard input
look() {
  xargs -r -n 1 -P "$(nproc)" clang-tidy --quiet --config-file=.clang-tidy "--checks=$checks" -p "$1"
}

{ sources build/tidy && printf '%s\n' include/event/{event,co,net}.hpp; } | look build/tidy
sources build/tidy-kqueue | grep /src/poller/kqueue.cpp | look build/tidy-kqueue
