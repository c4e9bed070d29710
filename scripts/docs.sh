#!/bin/sh
# Prints docs/settings.md from the code: the tests that compare it write it instead.
set -eu
cd "$(dirname "$0")/.."
cmake --preset dev >/dev/null
cmake --build build/dev --target test_edge_node
BREAKWATER_WRITE_DOCS=1 build/dev/tests/unit/test_edge_node "documents:*"
