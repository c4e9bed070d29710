#!/usr/bin/env bash
# Builds and runs all tests. The same as scripts/check.sh, by the name the README uses.
set -euo pipefail
exec "$(dirname "$0")/check.sh" "$@"
