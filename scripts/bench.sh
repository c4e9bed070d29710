#!/usr/bin/env bash
# Measures our edge beside bare references and other caches: CPU of one core per request.
#
#   scripts/bench.sh                   every case, then what the tiers promise
#   scripts/bench.sh CASE...           some: h1 pipelined h2c h2 h2-tls tls handshake large miss
#                                      latency memory zipf tiers
#   scripts/bench.sh h1 h2 --only reference,breakwater --against OTHER_BUILD --rounds 5
#                                      without peers, beside another build of ours
#   scripts/bench.sh --help            all options; --json and --svg write the figures
# BREAKWATER names a binary to measure instead of building this tree's.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/deps.sh
declare -A programs=([nginx]=nginx-light [haproxy]=haproxy [h2o]=h2o [varnishd]=varnish
                     [traffic_server]=trafficserver)
missing=()
for program in "${!programs[@]}"; do
  PATH=$PATH:/usr/sbin command -v "$program" >/dev/null || missing+=("${programs[$program]}")
done
if [ ${#missing[@]} -gt 0 ] && [[ " $* " != *" --only "* ]]; then
  echo "bench: installing ${missing[*]}" >&2
  sudo=""
  [ "$(id -u)" -eq 0 ] || sudo=sudo
  $sudo apt-get update -qq
  # Installed to be measured, not to serve: their units stay off.
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
    $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  for package in "${missing[@]}"; do
    $sudo systemctl disable --now "${package%-light}" >/dev/null 2>&1 || true
  done
fi
cmake --preset release >/dev/null
targets=(bench_tools)
[ -n "${BREAKWATER:-}" ] || targets+=(breakwater)
cmake --build build/release --target "${targets[@]}" >&2
export BREAKWATER=${BREAKWATER:-build/release/breakwater}

tiers=no
arguments=()
for argument in "$@"; do
  if [ "$argument" = tiers ]; then tiers=yes; else arguments+=("$argument"); fi
done
[ $# -gt 0 ] || tiers=yes
if [ $# -eq 0 ] || [ ${#arguments[@]} -gt 0 ]; then
  python3 tests/bench/bench.py --breakwater "$BREAKWATER" "${arguments[@]}"
fi
[ $tiers = no ] || python3 tests/bench/tiers.py
