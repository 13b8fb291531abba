#!/usr/bin/env bash
# Packs a build for emulated GPUs, and makes a short report with what is unpacked from it.
# Usage: gpu_report_test.sh SOURCE_FOLDER BUILD_FOLDER
set -euo pipefail
cd "$1"
build=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
  echo "FAIL $*"
  exit 1
}
# status COMMAND...: its exit status; its output goes to $work/output.
status() {
  local status=0
  "$@" >"$work/output" 2>&1 || status=$?
  echo $status
}

tools/gpu_report.sh --build="$build" --pack="$work/pack.tar"
mkdir "$work/pack"
tar --directory="$work/pack" --extract --file="$work/pack.tar"
pack=$work/pack/tools

# A report in which every step that needs no other tool has something to say.
small=(--net=fashion_alexnet --batch=2 --images=8 --steps=1 --rounds=1 --seconds=0.1 --display=1 --slack=5 --python=none)
got=$(OMP_NUM_THREADS=1 status "$pack/gpu_report.sh" "${small[@]}" --out="$work/report" \
  --only='versions,algorithms,tests/*absval*cuda*:DeviceTest.*,speed,kernels,sweep')
cat "$work/output"
[[ $got == 0 ]] || fail "the report ended with status $got"
for file in report.md tests.csv algorithms.txt speed.csv layers.csv logs.tar.gz; do
  [[ -s $work/report/$file ]] || fail "no $file"
done
grep -q '^  cuDNN.s algorithm for forward' "$work/report/algorithms.txt" || fail "no algorithm is listed"
grep -q '^| specs_test | [1-9][0-9]* | 0 | 0 | 0 | 0 |' "$work/report/report.md" || fail "the specs did not pass"
grep -q '^| train | TF32 | [0-9]' "$work/report/report.md" || fail "no speed"
grep -q '^Skipped: not wanted (--python=none)' "$work/report/report.md" || fail "the sweep is not said to be skipped"

# What failed, crashed or was not run is run again, and nothing else.
mkdir "$work/earlier"
cat >"$work/earlier/tests.csv" <<'END'
program,name,result,seconds,message
cuda_test,DeviceTest.GpusAreListed,failed,0,
cuda_test,DeviceTest.TwoContextsOnOneGpuDoNotMeet,passed,0,
conformance,nets/split_inplace_chain,not run,0,
END
got=$(status "$pack/gpu_report.sh" --python=none --out="$work/again" --rerun="$work/earlier")
[[ $got == 0 ]] || fail "the repetition ended with status $got: $(<"$work/output")"
[[ $(cut -d, -f1,2 "$work/again/tests.csv" | sort | tr -d '\r' | tr '\n' ' ') == 'conformance,nets/split_inplace_chain cuda_test,DeviceTest.GpusAreListed program,name ' ]] ||
  fail "not what was to be repeated: $(<"$work/again/tests.csv")"

# A library that the pack lacks is noticed, though this machine has it.
mv "$work/pack/lib/libglog.so.1" "$work"
[[ $(status "$pack/gpu_report/check_pack.sh" "$work/pack") == 1 ]] || fail "a missing library was not noticed"
grep -q 'libglog.so.1 => /' "$work/output" || fail "the missing library is not named: $(<"$work/output")"
mv "$work/libglog.so.1" "$work/pack/lib/"

# A program that cannot start ends the report at once, which says why.
gcc -shared -Wl,-soname,libelsewhere.so.1 -o "$work/libelsewhere.so" -x c /dev/null
gcc -Wl,--no-as-needed -o "$work/pack/bin/solver_test" -x c - -x none "$work/libelsewhere.so" <<<'int main(void) { return 0; }'
got=$(status "$pack/gpu_report.sh" --python=none --out="$work/none")
[[ $got == 3 ]] || fail "the report ended with status $got without a library"
grep -q 'solver_test needs libelsewhere.so.1:' "$work/none/report.md" || fail "the reason is not given: $(<"$work/none/report.md")"

# It starts once a wheel has the library, and Python is run without our libraries.
mkdir -p "$work/site/nvidia/cu13/lib"
cp "$work/libelsewhere.so" "$work/site/nvidia/cu13/lib/libelsewhere.so.1"
printf '%s\n' '#!/bin/sh' "echo \"\$LD_LIBRARY_PATH\" >>$work/python_path" 'exec python3 "$@"' >"$work/python"
chmod +x "$work/python"
got=$(PYTHONPATH=$work/site status "$pack/gpu_report.sh" --python="$work/python" --only=versions --out="$work/wheels")
[[ $got == 0 ]] || fail "the report ended with status $got with the library of a wheel: $(<"$work/output")"
[[ -s $work/python_path ]] || fail "PyTorch was not looked for"
! grep -q "$work/pack/lib" "$work/python_path" || fail "Python got our libraries: $(<"$work/python_path")"
