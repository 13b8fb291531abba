# shellcheck shell=bash
# clang_tool NAME VERSION: leaves in $tool the program NAME of LLVM. It comes from PyPI, because each version formats
# differently and warns of other things, and systems have one or another.
clang_tool() {
  local environment=$PWD/build/clang_tools/$1-$2
  tool=$environment/bin/$1
  [[ ! -x $tool ]] || return 0
  cmake/install_packages.sh --only python3-venv
  python3 -m venv "$environment"
  "$environment/bin/pip" install --quiet --disable-pip-version-check "$1==$2"
}
