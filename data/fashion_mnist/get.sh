#!/usr/bin/env bash
# Makes the Fashion-MNIST databases; -h explains.
set -euo pipefail

usage() {
  cat << 'END'
Usage: data/fashion_mnist/get.sh [FOLDER]

Makes data/fashion_mnist/fashion_train_lmdb (60,000 images of 28 x 28 gray pixels, ten classes of
clothing) and fashion_test_lmdb (10,000).

FOLDER holds the four idx files (train-images-idx3-ubyte, train-labels-idx1-ubyte and the same for
t10k; .gz is fine). Without it they come from the Debian package dataset-fashion-mnist (31 MB),
which is installed if it is missing. The databases take about 75 MB. What is already there is not
made again.
END
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../common.sh"
[[ ${1:-} == -h || ${1:-} == --help ]] && usage && exit
(($# <= 1)) || usage_error "one folder at most"
folder=$(realpath -m "${1:-/usr/share/datasets/fashion-mnist}")
cd "$here/../.."
find_doppio

install_package() {
  local as_root=()
  command -v apt-get > /dev/null || return 1
  if ((EUID != 0)); then
    command -v sudo > /dev/null || return 1
    as_root=(sudo)
  fi
  say "installing the package dataset-fashion-mnist"
  "${as_root[@]}" apt-get update -q && "${as_root[@]}" apt-get install -q -y dataset-fashion-mnist
}

if (($# == 0)) && [[ ! -d $folder ]]; then
  install_package || fail "cannot install the package dataset-fashion-mnist (it needs apt-get and" \
    "root or sudo); install it, or name a folder with the four idx files:" \
    "data/fashion_mnist/get.sh FOLDER"
fi
[[ -d $folder ]] || fail "$folder is not a folder; see data/fashion_mnist/get.sh -h"

require_space 100000000 data/fashion_mnist
make_idx_database "$folder" train data/fashion_mnist/fashion_train_lmdb
make_idx_database "$folder" t10k data/fashion_mnist/fashion_test_lmdb
say "next: doppio train --solver=models/fashion_alexnet/solver.prototxt"
