#!/usr/bin/env bash
# Installs what is missing, builds Doppio and runs every test; -h explains.
set -euo pipefail
cd "$(dirname "$0")"

case ${1:-} in
  -h | --help)
    cat << 'END'
Usage: ./test.sh [--dry_run | CTEST_OPTION...]

Installs missing packages, builds Doppio in build/ and runs all tests. Options are passed to ctest:
-R net_test or -L cpu, for example, select tests (ctest --help lists all options).

  --dry_run   print what would be installed, without doing anything
END
    exit
    ;;
  --dry_run) exec cmake/install_packages.sh --dry_run ;;
esac

cmake/install_packages.sh
cmake --preset release
cmake --build build
ctest --test-dir build --output-on-failure "$@"
