#!/usr/bin/env bash
# The one entry before a commit, and all that CI runs: format, layering, gcc build and tests, clang
# build with thread-safety annotations and fuzzers, sanitizers. Each step names itself and its time.
#
#   scripts/check.sh            everything
#   scripts/check.sh STEP...    only these: format layers dev asan tsan fuzz
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/deps.sh

steps=("$@")
[ ${#steps[@]} -gt 0 ] || steps=(format layers dev asan tsan fuzz)
jobs=$(nproc)

build() {  # PRESET
  cmake --preset "$1" >/dev/null
  cmake --build "build/$1" -j "$jobs"
}

run_tests() {  # PRESET CTEST_ARGUMENTS...
  local preset=$1
  shift
  ctest --test-dir "build/$preset" --output-on-failure -j "$jobs" "$@"
}

format() {
  git ls-files '*.cc' '*.h' | xargs clang-format --dry-run -Werror
}
layers() { python3 scripts/layers.py; }
dev() {
  build dev
  run_tests dev
}
asan() {
  build asan
  ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1 run_tests asan
}
# What threads share. RocksDB is not built with ThreadSanitizer: its modules are ignored.
concurrent=(core_base core_net core_http edge_guard edge_upstream edge_proxy purge)
tsan() {
  cmake --preset tsan >/dev/null
  cmake --build build/tsan -j "$jobs" --target "${concurrent[@]/#/test_}"
  local any
  any=$(IFS='|'; echo "${concurrent[*]}")
  TSAN_OPTIONS="halt_on_error=1 ignore_noninstrumented_modules=1 die_after_fork=0" run_tests tsan -R "^unit_($any)\$"
}
fuzz() {
  build fuzz
  run_tests fuzz -L fuzz
}

for step in "${steps[@]}"; do
  begin=$SECONDS
  echo "== $step"
  "$step"
  echo "== $step passed in $((SECONDS - begin)) s"
done
