#!/usr/bin/env bash
# Installs what is missing, builds Doppio and runs every test. Usage: ./test.sh [ctest options]
set -euo pipefail
cd "$(dirname "$0")"

cmake/install_packages.sh
cmake --preset release
cmake --build build
ctest --test-dir build --output-on-failure "$@"
