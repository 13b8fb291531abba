#!/usr/bin/env bash
# Makes the ImageNet (ILSVRC 2012) databases and the mean image; -h explains.
set -euo pipefail

usage() {
  cat << 'END'
Usage: data/ilsvrc12/get.sh --train=TAR --val=TAR --val_labels=FILE [--synsets=FILE]
                            [--images=DIR] [--format=raw|jpeg]

Makes data/ilsvrc12/ilsvrc12_train_lmdb (1,281,167 images in random order, resized to 256 x 256),
ilsvrc12_val_lmdb (50,000), imagenet_mean.binaryproto, imagenet_pca.binaryproto (for pca_file),
labels.txt, train.txt and val.txt. A label is the position of the image's synset, such as n01440764,
among the 1000 sorted synsets, counted from 0.

  --train=TAR        ILSVRC2012_img_train.tar (148 GB), from image-net.org after registration
  --val=TAR          ILSVRC2012_img_val.tar (6.7 GB), likewise
  --val_labels=FILE  the classes of the 50,000 validation images, one line per image:
                       "SYNSET", in the order of the images, or
                       "ILSVRC2012_val_00000001.JPEG SYNSET", or
                       "ILSVRC2012_val_00000001.JPEG LABEL" (Caffe's val.txt), or
                       a number from 1 to 1000, in the order of the images
                         (ILSVRC2012_validation_ground_truth.txt; needs --synsets)
  --synsets=FILE     1000 lines "SYNSET" or "SYNSET name"; the names are written to labels.txt. If
                     --val_labels has numbers, line n must be class n of the development kit
  --images=DIR       where to unpack (default data/ilsvrc12/images)
  --format=raw       contents of the databases: pixels (raw, the default), which are fastest to
                     read, or JPEG files (jpeg), which take a sixth of the space

Disk space: 155 GB for the unpacked images, which can be deleted afterwards, and 268 GB (raw) or
about 46 GB (jpeg) for the databases. Time: unpacking takes as long as the disk needs to read and
write 155 GB. Converting takes little more than an hour on one core, and the mean a quarter of an
hour; both use all cores. If the script is interrupted, start it again with the same arguments: it
continues where it stopped. Files that already exist are not made again, and an archive that is
already unpacked may be left out.
END
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../common.sh"
out=data/ilsvrc12
train_tar='' val_tar='' val_labels='' synsets='' images=$here/images format=raw
for argument in "$@"; do
  value=${argument#*=}
  case $argument in
    -h | --help) usage && exit ;;
    --train=?*) train_tar=$(realpath -m "$value") ;;
    --val=?*) val_tar=$(realpath -m "$value") ;;
    --val_labels=?*) val_labels=$(realpath -m "$value") ;;
    --synsets=?*) synsets=$(realpath -m "$value") ;;
    --images=?*) images=$(realpath -m "$value") ;;
    --format=raw | --format=jpeg) format=$value ;;
    *) usage_error "unknown argument $argument" ;;
  esac
done
[[ -n $val_labels ]] || usage_error "--val_labels is needed"
for file in "$train_tar" "$val_tar" "$val_labels" "$synsets"; do
  [[ -z $file || -f $file ]] || fail "$file does not exist"
done
cd "$here/../.."
find_doppio
mkdir -p "$images/train"

# Unpacks the archive of archives one synset at a time, without an intermediate copy.
unpack_train() {
  local members member synset todo=()
  members=$(tar -tf "$train_tar") ||
    fail "cannot list $train_tar; is the download complete (147,897,477,120 bytes)?"
  for member in $members; do
    [[ -d $images/train/${member%.tar} ]] || todo+=("$member")
  done
  say "train: ${#todo[@]} synsets to unpack"
  for member in "${todo[@]}"; do
    synset=${member%.tar}
    [[ $synset =~ ^n[0-9]{8}$ ]] || fail "$train_tar holds $member, not a synset's n########.tar"
    rm -rf "$images/partial_$synset"
    mkdir "$images/partial_$synset"
    tar -xOf "$train_tar" --occurrence=1 "$member" | tar -xf - -C "$images/partial_$synset" ||
      fail "cannot unpack $member of $train_tar"
    mv "$images/partial_$synset" "$images/train/$synset"
  done
}

