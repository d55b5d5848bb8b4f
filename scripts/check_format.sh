#!/usr/bin/env bash
# Fails if clang-format 16 would change a source file. With --fix it changes them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh format
how=(--dry-run -Werror)
[[ ${1:-} != --fix ]] || how=(-i)
find include src tests examples bench fuzz \( -name '*.hpp' -o -name '*.cpp' \) -print0 |
  xargs -0 --no-run-if-empty clang-format-16 "${how[@]}"
