#!/usr/bin/env bash
# Fetches published weights of a net and checks them; -h explains.
set -euo pipefail

usage() {
  cat << 'END_OF_USAGE'
Usage: models/get_weights.sh NAME [--from=URL_PREFIX]

Downloads the published weights of the net NAME to models/NAME/NAME.caffemodel with curl or wget,
and checks their hash. Until the hash is right, the file is called NAME.caffemodel.partial. If the
download is interrupted, start the script again: it continues where it stopped. A file whose hash is
wrong is deleted. If the right file exists already, nothing is downloaded.

  --from=URL_PREFIX  another place that has the file under the same name, for example
                     --from=https://example.com/weights, or --from=file:///mnt/weights (curl only)

END_OF_USAGE
  weights | while read -r name size hash url license; do
    printf '%-11s %3d MB, license: %s\n  %s\n  %s\n' "$name" "$size" "$license" "$url" "$hash"
  done
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
weights() { grep -v '^#' "$here/weights.txt"; }
say() { echo "get_weights: $*"; }
fail() {
  say "error: $*" >&2
  exit 1
}
usage_error() {
  usage >&2
  echo >&2
  say "error: $*" >&2
  exit 2
}

net='' from=''
for argument in "$@"; do
  case $argument in
    -h | --help) usage && exit ;;
    --from=?*) from=${argument#*=} ;;
    -*) usage_error "unknown argument $argument" ;;
    *)
      [[ -z $net ]] || usage_error "one net at a time, not $net and $argument"
      net=$argument
      ;;
  esac
done
[[ -n $net ]] || usage_error "the name of a net is needed"
read -r _ size expected url _ < <(weights | grep "^$net ") ||
  fail "no weights are known for $net, only for: $(weights | cut -d ' ' -f 1 | paste -s -d ' ')"
[[ -z $from ]] || url=${from%/}/${url##*/}
cd "$here/.."
file=models/$net/$net.caffemodel
partial=$file.partial

# hash FILE: prints it in the form of weights.txt.
hash() {
  case $expected in
    sha1:*) sha1sum < "$1" ;;
    git:*) { printf 'blob %d\0' "$(stat -c %s "$1")" && cat "$1"; } | sha1sum ;;
  esac | sed "s/ .*//; s/^/${expected%%:*}:/"
}

bytes_there() { stat -c %s "$partial" 2> /dev/null || echo 0; }

# require_space BYTES FOLDER: fails unless FOLDER's file system has that much room.
require_space() {
  local available
  available=$(df --output=avail -B1 "$2" | tail -n 1)
  ((available >= $1)) ||
    fail "$2 has $((available / 1000000)) MB free and $(($1 / 1000000)) MB are needed"
}

# Downloads what $partial lacks. Returns 1 if the server can only send the whole file.
download() {
  local status=0 answer='' quiet=() next="--from=URL_PREFIX names another place (-h explains)" before
  before=$(bytes_there)
  [[ -t 2 ]] || quiet=(--silent)
  if command -v curl > /dev/null; then
    answer=$(curl "${quiet[@]}" --show-error --fail --location --connect-timeout 30 --retry 3 \
      --continue-at - --output "$partial" --write-out '%{http_code}' "$url") || status=$?
    case $status in
      0) return ;;
      33) return 1 ;;
      22) [[ $answer != 416 ]] || return 1 ;;
    esac
    case $status in
      22) status=refused ;;
      5 | 6 | 7 | 28 | 35) status=unreachable ;;
      37) fail "there is no ${url#file://}; $next" ;;
    esac
  elif command -v wget > /dev/null; then
    [[ $url != file:* ]] || fail "wget cannot read $url; install curl"
    [[ -t 2 ]] || quiet=(--no-verbose)
    wget "${quiet[@]}" --continue --timeout=30 --tries=3 --output-document="$partial" "$url" ||
      status=$?
    case $status in
      0) return ;;
      4) status=unreachable ;;
      8) status=refused ;;
    esac
  else
    fail "curl or wget is needed; install one of them"
  fi
  [[ $status != unreachable ]] || (($(bytes_there) <= before)) || status=interrupted
  [[ -s $partial ]] || rm -f "$partial"
  case $status in
    unreachable) fail "cannot reach $url; is there a network? $next" ;;
    refused) fail "the server does not give ${url}${answer:+ (HTTP status $answer)}; $next" ;;
    *) fail "the download of $url broke off ($status); start again to continue it" ;;
  esac
}

if [[ -f $file ]]; then
  actual=$(hash "$file")
  [[ $actual == "$expected" ]] ||
    fail "$file exists and is not the published file: its hash is $actual instead of $expected;" \
      "move it away first"
  say "$file is already there"
  exit
fi
[[ -w models/$net ]] || fail "models/$net is not a folder that can be written"
old=$(bytes_there)
if ((old == 0)) || [[ $(hash "$partial") != "$expected" ]]; then
  ((old >= size * 1000000)) || require_space $((size * 1000000 - old)) "models/$net"
  say "downloading $url ($size MB)"
  if ! download || { ((old > 0)) && [[ $(hash "$partial") != "$expected" ]]; }; then
    say "what was there cannot be continued; starting from the beginning"
    rm -f "$partial"
    download || fail "the server does not give $url"
  fi
fi
actual=$(hash "$partial")
if [[ $actual != "$expected" ]]; then
  rm -f "$partial"
  fail "the hash of $url is $actual instead of $expected; the file was deleted"
fi
mv "$partial" "$file"
say "made $file"
say "next: doppio classify --model=models/$net/deploy.prototxt --weights=$file" \
  "--mean_value=104,117,123 --resize=256 PICTURE.jpg"
