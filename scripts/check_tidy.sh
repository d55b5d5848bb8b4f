#!/usr/bin/env bash
# Runs clang-tidy over the library: its sources with the headers they include, and the public
# headers, as some of those are templates that no source uses. The checks are in .clang-tidy.
#
# Most checks look at each library as one source, as parsing is most of the work. The static analyzer
# does not follow a file into the sources that it includes: it gets a process for each.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh build check

# configure FOLDER [cmake option]...: nothing is built there
configure() {
  cmake --preset dev-clang -B "$@" -DEVENT_BUILD_{TESTS,EXAMPLES,BENCH}=OFF >/dev/null
}
joined=(-DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=1000)
configure build/tidy
configure build/tidy-joined "${joined[@]}"
configure build/tidy-kqueue -DEVENT_PLATFORM=kqueue-model
configure build/tidy-kqueue-joined -DEVENT_PLATFORM=kqueue-model "${joined[@]}"

# sources FOLDER: what is compiled there, without the model of kqueue
sources() {
  python3 - "$1/compile_commands.json" <<'END'
import json, sys
for entry in json.load(open(sys.argv[1], encoding="utf-8")):
    if "/tests/" not in entry["file"]:
        print(entry["file"])
END
}

# look CHECKS FOLDER: at the files of standard input
look() {
  xargs -r -n 1 -P "$(nproc)" clang-tidy --quiet --config-file=.clang-tidy "--checks=$1" -p "$2"
}

rest=-clang-analyzer-*,-bugprone-suspicious-include
headers=(include/event/{event,co,net}.hpp)
{ sources build/tidy-joined && printf '%s\n' "${headers[@]}"; } | look "$rest" build/tidy-joined
sources build/tidy-kqueue-joined | grep event_objects | look "$rest" build/tidy-kqueue-joined
analyzer=-*,clang-analyzer-*,-clang-analyzer-optin.performance.Padding
{ sources build/tidy && printf '%s\n' "${headers[@]}"; } | look "$analyzer" build/tidy
sources build/tidy-kqueue | grep kqueue | look "$analyzer" build/tidy-kqueue
