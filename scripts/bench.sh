#!/usr/bin/env bash
# Measures our edge beside other caches: CPU microseconds of the server per 1 KiB hit.
#
#   scripts/bench.sh                all peers that are installed; nginx and HAProxy are, afterwards
#   scripts/bench.sh --peers-only   without ours
#   scripts/bench.sh --help         rounds, requests, JSON
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/deps.sh
missing=()
command -v /usr/sbin/nginx >/dev/null || missing+=(nginx-light)
command -v /usr/sbin/haproxy >/dev/null || missing+=(haproxy)
if [ ${#missing[@]} -gt 0 ]; then
  echo "bench: installing ${missing[*]}" >&2
  sudo=""
  [ "$(id -u)" -eq 0 ] || sudo=sudo
  $sudo apt-get update -qq
  # Installed to be measured, not to serve: their units stay off.
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
    $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
case " $* " in
  *" --peers-only "* | *" --help "* | *" --breakwater "*) ;;
  *) scripts/build.sh >&2 ;;
esac
exec python3 tests/bench/hits.py "$@"
