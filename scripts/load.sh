#!/usr/bin/env bash
# Installs what is missing, builds, and puts the echo server under load on each backend in turn:
# thousands of connections, of which most behave badly, and each knows every byte that must come back.
#   scripts/load.sh [--minutes N] [--connections N] [--backend epoll|poll|all] [--quick]
# By default 9,200 clients for five minutes on each backend, some ten minutes in all. It uses
# loopback only, ends by itself and leaves nothing running; it fails if a promise was broken. The
# report is also in build/load.md. Latencies mean something only if nothing else runs meanwhile.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh build test
cmake --preset release -DEVENT_BUILD_{TESTS,EXAMPLES}=ON >/dev/null
cmake --build --preset release --parallel "$(nproc)" --target event_load
build/release/tests/load/event_load "$@" | tee build/load.md
