#!/usr/bin/env bash
# Packs a build with all required libraries for a machine that has only glibc, the NVIDIA driver and CUDA's libraries.
#
#   tools/gpu_report/pack.sh BUILD FILE.tar[.xz]
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly build=$1 archive=$2 most_mib=45
readonly programs=(doppio benchmark_net cuda_test conformance_test layers_test solver_test specs_test)
# Libraries that the target machine provides: glibc's, CUDA's and the driver's.
readonly provided='^(libc|libm|libdl|librt|libpthread|libresolv|ld-linux[^/]*|lib(cuda|cudart|cublas|cublasLt|cudnn|nccl|nvrtc|nvidia-ml))\.so'
# Libraries for image formats and network protocols that the programs never use. With their 100 dependencies they are
# four fifths of the libraries that OpenCV and HDF5 load.
readonly replaced='^lib(gdal|gdcm[A-Za-z]*|curl(-gnutls)?)\.so'

for program in "${programs[@]}"; do
  [[ -x $build/bin/$program ]] || { echo "$build/bin/$program is not built (benchmark_net: -DDOPPIO_BENCHMARKS=ON)" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
readonly root=$work/doppio lib=$work/doppio/lib

declare -A path  # where this machine has a library
while read -r name file; do
  path[$name]=$file
done < <(ldd "${programs[@]/#/$build/bin/}" | awk '$3 ~ "^/" {print $1, $3}')

declare -A stubs
# copy_libraries FILE: copies the libraries that FILE needs, recursively.
copy_libraries() {
  local name
  for name in $(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
    if [[ $name =~ $replaced ]]; then
      stubs[$name]=1
    elif [[ ! $name =~ $provided && ! -e $lib/$name ]]; then
      [[ ${path[$name]:-} ]] || { echo "$1 needs $name, which was not found" >&2; exit 1; }
      cp -L "${path[$name]}" "$lib/$name"
      copy_libraries "${path[$name]}"
    fi
  done
}

# make_stub NAME: builds a library with the functions of NAME that the packed files use. They abort, except GDAL's
# registration of drivers, which OpenCV calls before it decodes its first image. The stub registers none.
make_stub() {
  local name=$1 symbol kind
  nm -D --with-symbol-versions --defined-only "${path[$name]}" | awk '{sub("@@", "@"); print $NF, $(NF - 1)}' | sort >"$work/defined"
  nm -D --with-symbol-versions --undefined-only "$root"/bin/* "$lib"/* | awk '{print $NF}' | sort -u >"$work/undefined"
  join "$work/defined" "$work/undefined" >"$work/wanted"
  awk '{split($1, s, "@")} s[2] {of[s[2]] = of[s[2]] s[1] "; "} END {for (v in of) print v " {" of[v] "};"}' "$work/wanted" >"$work/versions"
  {
    echo '#include <stdio.h>'
    echo '#include <stdlib.h>'
    echo "static void fail(const char* f) { fprintf(stderr, \"%s is not in this pack's stub of $name\\n\", f); abort(); }"
    while read -r symbol kind; do
      [[ $kind == [TWi] ]] || { echo "$symbol of $name is not a function, so a stub cannot replace it" >&2; exit 1; }
      symbol=${symbol%@*}
      case $symbol in
        GDALAllRegister) echo "void $symbol(void) {}" ;;
        *) echo "void $symbol(void) { fail(\"$symbol\"); }" ;;
      esac
    done <"$work/wanted"
  } >"$work/stub.c"
  local script=()
  [[ ! -s $work/versions ]] || script=(-Wl,--version-script="$work/versions")
  gcc -shared -fPIC -Wl,-soname,"$name" "${script[@]}" -o "$lib/$name" "$work/stub.c"
}

mkdir -p "$root/bin" "$lib" "$root/tools" "$root/tests/conformance"
cp "${programs[@]/#/$build/bin/}" "$root/bin/"
for program in "${programs[@]}"; do copy_libraries "$root/bin/$program"; done
find "$root/bin" "$lib" -type f -exec strip {} +
for name in "${!stubs[@]}"; do make_stub "$name"; done
cp -r tools/gpu_report.sh tools/gpu_report "$root/tools/"
cp -r tests/specs "$root/tests/"
cp -r tests/conformance/cases "$root/tests/conformance/"
cp -r LICENSE benchmarks models "$root/"
find "$root" -name __pycache__ -prune -exec rm -r {} +
git rev-parse --short HEAD >"$root/commit"
tools/gpu_report/check_pack.sh "$root"

XZ_DEFAULTS=--threads=0 tar --auto-compress --directory="$root" --create --file="$archive" .
size=$(stat --format=%s "$archive")
echo "$archive: $((size >> 20)) MiB"
if [[ $archive == *.xz && $size -gt $((most_mib << 20)) ]]; then
  echo "that is more than the $most_mib MiB which a pack may have" >&2
  exit 1
fi
