#!/usr/bin/env bash
# Fails if a release build lacks what makes faults of memory harder to exploit. It looks at what was
# built, with readelf, and not at the flags:  scripts/check_hardening.sh [preset]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=${1:-release}
build=build/optimized
[[ $preset == release ]] || build+=-$preset
scripts/setup.sh build check
cmake --preset "$preset" -B "$build" -DEVENT_BUILD_{TESTS,BENCH}=OFF \
  -DEVENT_BUILD_EXAMPLES=ON >/dev/null
cmake --build "$build" --parallel "$(nproc)" >/dev/null

wrong=0
looked_at=0

# expect FILE WHAT PATTERN TEXT: a line of the text has it;  refuse: none has it
expect() { grep -Eq -- "$3" <<<"$4" || complain "$1: $2"; }
refuse() { ! grep -Eq -- "$3" <<<"$4" || complain "$1: $2"; }
complain() {
  echo "check_hardening.sh: $*" >&2
  wrong=$((wrong + 1))
}

# What the loader maps, and what it may change later.
check_mapping() {
  local segments dynamic
  segments=$(readelf --segments --wide "$1")
  dynamic=$(readelf --dynamic --wide "$1")
  expect "$1" "has an executable stack" 'GNU_STACK .* RW +0x' "$segments"
  expect "$1" "has no relocation that becomes read-only" 'GNU_RELRO' "$segments"
  expect "$1" "resolves symbols later than at its start" 'BIND_NOW|FLAGS_1.*NOW' "$dynamic"
  refuse "$1" "has a segment that is writable and executable" 'LOAD .* RWE ' "$segments"
  refuse "$1" "has code in the segment of its headers" 'LOAD +0x0+ .* R E ' "$segments"
  refuse "$1" "has relocations in its code" 'TEXTREL' "$dynamic"
  refuse "$1" "looks for libraries in a place of its own" '\((RPATH|RUNPATH)\)' "$dynamic"
}

# Which functions of the C library it calls.
check_calls() {
  local symbols
  symbols=$(nm --dynamic --undefined-only "$1")
  expect "$1" "does not look at its stack" '__stack_chk_fail' "$symbols"
}

check_executable() {
  expect "$1" "is not position-independent" 'Type: +DYN' "$(readelf --file-header "$1")"
  check_mapping "$1"
  check_calls "$1"
  looked_at=$((looked_at + 1))
}

# Each object must say that its returns may be checked by a second stack: the linker drops that from
# all if one of the compiler's own files lacks it, as it does here and there.
check_objects() {
  local notes object
  [[ $(uname -m) == x86_64 ]] || return 0
  while read -r object; do
    notes=$(readelf --notes --wide "$object")
    expect "$object" "is compiled without a second stack" 'x86 feature: .*SHSTK' "$notes"
    looked_at=$((looked_at + 1))
  done < <(find "$build/CMakeFiles/event_objects.dir" "$build/examples" -name '*.o')
}

# The checked functions are called where the size of a buffer is known but not that what is written
# fits, which no code of the library has to be: so a file that has such code is compiled with the
# flags of one of its files.
check_fortify() {
  local command
  command=$(python3 - "$build/compile_commands.json" <<'EOF'
import json, re, sys
for entry in json.load(open(sys.argv[1], encoding="utf-8")):
    if entry["file"].endswith("src/loop/loop.cpp"):
        print(re.sub(r" -o \S+ -c \S+", "", entry["command"]))
EOF
  )
  # shellcheck disable=SC2086  # a command with its arguments
  (cd "$build" && $command -x c++ -c -o fortify.o -) <<'EOF'
#include <unistd.h>
long fill(int fd, unsigned long size) { char buffer[16]; long n = read(fd, buffer, size); return n + buffer[0]; }
EOF
  expect "$build/fortify.o" "is compiled without _FORTIFY_SOURCE" '__read_chk' "$(nm "$build/fortify.o")"
}

library=$build/libevent-cpp.so
check_mapping "$library"
check_calls "$library"
looked_at=$((looked_at + 1))
check_objects
check_fortify
for example in $(find "$build/examples" -maxdepth 1 -type f -perm -u+x | sort); do
  check_executable "$example"
done
echo "$looked_at files looked at, $wrong things wrong"
[[ $wrong -eq 0 && $looked_at -gt 2 ]]
