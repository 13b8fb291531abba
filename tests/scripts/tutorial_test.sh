#!/usr/bin/env bash
# Runs every command of docs/tutorial.md, word for word, in a new folder, and checks what it says.
# Usage: tutorial_test.sh SOURCE_FOLDER BINARY_FOLDER
set -euo pipefail

source=$(realpath "$1")
programs=$(realpath "$2")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
ln -s "$source/data" data
mkdir build
ln -s "$programs" build/bin

fail() {
  echo "tutorial_test: $*" >&2
  tail -n 30 log >&2
  exit 1
}

awk '/^```sh$/ { code = 1; next } /^```$/ { code = 0 } code' "$source/docs/tutorial.md" > commands
[[ $(grep -c '^doppio ' commands) -ge 9 ]] || fail "docs/tutorial.md has too few commands"
bash -euo pipefail commands > out 2> log || fail "a command failed"

# Lines of the tutorial that do not depend on the instruction set.
grep -o 'shapes: 3 classes.*cifar10_alexnet' "$source/docs/tutorial.md" | grep -qFf - out ||
  fail "doppio new prints something else than the tutorial says"
for line in 'Train: 240 images, batch 60: 4 iterations an epoch; 600 iterations are 150 epochs' \
  'Test net #0: 60 images, 1 batch of 60: each image once'; do
  grep -qF "$line" "$source/docs/tutorial.md" || fail "the tutorial lacks: $line"
  grep -qF "] $line" log || fail "the log lacks: $line"
done

mapfile -t accuracies < <(grep -o 'accuracy [0-9.]*' out | cut -d ' ' -f 2)
[[ ${#accuracies[@]} -eq 2 ]] || fail "expected two tests, found ${#accuracies[@]}"
echo "accuracy: ${accuracies[*]} %"
for accuracy in "${accuracies[@]}"; do
  awk -v a="$accuracy" 'BEGIN { exit !(a >= 85) }' || fail "an accuracy of $accuracy % is below 85 %"
done
[[ $(wc -l < others.csv) -eq 91 ]] || fail "others.csv has $(wc -l < others.csv) lines"
right=$(awk -F, '$2 == 1 && index($1, "/" $4 "/")' others.csv | wc -l)
echo "other pictures: $right of 30 right"
((right >= 26)) || fail "only $right of 30 other pictures are classified correctly"
[[ -f features_lmdb/data.mdb ]] || fail "no features"
