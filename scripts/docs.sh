#!/bin/sh
# Prints docs/settings.md and docs/metrics.md from the code: the tests that compare them write them
# instead.
set -eu
cd "$(dirname "$0")/.."
cmake --preset dev >/dev/null
for room in edge_node purge geo origin; do
  cmake --build build/dev --target "test_$room"
  BREAKWATER_WRITE_DOCS=1 "build/dev/tests/unit/test_$room" "documents:*"
done
