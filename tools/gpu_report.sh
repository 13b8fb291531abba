#!/usr/bin/env bash
# Tests and measures a CUDA build on a machine with a GPU, in at most eight minutes.
#
#   tools/gpu_report.sh [--build=FOLDER] [--out=FOLDER] [options]   for the programs in FOLDER, build-cuda if none is named;
#                                                                   --help lists the options
#   tools/gpu_report.sh [--build=FOLDER] --pack=FILE.tar.xz         packs them for a machine that has only glibc, the NVIDIA
#                                                                   driver and CUDA's libraries (a toolkit or Python wheels)
#
# Build first: cmake --preset cuda -DCMAKE_CUDA_ARCHITECTURES=90-real -DDOPPIO_BENCHMARKS=ON && cmake --build build-cuda
# On the other machine: mkdir d && python3 -m tarfile -e FILE.tar.xz d && bash d/tools/gpu_report.sh --out=FOLDER
set -euo pipefail
tools=$(realpath "$(dirname "$0")")
build=$tools/../build-cuda pack=
for option in "$@"; do
  case $option in
    --build=?*) build=$(realpath "${option#*=}") ;;
    --pack=?*) pack=$(realpath "${option#*=}") ;;
  esac
done
[[ ! $pack ]] || exec "$tools/gpu_report/pack.sh" "$build" "$pack"
exec python3 "$tools/gpu_report/report.py" "$@"
