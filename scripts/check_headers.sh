#!/usr/bin/env bash
# The public headers compile with both compilers and without a warning:
#   check_headers.sh                    each alone: it includes what it needs
#   check_headers.sh --together FOLDER  all that are in FOLDER, in both orders, without the short name of
#                                       the namespace; and the core with it, also with a newer standard
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh build test check

# The headers of adapters include those of the libraries that they are for.
adapted=$(pkg-config --cflags-only-I libpq glib-2.0 hiredis libcurl | sed 's/-I/-isystem /g')
folder=include
if [[ ${1:-} == --together ]]; then folder=$2; fi
export adapted folder

# compile COMPILER OPTION... FILE
compile() {
  # shellcheck disable=SC2086  # options
  "$1" -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wundef -Werror $adapted -fsyntax-only \
    -I"$folder" -x c++ "${@:2}" || { echo "failed: $*" >&2 && exit 1; }
}
export -f compile

headers=$(cd "$folder" && find event -name '*.hpp' | sort)

alone() {
  local compiler header
  for compiler in clang++ g++; do
    for header in $headers; do echo "$compiler -std=c++20 -include $header /dev/null"; done
  done
}

together() {
  local compiler order
  sed 's/.*/#include <&>/' <<<"$headers" >"$work/in_order.cpp"
  tac "$work/in_order.cpp" >"$work/backwards.cpp"
  for compiler in clang++ g++; do
    for order in in_order backwards; do
      echo "$compiler -std=c++20 -DEVENT_CPP_NO_ALIAS $work/$order.cpp"
    done
    echo "$compiler -std=c++2b -include event/event.hpp /dev/null"
  done
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [[ ${1:-} == --together ]]; then together; else alone; fi |
  xargs -P "$(nproc)" -L 1 bash -c 'compile "$@"' _
