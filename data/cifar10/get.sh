#!/usr/bin/env bash
# Makes the CIFAR-10 databases and the mean image; -h explains.
set -euo pipefail

usage() {
  cat << 'END'
Usage: data/cifar10/get.sh IMAGES

Makes data/cifar10/cifar10_train_lmdb (50,000 color images of 32 x 32 pixels in ten classes),
cifar10_test_lmdb (10,000), mean.binaryproto and labels.txt.

IMAGES is a folder of image files: train/CLASS/*.jpg (or .png) and test/CLASS/*.jpg. It may also be
a .tar.gz of such a folder, which is unpacked into data/cifar10/images. The label of a class is its
position among the sorted class names, which gives the labels of CIFAR-10. The binary files of
CIFAR-10 (data_batch_1.bin and so on) are not supported: save their images as PNG files first.
The databases take about 250 MB. Files that already exist are not made again.
END
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../common.sh"
[[ ${1:-} == -h || ${1:-} == --help ]] && usage && exit
(($# == 1)) || usage_error "a folder or a .tar.gz of images is needed"
[[ -e $1 ]] || fail "$1 does not exist"
images=$(realpath "$1")
cd "$here/../.."
find_doppio
out=data/cifar10

if [[ -f $images ]]; then
  if [[ ! -d $out/images ]]; then
    rm -rf $out/images.partial
    mkdir $out/images.partial
    tar -xzf "$images" -C $out/images.partial || fail "$images is not a .tar.gz of images"
    mv $out/images.partial $out/images
  fi
  images=$(realpath $out/images)
fi
if [[ ! -d $images/train || ! -d $images/test ]]; then
  [[ -f $images/data_batch_1.bin ]] &&
    fail "$images contains the binary files of CIFAR-10, which are not supported; see data/cifar10/get.sh -h"
  fail "$images has no folders train and test; see data/cifar10/get.sh -h"
fi

find "$images/train" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | LC_ALL=C sort \
  > $out/labels.txt
[[ -s $out/labels.txt ]] || fail "$images/train has no class folders"

# write_list SET: one line "SET/CLASS/FILE LABEL" for every image.
write_list() {
  (cd "$images" && find "$1" -type f \( -iname '*.jpg' -o -iname '*.png' \)) | LC_ALL=C sort |
    awk -F/ 'NR == FNR { label[$0] = FNR - 1; next }
             !($2 in label) { print "no class " $2 " in train" > "/dev/stderr"; exit 1 }
             { print $0 " " label[$2] }' $out/labels.txt - > "$out/$1.txt"
  say "$1: $(wc -l < "$out/$1.txt") images"
}

write_list train
write_list test
require_space 300000000 $out
make_database $out/cifar10_train_lmdb imageset --shuffle --seed=1 "$images/" $out/train.txt
make_database $out/cifar10_test_lmdb imageset "$images/" $out/test.txt
make_mean $out/cifar10_train_lmdb $out/mean.binaryproto
say "next: doppio train --solver=models/cifar10_quick/solver.prototxt"
