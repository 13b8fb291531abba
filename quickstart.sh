#!/usr/bin/env bash
# From a fresh Debian machine to a trained net; -h explains.
set -euo pipefail
cd "$(dirname "$0")"

usage() {
  cat << 'END'
Usage: ./quickstart.sh [--dry_run]

Installs missing packages, builds Doppio, trains a small AlexNet on the 60,000 training images of
Fashion-MNIST, tests it on the 10,000 test images and classifies one image. You can run it again at
any time: packages, programs and databases that already exist are kept.

  --dry_run   print what would be installed, without doing anything
END
}

# The images are a Debian package, which is needed until the databases are made.
packages=(dataset-fashion-mnist)
if [[ -d /usr/share/datasets/fashion-mnist ]] ||
  [[ -d data/fashion_mnist/fashion_train_lmdb && -d data/fashion_mnist/fashion_test_lmdb ]]; then
  packages=()
fi

case "$# ${1:-}" in
  '0 ') ;;
  '1 -h' | '1 --help') usage && exit ;;
  '1 --dry_run') exec cmake/install_packages.sh --dry_run "${packages[@]}" ;;
  *)
    usage >&2
    echo "error: unknown arguments: $*" >&2
    exit 2
    ;;
esac

start=$SECONDS
step() { printf '\n== %s (%d s) ==\n' "$1" $((SECONDS - start)); }

step "1/6 Installing packages"
cmake/install_packages.sh "${packages[@]}"

step "2/6 Building into build/"
mkdir -p build
cmake --preset release >build/configure.log 2>&1 || { cat build/configure.log; exit 1; }
cmake --build build --target doppio_tool
export PATH="$PWD/build/bin:$PATH"

step "3/6 Converting 70,000 images to LMDB"
data/fashion_mnist/get.sh

step "4/6 Training (about 3 minutes on 2 cores)"
doppio train --solver=models/fashion_alexnet/solver.prototxt
weights=$(ls -t models/fashion_alexnet/fashion_alexnet_iter_*.caffemodel | head -n 1)

step "5/6 Testing on the 10,000 test images"
doppio test --quiet --model=models/fashion_alexnet/train_val.prototxt --weights="$weights"

step "6/6 Classifying data/fashion_mnist/examples/ankle_boot.png"
doppio classify --quiet --model=models/fashion_alexnet/deploy.prototxt --weights="$weights" \
  --labels=data/fashion_mnist/labels.txt --resize=28 \
  data/fashion_mnist/examples/ankle_boot.png

step "Done"
cat <<EOF
What to try next, with build/bin on your PATH (export PATH="$PWD/build/bin:\$PATH"):
  doppio classify ... data/fashion_mnist/examples          all example images
  doppio plan --solver=models/alexnet/solver.prototxt      the memory that AlexNet on ImageNet needs
  doppio time --model=models/alexnet/deploy.prototxt       how fast this machine runs it, layer by layer
  docs/tutorial.md                                         a net for a folder of your own pictures
  data/cifar10/get.sh -h                                   another data set for models/cifar10_quick
  doppio train --solver=models/alexnet/solver.prototxt     AlexNet on ImageNet (data/ilsvrc12/get.sh makes its data; -h explains)
Documentation: README.md, models/*/README.md, docs/.
EOF
