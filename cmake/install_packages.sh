#!/usr/bin/env bash
# Installs the Debian packages that Doppio needs and that are missing. Quick if there are none.
# Usage: cmake/install_packages.sh [more packages...]
set -euo pipefail

packages=(
  g++ cmake ninja-build ccache   # to build
  protobuf-compiler libprotobuf-dev libopencv-dev libjpeg-dev libdnnl-dev liblmdb-dev libleveldb-dev libhdf5-dev zlib1g-dev
  libgoogle-glog-dev libgflags-dev
  libgtest-dev                   # to test
  "$@"
)

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
  echo "This system has no apt-get. Install what these Debian packages hold, then run the script again:" >&2
  printf '  %s\n' "${missing[@]}" >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "Run this as root, once: apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
echo "Installing ${missing[*]}"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
