# shellcheck shell=bash
# changes_since_base: leaves in $base the commit that .ci/base names, since which commits and changed files are checked, and
# fails, visibly, where there is no history. A clone without that commit, or whose history went another way, is checked since
# its latest commit but one. Move .ci/base on, to a commit that passes, when much has changed since.
changes_since_base() {
  base=$(< .ci/base)
  git merge-base --is-ancestor "$base" HEAD 2> /dev/null && return
  if base=$(git rev-parse --quiet --verify HEAD~1 2> /dev/null); then
    echo "The commit in .ci/base is not part of this history: only the latest commit is checked"
    return
  fi
  echo "SKIPPED: there is no history to check $1 in"
  return 1
}
