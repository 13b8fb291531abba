#!/usr/bin/env bash
# Makes the MNIST databases; -h explains.
set -euo pipefail

usage() {
  cat << 'END'
Usage: data/mnist/get.sh FOLDER

Makes data/mnist/mnist_train_lmdb (60,000 handwritten digits of 28 x 28 gray pixels) and
mnist_test_lmdb (10,000).

FOLDER contains the four files of MNIST, plain or with .gz (11 MB in total):
  train-images-idx3-ubyte  train-labels-idx1-ubyte  t10k-images-idx3-ubyte  t10k-labels-idx1-ubyte
They have moved between hosts over the years, so this script does not download them: get them from
a host that you trust. Fashion-MNIST has the same format and is a Debian package, which
data/fashion_mnist/get.sh installs.
The databases take about 75 MB. Files that already exist are not made again.
END
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../common.sh"
[[ ${1:-} == -h || ${1:-} == --help ]] && usage && exit
(($# == 1)) || usage_error "one folder is needed"
[[ -d $1 ]] || fail "$1 is not a folder; it should contain the four idx files of MNIST"
folder=$(realpath "$1")
cd "$here/../.."
find_doppio

require_space 100000000 data/mnist
make_idx_database "$folder" train data/mnist/mnist_train_lmdb
make_idx_database "$folder" t10k data/mnist/mnist_test_lmdb
say "next: doppio train --solver=models/lenet/solver.prototxt"
