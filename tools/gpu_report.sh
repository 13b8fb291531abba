#!/usr/bin/env bash
# Tests and times a CUDA build on a machine with a card, and writes report.md. About eight minutes.
#
#   tools/gpu_report.sh [--build=FOLDER] [NET:BATCH...]   for the programs in FOLDER, build-cuda if none is named
#   tools/gpu_report.sh [--build=FOLDER] --pack=TO        copies them with all they need to the folder TO, for a machine
#                                                         where nothing is installed but the driver and CUDA's libraries
#                                                         (PyTorch brings those along): there, TO/tools/gpu_report.sh
#
# Build first: cmake --preset cuda -DDOPPIO_BENCHMARKS=ON && cmake --build build-cuda
# PyTorch is timed beside it where `python3` can import it.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly programs=(doppio benchmark_net cuda_test conformance_test layers_test solver_test specs_test)
nets=(alexnet:256 caffenet:256 googlenet:128 resnet50:64 vgg16:32) # and images in a batch
build=build-cuda

# The shared libraries of our programs, except the C library's and those of CUDA and its driver.
libraries() {
  ldd "${programs[@]/#/$build/bin/}" | awk '$3 ~ "^/" {print $3}' | sort -u |
    grep -v -E '/(libc|libm|libdl|librt|libpthread|libresolv|ld-linux[^/]*|libcu[^/]*|libnv[^/]*)\.so'
}

pack() {
  local folder=$1
  mkdir -p "$folder/build-cuda/bin" "$folder/lib" "$folder/tools" "$folder/tests/conformance" "$folder/benchmarks"
  cp "${programs[@]/#/$build/bin/}" "$folder/build-cuda/bin/"
  libraries | xargs cp -L -t "$folder/lib"
  find "$folder/lib" "$folder/build-cuda/bin" -type f -exec strip {} +
  cp tools/gpu_report.sh "$folder/tools/"
  cp benchmarks/pytorch_nets.py "$folder/benchmarks/"
  cp -r tests/specs "$folder/tests/"
  cp -r tests/conformance/cases "$folder/tests/conformance/"
  cp -r models "$folder/"
  git rev-parse --short HEAD >"$folder/commit"
  du -sh "$folder"
}

# folder_of LIBRARY: the loader knows it, or the toolkit is installed, or Python packages have it.
folder_of() {
  local found
  found=$(ldconfig -p 2>/dev/null | awk -v name="$1" '$1 ~ "^" name {print $NF; exit}')
  [[ $found ]] || found=$(find /usr/local/cuda/lib64/ -name "$1*" 2>/dev/null | head -1)
  if [[ ! $found ]] && command -v python3 >/dev/null; then
    found=$(python3 -c 'import sys; print("\n".join(sys.path))' | xargs -I{} find {}/nvidia -name "$1*" 2>/dev/null | head -1)
  fi
  [[ $found ]] && dirname "$found"
}

# test_row NAME PROGRAM [options]: a line of the table of tests.
test_row() {
  local name=$1 log=$work/$1.log status=0
  shift
  timeout 150 "$build/bin/$1" "${@:2}" >"$log" 2>&1 || status=$?
  local passed
  passed=$(grep -E '^\[  PASSED|[0-9]+ passed, ' "$log" | tail -1 | sed 's/\[  PASSED  \] //') || true
  echo "| $name | ${passed:-ended early} | $status |"
  grep -E '^\[  FAILED  \] .*ms\)$|^FAIL ' "$log" | head -20 | sed 's/^/<!-- /; s/$/ -->/' || true
}

