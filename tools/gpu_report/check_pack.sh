#!/usr/bin/env bash
# Checks that every program of an unpacked pack starts on a machine with only glibc and CUDA's libraries: each library
# must be one of these or come from the pack, and all symbols must be defined. Fails otherwise.
#
#   tools/gpu_report/check_pack.sh FOLDER
set -euo pipefail

folder=$(realpath "$1")
readonly folder installed='^(libc|libm|libdl|librt|libpthread|libresolv|ld-linux[^/]*|lib(cudart|cublas|cublasLt))\.so'

failures=0
for program in "$folder"/bin/*; do
  # Like ldd -r, which has no option for the library path.
  traced=$(LD_LIBRARY_PATH=$folder/lib LD_TRACE_LOADED_OBJECTS=1 LD_WARN=yes LD_BIND_NOW=yes "$program" 2>&1) || true
  strange=$(awk -v folder="$folder/lib/" -v installed="$installed" '
    $2 == "=>" && index($3, folder) == 1 {next}  # from the pack
    $2 == "=>" && $1 ~ installed && $3 ~ "^/" {next}
    $1 ~ "ld-linux" || $1 ~ "linux-vdso" {next}
    {print}' <<<"$traced")
  if [[ $strange || $traced != *libc.so* ]]; then
    printf '%s does not start by itself:\n%s\n' "${program##*/}" "${strange:-$traced}" >&2
    failures=$((failures + 1))
  fi
done
[[ $failures == 0 ]] || exit 1
echo "all $(ls "$folder/bin" | wc -l) programs start with the $(ls "$folder/lib" | wc -l) libraries of the pack, glibc and CUDA's"