unpack_val() {
  [[ -d $images/val ]] && return
  say "val: unpacking"
  rm -rf "$images/partial_val"
  mkdir "$images/partial_val"
  tar -xf "$val_tar" -C "$images/partial_val" ||
    fail "cannot unpack $val_tar; is the download complete (6,744,924,160 bytes)?"
  mv "$images/partial_val" "$images/val"
}

write_train_list() {
  find "$images/train" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | LC_ALL=C sort \
    > $out/synsets.txt
  [[ -s $out/synsets.txt ]] || fail "$images/train is empty; give the archive with --train=TAR"
  awk 'naming { name[$1] = $0; next } { print ($1 in name) ? name[$1] : $1 }' \
    naming=1 "${synsets:-/dev/null}" naming=0 $out/synsets.txt > $out/labels.txt
  (cd "$images/train" && find . -type f -iname '*.jpeg' -printf '%P\n') | LC_ALL=C sort |
    awk -F/ 'NR == FNR { label[$0] = FNR - 1; next } { print $0 " " label[$1] }' \
      $out/synsets.txt - > $out/train.txt
}

# Accepts the four forms of --val_labels that the usage text lists.
write_val_list() {
  awk -v synset_file="${synsets:-}" '
    function stop(what) { print FILENAME ":" FNR ": " what > "/dev/stderr"; exit 1 }
    BEGIN { while (synset_file && (getline line < synset_file) > 0) {
              split(line, word, " "); devkit[++count] = word[1] } }
    NR == FNR { label[$1] = FNR - 1; classes = FNR; next }
    { class = $NF
      if (NF == 1 && class ~ /^[0-9]+$/) {
        if (!synset_file) stop("a class number needs --synsets to say which synset it is")
        if (!(class in devkit)) stop("class " class " is not a line of " synset_file)
        class = devkit[class] }
      if (class in label) class = label[class]
      else if (NF == 1 || class !~ /^[0-9]+$/) stop("no training images of class " class)
      else if (class >= classes) stop("label " class " but only " classes " classes")
      print (NF > 1 ? $1 : sprintf("ILSVRC2012_val_%08d.JPEG", FNR)) " " class }
  ' $out/synsets.txt "$val_labels" > $out/val.txt ||
    fail "cannot use $val_labels; see data/ilsvrc12/get.sh -h"
}

# expect SET COUNT: warns if the list of SET has another number of images than the official one.
expect() {
  local lines
  lines=$(wc -l < "$out/$1.txt")
  say "$1: $lines images"
  ((lines == $2)) || say "warning: the official $1 set has $2 images" >&2
}

[[ -z $train_tar ]] || unpack_train
[[ -z $val_tar ]] || unpack_val
[[ -d $images/val ]] || fail "$images/val is missing; give the archive with --val=TAR"
write_train_list
write_val_list
expect train 1281167
expect val 50000

# A record fills 49 pages of 4096 bytes, as a JPEG file 9 of them on average.
make_resized_database() {
  local list=$1 database=$2 pages=49 encoding=()
  shift 2
  if [[ $format == jpeg ]]; then
    pages=9
    encoding=(--encode_type=jpg)
  fi
  [[ -d $database || -d $database.partial ]] ||
    require_space $(($(wc -l < "$list") * pages * 4096 * 21 / 20)) $out
  make_database "$database" imageset --resize_height=256 --resize_width=256 "${encoding[@]}" "$@" \
    "$list"
}
make_resized_database $out/train.txt $out/ilsvrc12_train_lmdb --shuffle --seed=1 "$images/train/"
make_resized_database $out/val.txt $out/ilsvrc12_val_lmdb "$images/val/"
make_mean $out/ilsvrc12_train_lmdb $out/imagenet_mean.binaryproto \
  --pca=$out/imagenet_pca.binaryproto
say "next: doppio train --solver=models/alexnet/solver.prototxt --gpu=0"
