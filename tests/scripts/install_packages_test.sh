#!/usr/bin/env bash
# Runs the scripts that install packages against a Debian that is made of fakes: no network, nothing installed.
# Usage: install_packages_test.sh SOURCE_FOLDER
set -euo pipefail
cd "$1"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bin=$work/bin

# fake NAME: a program on the PATH that is made of the lines on stdin and knows $work.
fake() { { echo "#!$BASH"; echo "work=$work"; cat; } > "$bin/$1" && chmod +x "$bin/$1"; }

# A system of root's, with all tools and packages. The fakes leave what they were called with in $work/calls.
fresh_system() {
  rm -rf "$work"/*
  mkdir "$bin"
  ln -s "$(command -v bash)" "$(command -v env)" "$(command -v sed)" "$(command -v tr)" "$(command -v cat)" \
    "$(command -v dirname)" "$(command -v basename)" "$(command -v realpath)" "$bin/"
  for tool in g++ cmake ninja ccache; do fake $tool < /dev/null; done
  printf 'installed %s \n' protobuf-compiler libprotobuf-dev libopencv-dev libdnnl-dev liblmdb-dev libleveldb-dev \
    libhdf5-dev libssl-dev zlib1g-dev libgoogle-glog-dev libgflags-dev \
    libpugixml-dev nlohmann-json3-dev \
    libopenmpi-dev openmpi-bin libmpich-dev mpich libgtest-dev > "$work/packages"
  echo 'installed libjpeg62-turbo-dev libjpeg-dev (= 2.1), other-dev' >> "$work/packages"
  fake dpkg-query <<< 'cat $work/packages'
  fake id <<< 'echo 0'
  fake sleep < /dev/null
  fake apt-get <<< 'echo "apt-get $*" >> $work/calls; echo "apt is talking"'
  touch "$work/calls"
}
without() { sed -i "/ $1 /d" "$work/packages"; }

# run COMMAND...: leaves $status and $out, stdout and stderr together.
run() {
  status=0
  out=$(PATH=$bin "$@" 2>&1) || status=$?
}
failures=0
expect() { # WHAT CONDITION...
  "${@:2}" && return
  printf 'FAIL %s: %s\nstatus %s, output:\n%s\ncalls:\n%s\n' "$name" "$1" "$status" "$out" "$(< "$work/calls")"
  failures=$((failures + 1))
}
says() { [[ $out == *"$1"* ]]; }
silent() { [[ -z $out ]]; }
called() { grep -q -e "$1" "$work/calls"; }
ended() { ((status == $1)); }
untouched() { [[ ! -s $work/calls ]]; }
readonly script=cmake/install_packages.sh

nothing_missing_needs_no_root() {
  fake id <<< 'echo 1000'
  fake sudo <<< 'echo "sudo $*" >> $work/calls; exit 1'
  run $script
  expect 'succeeds' ended 0
  expect 'is silent' silent
  expect 'calls nothing' untouched
}
installs_what_is_missing() {
  without libhdf5-dev
  rm "$bin/ninja"
  run $script extra
  expect 'succeeds' ended 0
  expect 'says what' says 'Installing ninja-build libhdf5-dev extra'
  expect 'updates with a timeout' called '-o DPkg::Lock::Timeout=600 update'
  expect 'installs with a timeout' called \
    '-o DPkg::Lock::Timeout=600 install -y --no-install-recommends ninja-build libhdf5-dev extra$'
  expect 'keeps apt quiet' eval '! says talking'
}
removed_packages_are_missing() {
  sed -i 's/installed libhdf5-dev/config-files libhdf5-dev/' "$work/packages"
  run $script --dry_run
  expect 'names it' says 'Would install libhdf5-dev'
}
dry_run_installs_nothing() {
  fake id <<< 'echo 1000'
  without libhdf5-dev
  run $script --dry_run
  expect 'succeeds' ended 0
  expect 'prints the command' says 'apt-get install -y --no-install-recommends libhdf5-dev'
  expect 'calls nothing' untouched
  run ./test.sh --dry_run
  expect 'test.sh passes it on' says 'Would install libhdf5-dev'
  run ./quickstart.sh --dry_run
  expect 'quickstart.sh passes it on' says 'Would install libhdf5-dev'
  run data/fashion_mnist/get.sh --dry_run
  expect 'get.sh succeeds' ended 0
  expect 'still calls nothing' untouched
}
dry_run_says_that_nothing_is_missing() {
  run $script --dry_run
  expect 'succeeds' ended 0
  expect 'says so' says 'No package is missing'
}
only_leaves_the_rest_out() {
  without libhdf5-dev
  run $script --only dataset
  expect 'installs one' called ' dataset$'
  expect 'leaves the rest' eval '! called libhdf5'
}
sudo_is_used_by_others_than_root() {
  fake id <<< 'echo 1000'
  fake sudo <<< 'echo "sudo $*" >> $work/calls; "$@"'
  without libhdf5-dev
  run $script
  expect 'succeeds' ended 0
  expect 'calls sudo' called '^sudo .* apt-get .* install .* libhdf5-dev'
}
without_sudo_the_command_is_printed() {
  fake id <<< 'echo 1000'
  without libhdf5-dev
  run $script
  expect 'fails' ended 1
  expect 'prints the command' says 'apt-get install -y --no-install-recommends libhdf5-dev'
  expect 'calls nothing' untouched
}
# busy ACTION MESSAGE: an apt-get whose ACTION ends with MESSAGE twice and then works.
busy() {
  printf '%s\n' 'echo "apt-get $*" >> $work/calls' "if [[ \" \$* \" == *' $1 '* && ! -e \$work/free ]]; then" \
    '[[ ! -e $work/once ]] || : > $work/free; : > $work/once' "echo '$2' >&2; exit 100; fi" > "$work/apt"
  fake apt-get < "$work/apt"
}
waits_for_locks() {
  local -A messages=(
    [lists]='update|E: Could not get lock /var/lib/apt/lists/lock. It is held by process 3127 (apt-get)'
    [archives]='install|E: Could not get lock /var/cache/apt/archives/lock. It is held by process 3127 (apt-get)'
    [dpkg]='install|dpkg: error: dpkg database lock was locked by another process with pid 23762'
  )
  local lock
  for lock in "${!messages[@]}"; do
    fresh_system
    without libhdf5-dev
    busy "${messages[$lock]%|*}" "${messages[$lock]#*|}"
    run $script
    expect "$lock: succeeds" ended 0
    expect "$lock: says that it waits" says 'Waiting for up to 10 minutes: '
    expect "$lock: says it once" eval '[[ $out != *Waiting*Waiting* ]]'
    expect "$lock: tries again" eval '[[ -e $work/free ]]'
  done
}
other_errors_are_shown_at_once() {
  without libhdf5-dev
  fake apt-get <<< 'echo "apt-get $*" >> $work/calls; [[ $* == *update* ]] || { echo "E: no space"; exit 100; }'
  run $script
  expect 'fails' ended 1
  expect 'shows the error' says 'E: no space'
  expect 'prints the command' says 'run this as root'
  expect 'does not try again' eval '(($(grep -c " install " "$work/calls") == 1))'
}
old_lists_may_do() {
  without libhdf5-dev
  fake apt-get <<< 'echo "apt-get $*" >> $work/calls; [[ $* != *update* ]] || { echo "E: no network"; exit 100; }'
  run $script
  expect 'succeeds' ended 0
  expect 'shows the error' says 'E: no network'
  expect 'installs' called ' install '
}
without_dpkg_cmake_decides() {
  rm "$bin/dpkg-query" "$bin/apt-get"
  run $script
  expect 'succeeds' ended 0
  expect 'lists what is needed' says libhdf5-dev
}
unknown_options_are_refused() {
  run $script --dry-run
  expect 'fails' ended 2
  expect 'names it' says "unknown option --dry-run"
  run ./quickstart.sh --dryrun
  expect 'quickstart.sh fails' ended 2
}
help_is_printed() {
  local command
  for command in $script ./test.sh ./quickstart.sh data/fashion_mnist/get.sh; do
    run $command --help
    expect "$command succeeds" ended 0
    expect "$command explains --dry_run" says '  --dry_run '
  done
}

for name in nothing_missing_needs_no_root installs_what_is_missing removed_packages_are_missing dry_run_installs_nothing \
  dry_run_says_that_nothing_is_missing only_leaves_the_rest_out sudo_is_used_by_others_than_root \
  without_sudo_the_command_is_printed waits_for_locks other_errors_are_shown_at_once old_lists_may_do \
  without_dpkg_cmake_decides unknown_options_are_refused help_is_printed; do
  fresh_system
  $name
done
((failures == 0)) || { echo "$failures expectations failed"; exit 1; }
echo "all passed"
