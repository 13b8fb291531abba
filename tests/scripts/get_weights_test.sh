#!/usr/bin/env bash
# Fetches made-up weights from a local server with models/get_weights.sh. Needs Python, and curl or wget.
# Usage: get_weights_test.sh SOURCE_FOLDER
set -euo pipefail
cd "$1"
work=$(mktemp -d)
server=
trap '[[ -z $server ]] || kill "$server"; rm -rf "$work"' EXIT
tree=$work/tree
readonly script=models/get_weights.sh

# Serves $work/served: /whole/FILE ignores ranges, /ranges/FILE answers them, and /short/FILE breaks off in the middle.
cat > "$work/server.py" << 'PYTHON'
import http.server, os, re, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        kind, name = self.path.strip("/").split("/")
        wanted = self.headers.get("Range", "")
        print(kind, name, wanted, flush=True)
        if not os.path.exists(name):
            return self.send_error(404)
        data = open(name, "rb").read()
        first = int(re.sub(r"\D", "", wanted) or 0) if kind != "whole" else 0
        if first and first >= len(data):
            return self.send_error(416)
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - first))
        self.end_headers()
        self.wfile.write(data[first:len(data) // 2] if kind == "short" else data[first:])
    def log_message(self, *arguments):
        pass
os.chdir(sys.argv[1])
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
PYTHON
: > "$work/requests"
mkdir "$work/served"
head -c 300000 /dev/urandom > "$work/served/published.caffemodel"
head -c 1000 /dev/urandom > "$work/served/wrong.caffemodel"
python3 "$work/server.py" "$work/served" >> "$work/requests" &
server=$!
for _ in {1..100}; do [[ -s $work/requests ]] || sleep 0.1; done
port=$(head -n 1 "$work/requests")
[[ -n $port ]] || { echo "FAIL the server does not start"; exit 1; }
readonly url=http://127.0.0.1:$port published=$work/served/published.caffemodel
sha1=$(sha1sum < "$published" | cut -d ' ' -f 1)
git=$({ printf 'blob 300000\0' && cat "$published"; } | sha1sum | cut -d ' ' -f 1)
readonly file=$tree/models/small/small.caffemodel

fresh_tree() {
  rm -rf "$tree"
  mkdir -p "$tree/models/small" "$tree/models/missing" "$tree/models/other" "$tree/models/object"
  cp $script "$tree/models/"
  cat > "$tree/models/weights.txt" << TABLE
# NAME  SIZE  HASH  URL  LICENSE
small 1 sha1:$sha1 $url/ranges/published.caffemodel free for all
missing 1 sha1:$sha1 $url/ranges/missing.caffemodel free
other 1 sha1:$sha1 $url/ranges/wrong.caffemodel free
object 1 git:$git $url/ranges/published.caffemodel free
TABLE
  : > "$work/requests"
}

# tools_in FOLDER PROGRAM...: makes a folder for the PATH with the programs and those that the script always needs.
tools_in() {
  local program
  mkdir "$1"
  for program in bash cat cut df dirname grep mv paste rm sed sha1sum stat tail "${@:2}"; do
    ln -s "$(command -v "$program")" "$1/"
  done
}

# run ARGUMENT...: leaves $status and $out, stdout and stderr together.
run() {
  status=0
  out=$(PATH=$bin "$BASH" "$tree/$script" "$@" 2>&1) || status=$?
}
failures=0
expect() { # WHAT CONDITION...
  "${@:2}" && return
  printf 'FAIL %s, %s: %s\nstatus %s, output:\n%s\nrequests:\n%s\n' "$tool" "$name" "$1" "$status" "$out" "$(< "$work/requests")"
  failures=$((failures + 1))
}
says() { [[ $out == *"$1"* ]]; }
ended() { ((status == $1)); }
fetched() { cmp -s "$1" "$published" && [[ ! -e $1.partial ]]; }
nothing_kept() { [[ -z $(ls "$tree/models/$1") ]]; }
requested() { grep -q -e "$1" "$work/requests"; }
not_requested() { [[ ! -s $work/requests ]]; }

right_file() {
  run small
  expect 'succeeds' ended 0
  expect 'keeps it' fetched "$file"
  expect 'says what is next' says 'doppio classify --model=models/small/deploy.prototxt'
  : > "$work/requests"
  run small
  expect 'succeeds again' ended 0
  expect 'says that it is there' says 'already there'
  expect 'asks no server' not_requested
}
object_id_of_git() {
  run object
  expect 'succeeds' ended 0
  expect 'keeps it' fetched "$tree/models/object/object.caffemodel"
}
another_place() {
  run --from="$url/whole" missing
  expect 'fails, as the name is that of the table' ended 1
  run small --from="$url/whole/"
  expect 'succeeds' ended 0
  expect 'keeps it' fetched "$file"
  expect 'asks there' requested '^whole published.caffemodel'
}
wrong_hash() {
  run other
  expect 'fails' ended 1
  expect 'names the expected hash' says "$sha1"
  expect 'names the actual hash' says "$(sha1sum < "$work/served/wrong.caffemodel" | cut -d ' ' -f 1)"
  expect 'keeps nothing' nothing_kept other
}
wrong_file_is_not_replaced() {
  echo mine > "$file"
  run small
  expect 'fails' ended 1
  expect 'says what to do' says 'move it away'
  expect 'keeps it' eval '[[ $(< "$file") == mine ]]'
  expect 'asks no server' not_requested
}
interrupted() {
  run small --from="$url/short"
  expect 'fails' ended 1
  expect 'says how to continue' says 'start again'
  expect 'keeps one half' eval '(($(stat -c %s "$file.partial") == 150000))'
  expect 'makes no file' eval '[[ ! -e $file ]]'
  : > "$work/requests"
  run small
  expect 'succeeds' ended 0
  expect 'keeps it' fetched "$file"
  expect 'asks for the other half' requested 'bytes=150000-'
}
interrupted_before_renaming() {
  cp "$published" "$file.partial"
  run small
  expect 'succeeds' ended 0
  expect 'keeps it' fetched "$file"
  expect 'asks no server' not_requested
}
server_without_ranges() {
  head -c 1000 "$published" > "$file.partial"
  run small --from="$url/whole"
  expect 'succeeds' ended 0
  expect 'keeps it' fetched "$file"
}
wrong_part_is_replaced() {
  head -c 1000 /dev/zero > "$file.partial"
  run small
  expect 'succeeds' ended 0
  expect 'keeps it' fetched "$file"
}
part_that_is_too_long_is_replaced() {
  head -c 400000 /dev/zero > "$file.partial"
  run small
  expect 'succeeds' ended 0
  expect 'keeps it' fetched "$file"
}
server_without_the_file() {
  run missing
  expect 'fails' ended 1
  expect 'names the URL' says "$url/ranges/missing.caffemodel"
  expect 'says who refuses' says 'the server does not give'
  expect 'keeps nothing' nothing_kept missing
}
no_network() {
  run small --from=http://127.0.0.1:1
  expect 'fails' ended 1
  expect 'says so' says 'is there a network?'
  expect 'keeps nothing' nothing_kept small
}
full_disk() {
  sed -i 's/^small 1/small 1000000000000/' "$tree/models/weights.txt"
  run small
  expect 'fails' ended 1
  expect 'says so' says 'MB are needed'
  expect 'asks no server' not_requested
}
folder() {
  run small --from="file://$work/served"
  if [[ $tool == curl ]]; then
    expect 'succeeds' ended 0
    expect 'keeps it' fetched "$file"
    run missing --from="file://$work/served"
    expect 'fails' ended 1
    expect 'says what is missing' says "there is no $work/served/missing.caffemodel"
  else
    expect 'fails' ended 1
    expect 'says what to do' says 'install curl'
  fi
}
unknown_names() {
  run large
  expect 'fails' ended 1
  expect 'lists the names' says 'only for: small missing other object'
  run
  expect 'fails without a name' ended 2
  run small other
  expect 'fails with two names' ended 2
  run --form=x small
  expect 'fails with an unknown flag' says 'unknown argument --form=x'
}
help_is_printed() {
  run --help
  expect 'succeeds' ended 0
  expect 'explains the flag' says '  --from=URL_PREFIX'
  expect 'lists sizes and licenses' says '1 MB, license: free for all'
  expect 'lists hashes' says "sha1:$sha1"
}

tools=0
for tool in curl wget; do
  [[ -x $(command -v $tool) ]] || continue
  tools=$((tools + 1))
  bin=$work/$tool
  tools_in "$bin" $tool
  for name in right_file object_id_of_git another_place wrong_hash wrong_file_is_not_replaced interrupted \
    interrupted_before_renaming server_without_ranges wrong_part_is_replaced part_that_is_too_long_is_replaced \
    server_without_the_file no_network full_disk folder unknown_names help_is_printed; do
    fresh_tree
    $name
  done
done
((failures == 0)) || { echo "$failures expectations failed"; exit 1; }
((tools > 0)) || { echo "skipped: neither curl nor wget is installed"; exit 77; }

tool=none name=no_tool bin=$work/none
tools_in "$bin"
fresh_tree
run small
expect 'names what is needed' says 'curl or wget is needed'

# The table of this tree: NAME SIZE HASH URL LICENSE, for nets that exist.
while read -r net size hash address license; do
  [[ -d models/$net && $size =~ ^[0-9]+$ && $hash =~ ^(sha1|git):[0-9a-f]{40}$ && $address == http*.caffemodel && $license ]] ||
    { echo "FAIL models/weights.txt: $net $size $hash $address $license"; failures=1; }
done < <(grep -v '^#' models/weights.txt)
((failures == 0)) || exit 1
echo "all passed"
