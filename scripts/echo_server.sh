#!/usr/bin/env bash
# Installs what is missing, builds, and runs the echo server:
#   scripts/echo_server.sh [port] [option]...             port 1246 by default
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh build
cmake --preset release -DEVENT_BUILD_{TESTS,BENCH,DNS,TLS}=OFF -DEVENT_BUILD_EXAMPLES=ON
cmake --build --preset release --parallel "$(nproc)" --target echo_server
exec build/release/examples/echo_server "$@"
