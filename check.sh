#!/usr/bin/env bash
# Runs every check that runs no program of Doppio's, over the whole tree; -h explains.
set -euo pipefail
cd "$(dirname "$0")"

case ${1:-} in
  -h | --help)
    cat << 'END_OF_HELP'
Usage: ./check.sh

Checks the subjects of new commits, what the documentation names, the scripts (if shellcheck is
installed), and with clang-format and clang-tidy the whole tree, which takes half an hour on two
cores. What is missing is installed. ./test.sh builds and runs the tests, and .ci/run does what
every change must pass.
END_OF_HELP
    exit
    ;;
  ?*)
    echo "error: unknown argument $1; ./check.sh --help explains" >&2
    exit 2
    ;;
esac

failed=()
check() {
  printf '\n== %s ==\n' "$1"
  "${@:2}" || failed+=("$1")
}
check_scripts() {
  if ! command -v shellcheck > /dev/null; then
    echo "SKIPPED: shellcheck was not found"
    return
  fi
  find . -path './build*' -prune -o -name '*.sh' -print0 | xargs -0 shellcheck -x --severity=error .ci/run \
    .ci/clang_format .ci/clang_tidy .ci/commit_subjects
}
# What clang-tidy reads: how files are compiled, and the header that is made from the schema.
tidy() {
  cmake/install_packages.sh && cmake --preset release > /dev/null && cmake --build build --target proto/doppio.pb.h &&
    .ci/clang_tidy --all
}

check "commit subjects" .ci/commit_subjects
check "documentation" tests/scripts/documentation_test.sh .
check "scripts" check_scripts
check "clang-format" .ci/clang_format
check "clang-tidy" tidy

if ((${#failed[@]} > 0)); then
  printf '\nFailed:%s\n' "$(printf ' %s,' "${failed[@]}" | sed 's/,$//')" >&2
  exit 1
fi
printf '\nAll checks passed.\n'
