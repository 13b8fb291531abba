#!/usr/bin/env bash
# Installs what is missing, builds Doppio and runs every test; -h explains.
set -euo pipefail
cd "$(dirname "$0")"

case ${1:-} in
  -h | --help)
    cat << 'END'
Usage: ./test.sh [--dry_run | CTEST_OPTION...]

Installs what is missing, builds Doppio into build/ and runs every test, or those that the options
of ctest select, such as -R net_test or -L cpu (ctest --help lists them).

  --dry_run   print what would be installed, and do nothing
END
    exit
    ;;
  --dry_run) exec cmake/install_packages.sh --dry_run ;;
esac

cmake/install_packages.sh
cmake --preset release
cmake --build build
ctest --test-dir build --output-on-failure "$@"
