"""Measures kernels and layers, and runs the memory checker."""

import collections
import csv
import re
import shutil
import statistics
import time

from process import Process, outcome
from speed import TYPES, Skip, ours
from tables import append_rows
from training import training_net


def time_kernels(run):
    """Times kernels by Nsight Compute or Nsight Systems, and layers by `doppio time`."""
    profilers = [tool for tool in ("ncu", "nsys") if shutil.which(tool)]
    if not profilers:
        run.write("Neither ncu nor nsys is on the PATH, so kernels are not timed one by one.", "")
    kernels = []
    for i, type_ in enumerate(reversed(TYPES)) if profilers else []:
        end = time.monotonic() + 0.7 * run.step_left() / (len(TYPES) - i)
        for tool in profilers:
            if found := {"ncu": by_ncu, "nsys": by_nsys}[tool](run, type_, end - time.monotonic()):
                kernels += [[type_, tool, *row] for row in sorted(found, key=lambda row: -row[2])]
                break
        else:
            run.write(f"* {type_}: no times of kernels by {' or '.join(profilers)}; see the logs")
    if kernels:
        head = ["type", "by", "kernel", "calls", "us together", "DRAM MB", "L1 wavefronts", "SM %"]
        append_rows(run.out / "kernels.csv", head, kernels)
        run.write("The kernels that take longest (all are in kernels.csv):", "")
        run.table(
            head,
            [
                [*k[:2], k[2][:60].replace("|", "/"), k[3], f"{k[4]:.0f}", *k[5:]]
                for t in TYPES
                for k in [k for k in kernels if k[0] == t][:12]
            ],
        )
    time_layers(run)


def time_layers(run):
    rows = []
    for type_ in reversed(TYPES):
        log = run.log(f"time_{type_}")
        status = Process(
            [
                run.bin / "doppio",
                "time",
                "--gpu=0",
                f"--iterations={run.options.steps}",
                f"--model={training_net(run, type_, 4)}",
            ],
            run.step_left(),
            log,
            run.env,
        ).wait()
        found = re.findall(
            r"\] +(\S+)\t(forward|backward): (\S+) ms\.(?: \((\S+) GFLOP/s\))?",
            log.read_text(errors="replace"),
        )
        rows += [[type_, *row] for row in found]
        if status != 0 or not found:
            run.write(f"* doppio time, {type_}: {outcome(status)}")
            run.failed.append("kernels")
    head = ["type", "layer", "pass", "ms", "GFLOP/s"]
    append_rows(run.out / "layers.csv", head, rows)
    run.write(
        "The layers that take longest, one by one, by `doppio time` (all are in layers.csv):", ""
    )
    run.table(
        head,
        [
            row
            for t in TYPES
            for row in sorted((r for r in rows if r[0] == t), key=lambda r: -float(r[3]))[:8]
        ],
    )


def profile(run, type_, prefix, seconds):
    """Returns the output of a profiler on some training steps, or None if it fails."""
    process = Process(
        [*prefix, *ours(run, "train", "gpu", type_)],
        seconds,
        run.log(f"{prefix[0]}_{type_}"),
        run.env,
        talks=True,
    )
    process.ask(None)
    printed = process.finish("8\n")
    run.log(f"{prefix[0]}_{type_}_table").write_text(printed)
    return printed if process.wait() == 0 else None


NCU = [
    "ncu",
    "--clock-control=none",
    "--cache-control=none",
    "--csv",
    "--print-units=base",
    "--launch-skip=600",
    "--launch-count=250",
]  # at least one pass, after the first two, which are started kernel by kernel
METRICS = [
    "gpu__time_duration.sum",
    "dram__bytes.sum",
    "l1tex__data_pipe_lsu_wavefronts.sum",
    "sm__throughput.avg.pct_of_peak_sustained_elapsed",
]


def by_ncu(run, type_, seconds):
    """Returns [[kernel, calls, microseconds, megabytes, wavefronts, percent]]."""
    printed = profile(run, type_, [*NCU, f"--metrics={','.join(METRICS)}"], seconds) or ""
    values = collections.defaultdict(lambda: collections.defaultdict(list))
    for row in csv.DictReader(line for line in printed.splitlines() if line.startswith('"')):
        values[row["Kernel Name"]][row["Metric Name"]].append(
            float(row["Metric Value"].replace(",", ""))
        )
    return [
        [
            kernel,
            len(m[METRICS[0]]),
            sum(m[METRICS[0]]) / 1e3,
            f"{sum(m[METRICS[1]]) / 1e6:.1f}",
            f"{sum(m[METRICS[2]]):.0f}",
            f"{statistics.mean(m[METRICS[3]] or [0]):.0f}",
        ]
        for kernel, m in values.items()
    ]


def by_nsys(run, type_, seconds):
    """Returns the same columns; those that Nsight Systems does not measure are empty."""
    report = run.work / f"nsys_{type_}"
    if (
        profile(run, type_, ["nsys", "profile", "--cuda-graph-trace=node", "-o", report], seconds)
        is None
    ):
        return []
    table = run.log(f"nsys_{type_}_summary")
    Process(
        ["nsys", "stats", "--report=cuda_gpu_kern_sum", "--format=csv", f"{report}.nsys-rep"],
        run.step_left(),
        table,
    ).wait()
    lines = table.read_text(errors="replace").splitlines()
    start = next((i for i, line in enumerate(lines) if "Total Time (ns)" in line), len(lines))
    return [
        [row["Name"], int(row["Instances"]), float(row["Total Time (ns)"]) / 1e3, "", "", ""]
        for row in csv.DictReader(lines[start:])
        if row["Name"]
    ]


def check_memory(run):
    tool = shutil.which("compute-sanitizer")
    if not tool:
        raise Skip("compute-sanitizer is not on the PATH")
    log = run.log("memcheck")
    status = Process(
        [
            tool,
            "--tool=memcheck",
            "--error-exitcode=9",
            run.bin / "cuda_test",
            f"--gtest_filter={run.options.memcheck}",
        ],
        run.step_left(),
        log,
        run.env,
    ).wait()
    lines = [
        line
        for line in log.read_text(errors="replace").splitlines()
        if "ERROR SUMMARY" in line or "PASSED" in line
    ]
    run.write(*(f"* {line.strip('= ')}" for line in lines), f"* {outcome(status)}")
    if status != 0:
        run.failed.append("memcheck")
