#!/usr/bin/env bash
# Runs clang-tidy over the library: its sources with the headers they include, and the public
# headers, as some of those are templates that no source uses. The checks are in .clang-tidy.
#
# Several sources are looked at as one file, so that the standard headers are parsed a few times and not
# once for each.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh build check
without=(-DEVENT_BUILD_{TESTS,EXAMPLES,BENCH}=OFF)
cmake --preset dev-clang -B build/tidy "${without[@]}" -DCMAKE_UNITY_BUILD=ON \
  -DCMAKE_UNITY_BUILD_BATCH_SIZE=8 >/dev/null
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

# That such a file includes sources is fine, and the analyzer has to follow it into them.
look='clang-tidy --quiet --checks=-bugprone-suspicious-include --extra-arg=-Xclang \
  --extra-arg=-analyzer-opt-analyze-headers -p "$0" "$1"'
{
  sources build/tidy | sed 's/^/build\/tidy /'
  echo build/tidy include/event/event.hpp
  sources build/tidy-kqueue | grep kqueue | sed 's/^/build\/tidy-kqueue /'
} | xargs -r -n 2 -P "$(nproc)" bash -c "$look"
