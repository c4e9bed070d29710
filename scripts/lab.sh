#!/usr/bin/env bash
# The whole CDN on loopback: installs what is needed, builds, and runs `breakwater lab`.
#   scripts/lab.sh          a story with real traffic, then it stays until Ctrl-C
#   scripts/lab.sh --check  asserts every step and ends
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/deps.sh
scripts/build.sh
exec build/release/breakwater lab "$@"