# images_per_second BATCH COMMAND...: of two runs, the second of which takes about two seconds. The command prints
# `ready` and then, for every number N that it reads, the seconds of N steps.
images_per_second() {
  local batch=$1 steps=3 seconds answer=-
  shift
  coproc worker { exec timeout 60 "$@" 2>>"$work/benchmarks.log"; }
  local pid=$worker_PID from=${worker[0]} to=${worker[1]}
  if read -r -u "$from" _; then
    for _ in 1 2; do
      echo $steps >&"$to"
      read -r -u "$from" seconds || break
      answer=$(awk -v n=$steps -v b="$batch" -v s="$seconds" 'BEGIN {printf "%.0f", n * b / s}')
      steps=$(awk -v n=$steps -v s="$seconds" 'BEGIN {k = int(2 * n / s); if (k < 1) k = 1; if (k > 2000) k = 2000; print k}')
    done
  fi
  kill "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
  echo "$answer"
}

report() {
  echo "# Doppio $(cat commit 2>/dev/null || git rev-parse --short HEAD) on a card, $(date -u +%Y-%m-%d)"
  echo
  "$build/bin/doppio" devices 2>&1 | sed 's/^/    /'
  echo
  echo "| tests on the card | | exit status |"
  echo "|---|---|---|"
  test_row device cuda_test
  test_row layers layers_test --gtest_filter='*cuda*'
  test_row solvers solver_test --gtest_filter='*cuda*'
  test_row specs specs_test --gtest_filter='*cuda*'
  test_row conformance conformance_test --cases=tests/conformance/cases --device=gpu
  echo
  echo "Images per second, with cuDNN where it was found, and training by cuBLAS alone. PyTorch: channels last, products of"
  echo "the same type; AlexNet compiled, the others not, and training alone."
  echo
  echo "| net, batch | mode | FLOAT32 | cuBLAS | PyTorch | TF32 | cuBLAS | PyTorch | BFLOAT16 | cuBLAS | PyTorch |"
  echo "|---|---|---|---|---|---|---|---|---|---|---|"
  local entry mode type
  for entry in "${nets[@]}"; do
    local net=${entry%:*} batch=${entry#*:} compile=
    [[ $net == alexnet ]] && compile=--compile # which takes half a minute each
    for mode in train forward; do
      local file=train_val row="| $net, $batch | $mode |"
      [[ $mode == forward ]] && file=deploy
      for type in FLOAT32 TF32 BFLOAT16; do
        local command=("$build/bin/benchmark_net" $mode "models/$net/$file.prototxt" "$batch")
        row+=" $(images_per_second "$batch" "${command[@]}" gpu $type) |"
        if [[ $mode == train ]]; then
          row+=" $(images_per_second "$batch" "${command[@]}" cublas $type) |"
        else
          row+=" |"
        fi
        if [[ $torch && ($mode == train || $net == alexnet) ]]; then
          row+=" $(images_per_second "$batch" python3 benchmarks/pytorch_nets.py "$net" $mode "$batch" --channels_last --cuda $compile --$type) |"
        else
          row+=" |"
        fi
      done
      echo "$row"
    done
  done
  echo
  echo "PyTorch: ${torch:-none here}."
}

pack_to=
while [[ ${1:-} == --* ]]; do
  case $1 in
    --build=?*) build=${1#*=} ;;
    --pack=?*) pack_to=${1#*=} ;;
    *)
      echo "unknown option $1; see the head of $0" >&2
      exit 2
      ;;
  esac
  shift
done
[[ $# == 0 ]] || nets=("$@")
if [[ $pack_to ]]; then
  pack "$pack_to"
  exit
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[[ -d lib ]] && export LD_LIBRARY_PATH=$PWD/lib:${LD_LIBRARY_PATH:-}
for library in libcublas.so libcudnn.so.9 libnccl.so.2; do
  if folder=$(folder_of $library); then
    export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}:$folder
  fi
done
if ! "$build/bin/doppio" devices | grep '^ *GPU 0: '; then
  "$build/bin/doppio" devices >&2
  echo "no card can be used here, so there is nothing to report" >&2
  exit 1
fi
torch=$(python3 -c 'import torch; print(torch.__version__)' 2>/dev/null || true)
report | tee report.md
