#!/usr/bin/env bash
# Installs what building, testing and the lab need from Debian 12's packages. Does nothing when all is there.
set -euo pipefail
packages=(
  g++ cmake ninja-build ccache pkg-config python3 git
  libnghttp2-dev libevent-dev libssl-dev librocksdb-dev libmaxminddb-dev libxxhash-dev libzstd-dev
  zlib1g-dev libspdlog-dev libtomlplusplus-dev nlohmann-json3-dev libcli11-dev catch2 libldns-dev
  clang clang-format libclang-rt-14-dev lld
  curl openssl nghttp2-client bind9-dnsutils zstd
)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
sudo=""
[ "$(id -u)" -eq 0 ] || sudo=sudo
echo "deps: installing ${missing[*]}"
$sudo apt-get update -qq
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
