# shellcheck shell=bash
# clang_tool NAME: leaves in $tool the program NAME of Clang 14, which Debian 12 has and where it is installed if it is missing.
# Other versions format differently and warn of other things: without a 14, it says so and fails.
clang_tool() {
  find_clang_14 "$1" && return
  if grep -qs '^VERSION_CODENAME=bookworm' /etc/os-release; then
    cmake/install_packages.sh --only "$1-14" || exit 1
    find_clang_14 "$1" && return
  fi
  echo "SKIPPED: $1 is run in version 14 only, which this machine does not have"
  return 1
}
find_clang_14() {
  local version
  for tool in "$1-14" "$1"; do
    version=$("$tool" --version 2> /dev/null) || continue
    [[ ! $version =~ version\ 14\. ]] || return 0
  done
  return 1
}
