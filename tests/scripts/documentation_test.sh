#!/usr/bin/env bash
# Checks that the files, links, programs, commands, flags, presets and options that the documentation names are there.
# Usage: documentation_test.sh SOURCE_FOLDER [DOCUMENT...]
set -euo pipefail
cd "$1"
shift
documents=("$@")
(($# > 0)) || documents=(README.md CONTRIBUTING.md SECURITY.md docs/*.md models/README.md models/*/README.md)

# What documents name although the tree does not hold it: what programs make, the example of add_a_layer.md, and names of
# Caffe's files and of none.
not_here='(_lmdb|_leveldb|\.caffemodel|\.solverstate|\.binaryproto|\.h5)/?$'
readonly not_here+='|hard_sigmoid|\*\.lmdb$|(^|/)(snake_case\.cpp|parse_log\.(py|sh))$|^data/cifar10/labels\.txt$'
# Flags of other programs: CMake and CTest, GoogleTest, glog, nvcc, mpirun and Slurm.
known_flags=' build install prefix preset target test-dir help version output-on-failure gtest_filter log_dir '
known_flags+='expt-relaxed-constexpr bind-to map-by mpi ntasks-per-node signal requeue '

declare -A files names
while IFS= read -r path; do
  files[${path#./}]=1
  names[${path##*/}]=1
done < <(find . \( -path './build*' -o -path './.git' -o -name __pycache__ \) -prune -o -print)

words() { tr '\n' ' '; }
known_flags+=$(
  grep -rhoE --include='*.cpp' 'DEFINE_[a-z0-9]+\([a-z_0-9]+' tools tests benchmarks | sed 's/.*(//' | words
  grep -rhE --include='*.py' 'add_argument\(|^ *"--' tools benchmarks | grep -oE '"--[a-z][a-z_-]*' | sed 's/"--//' | words
  # A script's case labels, such as -h | --help).
  grep -rhoE --include='*.sh' --exclude-dir='build*' -- '--[a-z][a-z_-]*(=[^)]*| \|.*)?\)' . |
    grep -oE -- '--[a-z][a-z_-]*' | sed 's/--//' | words
)
presets=" $(sed -n 's/.*"name": "\(.*\)".*/\1/p' CMakePresets.json | words) "
options=" $(grep -oE 'option\([A-Z_]+' CMakeLists.txt | sed 's/.*(//' | words) "
options+="CMAKE_BUILD_TYPE CMAKE_CUDA_ARCHITECTURES CMAKE_PREFIX_PATH "
programs=" doppio tool $(grep -rhoE --include=CMakeLists.txt '(add_executable|doppio_test)\([a-z_]+' tools tests benchmarks |
  sed 's/.*(//' | words) "
commands=" help $(grep -rhoE --include='*.cpp' '\.name = "[a-z ]+"' tools | sed 's/.*= "\([a-z]*\).*/\1/' | words) "

failures=0
wrong() { # DOCUMENT LINE WHAT
  echo "FAIL $1:$2: $3"
  failures=$((failures + 1))
}
exists() { # PATH, which may be a pattern
  [[ ${files[${1%/}]:-} ]] || { [[ $1 == *[*\{]* ]] && compgen -G "$1" > /dev/null; }
}
# A path from the root, from a folder of headers or sources, or beside the document.
found() { # DOCUMENT PATH
  local folder
  for folder in '' src/ include/ tests/ "$(dirname "$1")/"; do
    exists "$folder$2" && return
  done
  return 1
}
check_path() { # DOCUMENT LINE PATH
  local path=${3#./}
  [[ ! $path =~ $not_here && ! $path =~ ^\.[a-z]+$ ]] || return 0
  case $path in
    build/bin/*) [[ $programs == *" ${path#build/bin/} "* ]] || wrong "$1" "$2" "no program is called $path" ;;
    src/* | include/* | tools/* | tests/* | docs/* | models/* | data/* | proto/* | cmake/* | benchmarks/* | .ci/* | .github/*)
      exists "$path" || wrong "$1" "$2" "there is no $path"
      ;;
    */*.cpp | */*.hpp | */*.cu | */*.cmake | */*.sh | */*.py | */*.md)
      found "$1" "$path" || wrong "$1" "$2" "there is no $path"
      ;;
    */*) [[ $3 != ./* ]] || exists "$path" || wrong "$1" "$2" "there is no $path" ;;
    *'*'*)
      [[ $(compgen -G "$path") || $(find src include tools tests -name "$path" -print -quit) ]] ||
        wrong "$1" "$2" "no file is called $path"
      ;;
    *.cpp | *.hpp | *.cu | *.cmake | *.sh | *.py | *.md)
      [[ ${names[$path]:-} ]] || wrong "$1" "$2" "no file is called $path"
      ;;
  esac
}

# DOCUMENT, LINE and text of every span and line of code, and of every link as LINK(target).
code() {
  awk '
    function put(text) { print FNR "\t" text }
    /^```/ { block = !block; next }
    block { put($0); next }
    /^    / && blank { put($0); next }
    { blank = /^$/ || (blank && /^    /)
      n = split($0, part, "`")
      for (i = 2; i <= n; i += 2) put(part[i])
      rest = $0
      while (match(rest, /\]\([^)]*\)/)) {
        put("LINK" substr(rest, RSTART + 1, RLENGTH - 1))
        rest = substr(rest, RSTART + RLENGTH)
      } }' "$1"
}
readonly edge='(^|[][ `"(,;=])'
check() { # DOCUMENT
  local document=$1 line text target rest path flag
  while IFS=$'\t' read -r line text; do
    if [[ $text == LINK* ]]; then
      target=${text#LINK(} && target=${target%%[#)]*}
      [[ -z $target || $target == *:* ]] || [[ -e $(dirname "$document")/$target ]] ||
        wrong "$document" "$line" "the link to $target leads nowhere"
      continue
    fi
    rest=$text
    while [[ $rest =~ $edge((\./)?[A-Za-z0-9_.*-]*[A-Za-z0-9_*-](/[A-Za-z0-9_.*{},-]+)*/?)(.*) ]]; do
      path=${BASH_REMATCH[2]} rest=${BASH_REMATCH[5]}
      [[ $rest != '('* ]] || continue # a call
      while [[ $path == *[.,] ]]; do path=${path%?}; done
      [[ $path != *[./]* ]] || check_path "$document" "$line" "$path"
    done
    rest=$text
    while [[ $rest =~ $edge--([a-z][a-z0-9_-]*)(.*) ]]; do
      flag=${BASH_REMATCH[2]} rest=${BASH_REMATCH[3]}
      [[ $known_flags == *" $flag "* ]] || wrong "$document" "$line" "nothing has a flag --$flag"
    done
    rest=$text
    while [[ $rest =~ --preset[\ =]([a-z]+)(.*) ]]; do
      [[ $presets == *" ${BASH_REMATCH[1]} "* ]] || wrong "$document" "$line" "there is no preset ${BASH_REMATCH[1]}"
      rest=${BASH_REMATCH[2]}
    done
    rest=$text
    while [[ $rest =~ -D([A-Z_]+)=(.*) ]]; do
      [[ $options == *" ${BASH_REMATCH[1]} "* ]] || wrong "$document" "$line" "there is no option ${BASH_REMATCH[1]}"
      rest=${BASH_REMATCH[2]}
    done
    if [[ $text =~ ^[\ $]*(build/bin/)?(doppio|tool)\ ([a-z_]+)(\ |$) ]]; then
      [[ $commands == *" ${BASH_REMATCH[3]} "* ]] ||
        wrong "$document" "$line" "doppio has no command ${BASH_REMATCH[3]}"
    fi
  done < <(code "$document")
}
for document in "${documents[@]}"; do check "$document"; done
((failures == 0)) || { echo "$failures names are wrong"; exit 1; }

# Every line of this one has a fault.
readonly wrong=tests/scripts/wrong_documentation.md
missed=$(comm -13 <(check $wrong | cut -d : -f 2 | sort -u) <(grep -n '' $wrong | cut -d : -f 1 | sort -u) | words)
[[ -z $missed ]] || { echo "FAIL the faults of these lines of $wrong were not found: $missed"; exit 1; }
echo "all passed"
