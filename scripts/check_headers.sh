#!/usr/bin/env bash
# Each header that is installed compiles alone, with both compilers and without a warning: it includes
# what it needs. scripts/check_install.sh compiles all of them together.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh build test check

# The headers of adapters include those of the libraries that they are for.
adapted=$(pkg-config --cflags-only-I libpq glib-2.0 hiredis libcurl | sed 's/-I/-isystem /g')
export adapted

compile() {
  # shellcheck disable=SC2086  # options
  "$1" -std=c++20 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wundef -Werror $adapted \
    -fsyntax-only -Iinclude -include "$2" -x c++ /dev/null || { echo "$1: $2" >&2 && exit 1; }
}
export -f compile

headers=$(cd include && find event -name '*.hpp' | sort)
for compiler in clang++ g++; do
  xargs -P "$(nproc)" -I{} bash -c 'compile "$@"' _ "$compiler" {} <<<"$headers"
done
