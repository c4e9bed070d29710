#!/usr/bin/env bash
# Builds the release binary: build/release/breakwater.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/deps.sh
cmake --preset release >/dev/null
cmake --build build/release
