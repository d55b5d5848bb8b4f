#!/usr/bin/env bash
# Runs the test suite in the coverage preset and prints which lines of the library it did not run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh measure
find build/coverage -name '*.gcda' -delete 2>/dev/null || true
scripts/test.sh coverage
gcovr --root . --filter src/ --filter include/ --exclude-throw-branches build/coverage
