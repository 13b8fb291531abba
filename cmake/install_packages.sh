#!/usr/bin/env bash
# Installs the Debian packages that Doppio needs and that are missing; -h explains.
set -euo pipefail

readonly patience=600  # seconds

usage() {
  cat << 'END'
Usage: cmake/install_packages.sh [--dry_run] [--only] [PACKAGE...]

Installs the Debian or Ubuntu packages that Doppio is built from and that are missing, and every
PACKAGE. This needs root or sudo, unless nothing is missing. If another program is using apt or
dpkg (an automatic upgrade, for instance), the script waits for up to 10 minutes.

  --dry_run   print what would be installed and with which command, without installing it
  --only      install the PACKAGEs only
END
}

tools=(g++ cmake ninja-build ccache)
packages=(
  protobuf-compiler libprotobuf-dev libopencv-dev libjpeg-dev libdnnl-dev liblmdb-dev libleveldb-dev libhdf5-dev libssl-dev zlib1g-dev
  libgoogle-glog-dev libgflags-dev libpugixml-dev nlohmann-json3-dev
  libopenmpi-dev openmpi-bin libmpich-dev mpich
  libgtest-dev # to test
)
dry_run=
while (($# > 0)); do
  case $1 in
    -h | --help) usage && exit ;;
    --dry_run) dry_run=1 ;;
    --only) tools=() packages=() ;;
    -*)
      usage >&2
      echo "error: unknown option $1" >&2
      exit 2
      ;;
    *) break ;;
  esac
  shift
done
packages+=("$@")

if ! command -v dpkg-query > /dev/null; then
  echo "This system has no dpkg, so nothing is installed. Doppio needs the contents of these Debian packages:"
  printf '  %s\n' "${tools[@]}" "${packages[@]}"
  exit
fi

missing=()
for tool in "${tools[@]}"; do # from wherever: a newer CMake is often not a Debian package
  command -v "${tool%-build}" > /dev/null || missing+=("$tool")
done
# One line that names every installed package and what it provides in place of others.
installed=" $(dpkg-query --show --showformat='${db:Status-Status} ${Package} ${Provides}\n' |
  sed -n 's/^installed //p' | tr ',\n' '  ') "
for package in "${packages[@]}"; do
  [[ $installed == *" $package "* ]] || missing+=("$package")
done
if ((${#missing[@]} == 0)); then
  [[ -z $dry_run ]] || echo "No package is missing."
  exit
fi

install=(install -y --no-install-recommends "${missing[@]}")
by_hand="apt-get update; apt-get ${install[*]}"
if [[ $dry_run ]]; then
  printf 'Would install %s, as root:\n  %s\n' "${missing[*]}" "$by_hand"
  exit
fi
fail() {
  printf '%s\nTo install the packages yourself, run this as root:\n  %s\n' "$1" "$by_hand" >&2
  exit 1
}
as_root=()
if (($(id -u) != 0)); then
  command -v sudo > /dev/null || fail "Packages are missing, and this is neither root nor is there a sudo."
  as_root=(sudo)
fi

# apt_get ARGUMENT...: prints apt-get's output only if it fails. Its own timeout covers only dpkg's frontend lock: at the
# locks of its lists and archives, and of dpkg's database, it fails at once and is tried again.
apt_get() {
  local deadline=$((SECONDS + patience)) line output locked said=
  while true; do
    output='' locked=''
    while IFS= read -r line; do
      output+=$line$'\n'
      [[ $line =~ (Could not get lock|dpkg .*locked by another process).* ]] || continue
      locked=1
      [[ $said ]] || echo "Waiting for up to $((patience / 60)) minutes: ${BASH_REMATCH[0]}"
      said=1
    done < <("${as_root[@]}" env LC_ALL=C DEBIAN_FRONTEND=noninteractive \
      apt-get -q -o DPkg::Lock::Timeout=$patience "$@" 2>&1)
    wait $! && return
    [[ $locked ]] && ((SECONDS < deadline)) || break
    sleep 2
  done
  printf '%s' "$output" >&2
  return 1
}

echo "Installing ${missing[*]}"
apt_get update || echo "The package lists could not all be updated; trying with those that are here." >&2
apt_get "${install[@]}" || fail "apt-get could not install the packages; its output is above."
