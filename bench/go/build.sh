#!/usr/bin/env bash
# Builds the contender in Go into a directory, if Go is installed and finds the package:
#   bench/go/build.sh DIRECTORY
# Never fails: what it could not do is a line in bench_go.missing there, and bench_go is not.
set -euo pipefail

directory=$(cd "$1" && pwd)
program=$directory/bench_go
missing=$directory/bench_go.missing
cd "$(dirname "${BASH_SOURCE[0]}")"

rm -f "$program" "$missing"
if ! command -v go >/dev/null; then
  echo "Go is not installed" >"$missing"
  exit 0
fi

# go writes into go.mod which version it took, and go.sum beside it: not into the sources.
cp go.mod "$directory/bench_go.mod"
rm -f "$directory/bench_go.sum"
status=0
output=$(GOWORK=off timeout --kill-after=5 60 \
  go build -mod=mod -modfile="$directory/bench_go.mod" -o "$program" . </dev/null 2>&1) || status=$?
[[ $status -ne 0 ]] || exit 0
rm -f "$program"
if [[ $status -eq 124 || $status -eq 137 ]]; then
  echo "go build took more than a minute" >"$missing"
else
  echo "go build failed: ${output##*$'\n'}" >"$missing"
fi
