#!/usr/bin/env bash
# Makes the Fashion-MNIST databases; -h explains.
set -euo pipefail

usage() {
  cat << 'END'
Usage: data/fashion_mnist/get.sh [--dry_run] [FOLDER]

Makes data/fashion_mnist/fashion_train_lmdb (60,000 images of 28 x 28 gray pixels in ten
classes of clothing) and fashion_test_lmdb (10,000).

FOLDER contains the four idx files, plain or with .gz: train-images-idx3-ubyte,
train-labels-idx1-ubyte and the same two for t10k. Without FOLDER, they are taken from the Debian
package dataset-fashion-mnist (31 MB), which is installed if it is missing. The databases take about
75 MB. Files that already exist are not made again.

  --dry_run   print what would be installed and made, without doing it
END
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../common.sh"
[[ ${1:-} == -h || ${1:-} == --help ]] && usage && exit
dry_run=
[[ ${1:-} == --dry_run ]] && dry_run=1 && shift
(($# <= 1)) && [[ ${1:-} != -* ]] || usage_error "one folder at most, not: $*"
folder=$(realpath -m "${1:-/usr/share/datasets/fashion-mnist}")
(($# == 0)) || [[ -d $folder ]] || fail "$folder is not a folder; see data/fashion_mnist/get.sh -h"
cd "$here/../.."
out=data/fashion_mnist

missing=()
for set in train test; do
  if [[ -d $out/fashion_${set}_lmdb ]]; then
    say "$out/fashion_${set}_lmdb is already there"
  else
    missing+=("$set")
  fi
done
[[ $dry_run ]] || find_doppio
if ((${#missing[@]} > 0)); then
  if (($# == 0)) && [[ ! -d $folder ]]; then
    cmake/install_packages.sh ${dry_run:+--dry_run} --only dataset-fashion-mnist ||
      fail "or name a folder with the four idx files: data/fashion_mnist/get.sh FOLDER"
  fi
  [[ $dry_run ]] || require_space 100000000 $out
fi
for set in "${missing[@]}"; do
  database=$out/fashion_${set}_lmdb
  if [[ $dry_run ]]; then
    say "would make $database"
  else
    make_idx_database "$folder" "${set/test/t10k}" "$database"
  fi
done
[[ $dry_run ]] || say "next: doppio train --solver=models/fashion_alexnet/solver.prototxt"
