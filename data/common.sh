# shellcheck shell=bash
# Sourced by data/*/get.sh. A database gets its name when it is complete (until then it is
# NAME.partial), so an interrupted script can simply be started again.

say() { echo "$(basename "$(dirname "$0")"): $*"; }

fail() {
  say "error: $*" >&2
  exit 1
}

# Prints the script's usage text, then stops: usage_error "what is wrong".
usage_error() {
  usage >&2
  echo >&2
  say "error: $*" >&2
  exit 2
}

# Sets $doppio to the program on the PATH, else to the one built in this repository.
find_doppio() {
  if command -v doppio > /dev/null; then
    doppio=$(command -v doppio)
  elif [[ -x build/bin/doppio ]]; then
    doppio=build/bin/doppio
  else
    fail "no doppio on the PATH and no build/bin/doppio; build it first:" \
      "cmake --preset release && cmake --build build"
  fi
}

# require_space BYTES FOLDER: fails unless FOLDER's file system has that much room.
require_space() {
  local available
  available=$(df --output=avail -B1 "$2" | tail -n 1)
  ((available >= $1)) ||
    fail "$2 has $((available / 1000000)) MB free and $(($1 / 1000000)) MB are needed;" \
      "free some space, or make $2 a link to a larger disk"
}

# make_database DB ARGUMENT...: runs "doppio convert ARGUMENT... DB" unless DB exists. A
# conversion of images that was interrupted is resumed if arguments and list are the same.
make_database() {
  local database=$1 made_of resume=()
  shift
  if [[ -d $database ]]; then
    say "$database is already there"
    return
  fi
  made_of=$*
  if [[ $1 == imageset ]]; then
    resume=(--resume)
    made_of+=" $(cksum < "${@: -1}")"  # the list
  fi
  if [[ $1 != imageset || ! -f $database.arguments || $(< "$database.arguments") != "$made_of" ]]; then
    rm -rf "$database.partial"
    echo "$made_of" > "$database.arguments"
  fi
  "$doppio" convert "$@" "${resume[@]}" "$database"
  rm -f "$database.arguments"
  say "made $database"
}

# make_mean DB FILE [--pca=FILE]: writes the mean image of DB, and its components, unless both exist.
make_mean() {
  local partial database=$1 file=$2 components=${3:-}
  shift 2
  components=${components#--pca=}
  if [[ -f $file && -f ${components:-$file} ]]; then
    say "$file is already there"
    return
  fi
  partial=$(dirname "$file")/partial_$(basename "$file")
  "$doppio" mean "$database" "$partial" "$@"
  mv "$partial" "$file"
  say "made $file"
}

# idx_file FOLDER SET KIND: prints the path of an MNIST-style file, for example
# train-images-idx3-ubyte, whose name may use a dot for the second dash and may end in .gz.
idx_file() {
  local stem ending
  for stem in "$2-$3" "$2-${3/-/.}"; do
    for ending in "" .gz; do
      if [[ -f $1/$stem$ending ]]; then
        echo "$1/$stem$ending"
        return
      fi
    done
  done
  fail "$1 has no file $2-$3 or $2-$3.gz"
}

# make_idx_database FOLDER SET DB: converts one pair of image and label files.
make_idx_database() {
  local images labels
  images=$(idx_file "$1" "$2" images-idx3-ubyte)
  labels=$(idx_file "$1" "$2" labels-idx1-ubyte)
  make_database "$3" idx --images="$images" --labels="$labels"
}
