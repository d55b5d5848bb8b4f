#!/usr/bin/env bash
# Runs clang-tidy over the library: its sources with the headers they include, and the public
# headers, as some of those are templates that no source uses. The checks are in .clang-tidy.
#
# A process for each source: the static analyzer does not follow a file into the sources it includes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh build check
without=(-DEVENT_BUILD_{TESTS,EXAMPLES,BENCH}=OFF)
cmake --preset dev-clang -B build/tidy "${without[@]}" >/dev/null
cmake --preset dev-clang -B build/tidy-kqueue -DEVENT_PLATFORM=kqueue-model "${without[@]}" >/dev/null

# sources FOLDER: what is compiled there, without the model of kqueue
sources() {
  python3 - "$1/compile_commands.json" <<'END'
import json, sys
for entry in json.load(open(sys.argv[1], encoding="utf-8")):
    if "/tests/" not in entry["file"]:
        print(entry["file"])
END
}

{
  sources build/tidy | sed 's/^/build\/tidy /'
  for header in event co net; do echo "build/tidy include/event/$header.hpp"; done
  sources build/tidy-kqueue | grep kqueue | sed 's/^/build\/tidy-kqueue /'
} | xargs -r -n 2 -P "$(nproc)" bash -c 'clang-tidy --quiet -p "$0" "$1"'
