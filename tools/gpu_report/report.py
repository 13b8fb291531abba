#!/usr/bin/env python3
"""Tests and measures the programs of a CUDA build on this machine's first GPU, in order of value.

    tools/gpu_report.sh                              everything, in at most eight minutes
    tools/gpu_report.sh --rerun=FOLDER               only the tests that did not pass in FOLDER's report
    tools/gpu_report.sh --only=tests/*pooling*cuda*  only some tests
    tools/gpu_report.sh --only=speed,training        only some steps

Writes report.md, tables, algorithms.txt and logs.tar.gz into --out while it runs, so that a run
that is killed leaves the results so far. Exit status: 0, 1 if a test or a step failed, 2 for wrong
options, 3 if a program cannot start here.
"""

import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import traceback

import kernels
import libraries
import process
import speed
import tests
import training
from speed import Skip

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAMS = [
    "doppio",
    "benchmark_net",
    "cuda_test",
    "conformance_test",
    "layers_test",
    "solver_test",
    "specs_test",
]


def show_versions(run):
    run.write(*(f"    {line}" for line in run.devices.splitlines()))
    run.write(
        "",
        *(f"* {line}" for line in libraries.versions(run.found)),
        f"* PyTorch: {run.torch or run.why_no_torch}",
    )
    if not shutil.which("nvidia-smi"):
        return run.write("* nvidia-smi is not on the PATH")
    log = run.log("nvidia-smi")
    process.Process(["nvidia-smi", "-q"], run.step_left(), log).wait()
    keys = (
        "Driver Version",
        "CUDA Version",
        "Product Name",
        "Persistence Mode",
        "Max Clocks",
        "SM  ",
        "Current Power Limit",
    )
    lines = [
        " ".join(line.split())
        for line in log.read_text(errors="replace").splitlines()
        if line.strip().startswith(keys)
    ]
    run.write(*(f"* {line}" for line in dict.fromkeys(lines)))


def run_tests(run):
    """Runs the tests while PyTorch compiles and the database for later steps is created."""
    beside = speed.warm_torch_compile(run) if run.torch and run.does("speed") else []
    if run.does("kernels") or run.does("training"):
        run.database = training.start_database(run)
    tests.run_tests(run)
    for compiling in beside:
        compiling.kill()
        compiling.wait()


LIMIT = 480  # seconds of a report
# Name: title, maximum seconds, function.
STEPS = {
    "versions": ("Versions", 15, show_versions),
    "algorithms": ("cuDNN's algorithms", 45, speed.choose_algorithms),
    "tests": ("Tests", 90, run_tests),
    "speed": ("Speed", 150, speed.compare_speed),
    "kernels": ("Kernels and layers", 60, kernels.time_kernels),
    "sweep": ("Convolutions in other layouts", 25, speed.sweep),
    "training": ("Training from a database", 45, training.train_from_database),
    "memcheck": ("Memory checker", 30, kernels.check_memory),
}


class Run:
    """Paths and remaining time of a report."""

    def __init__(self, options):
        self.options, self.begin, self.failed, self.database = options, time.monotonic(), [], None
        self.only, self.filter = parse_only(options.only)
        self.out = pathlib.Path(options.out).absolute()
        self.out.mkdir(parents=True, exist_ok=True)
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="gpu_report_"))
        (self.work / "logs").mkdir()
        packed = (ROOT / "commit").exists()
        self.bin = pathlib.Path(options.build or (ROOT if packed else ROOT / "build-cuda")) / "bin"
        for name in (
            "report.md",
            "algorithms.txt",
            "speed.csv",
            "kernels.csv",
            "layers.csv",
            "sweep.csv",
        ):
            (self.out / name).unlink(missing_ok=True)  # of an earlier run

    def left(self):
        return LIMIT * self.options.slack - (time.monotonic() - self.begin)

    def step_left(self):
        return min(self.step_end - time.monotonic(), self.left())

    def does(self, step):
        return step in self.only

    def log(self, name):
        return self.work / "logs" / f"{name}.log"

    def write(self, *lines):
        text = "".join(f"{line}\n" for line in lines)
        with open(self.out / "report.md", "a", encoding="utf-8") as report:
            report.write(text)
        print(text, end="", flush=True)

    def table(self, head, rows):
        self.write(f"| {' | '.join(head)} |", "|---" * len(head) + "|")
        self.write(*(f"| {' | '.join(map(str, row))} |" for row in rows), "")

    def keep_logs(self):
        partial = self.work / "logs.tar.gz"
        with tarfile.open(partial, "w:gz") as archive:
            archive.add(self.work / "logs", "logs")
        shutil.copy(partial, self.out / "logs.tar.gz")

    def start(self):
        """Ends the run at once if a program cannot be started or there is no GPU."""
        programs = [self.bin / name for name in PROGRAMS]
        absent = [str(p) for p in programs if not p.exists()]
        if absent:
            raise libraries.Missing(
                f"{', '.join(absent)}: not built (-DDOPPIO_BENCHMARKS=ON makes benchmark_net)"
            )
        self.python_env = dict(os.environ)
        wheels = sys.executable if self.options.python == "none" else self.options.python
        self.env, self.found = libraries.environment(programs, ROOT / "lib", wheels)
        self.env["XDG_CACHE_HOME"] = str(self.work / "cache")
        asked = subprocess.run(
            [self.bin / "doppio", "devices"],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.devices = asked.stdout + asked.stderr
        if "GPU 0: " not in asked.stdout:
            raise libraries.Missing(f"no GPU can be used here:\n{self.devices}")
        self.ask_for_torch()

    def ask_for_torch(self):
        self.torch, self.why_no_torch = None, "not wanted (--python=none)"
        if self.options.python == "none":
            return
        try:
            asked = subprocess.run(
                [
                    self.options.python,
                    "-c",
                    "import torch; print(torch.__version__, torch.cuda.is_available())",
                ],
                env=self.python_env,
                capture_output=True,
                text=True,
                timeout=60,
            )
            version, _, usable = asked.stdout.strip().partition(" ")
            self.torch = version if usable == "True" else None
            self.why_no_torch = (
                f"{version} sees no GPU" if version else f"`{self.options.python}` cannot import it"
            )
        except (OSError, subprocess.TimeoutExpired) as e:
            self.why_no_torch = str(e)


def parse_only(only):
    """Returns the steps in --only, and the filter for tests."""
    steps = [item.split("/")[0] for item in only.split(",")] if only else list(STEPS)
    filters = [item.removeprefix("tests/") for item in only.split(",") if item.startswith("tests/")]
    return steps, ":".join(filters)


def parse_options():
    parser = argparse.ArgumentParser(
        prog="tools/gpu_report.sh",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--build", help="build folder; default: that of the pack, or build-cuda")
    parser.add_argument(
        "--out", default="gpu_report", help="folder for the report; default gpu_report"
    )
    parser.add_argument(
        "--only",
        default="",
        help=f"steps to run, from {','.join(STEPS)}; tests/FILTER selects tests as GoogleTest",
    )
    parser.add_argument(
        "--rerun", default="", help="folder of an earlier report, whose failed tests are run again"
    )
    parser.add_argument(
        "--slack",
        type=float,
        default=1,
        help="factor on all time limits, for emulated GPUs; default 1",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=max(2, os.cpu_count() or 2),
        help="number of test programs that run in parallel; default: one per core",
    )
    parser.add_argument(
        "--python", default="python3", help="Python interpreter with PyTorch; none: no PyTorch"
    )
    parser.add_argument(
        "--net",
        default="alexnet",
        help="net of models/ that crops color images; default alexnet",
    )
    parser.add_argument("--batch", type=int, default=256, help="images per batch; default 256")
    parser.add_argument(
        "--images", type=int, default=4096, help="images in the database; default 4096"
    )
    parser.add_argument(
        "--steps", type=int, default=5, help="number of steps in the first measurement; default 5"
    )
    parser.add_argument(
        "--seconds", type=float, default=1.5, help="length of all other measurements; default 1.5"
    )
    parser.add_argument("--rounds", type=int, default=2, help="number of measurements; default 2")
    parser.add_argument(
        "--display",
        type=int,
        default=50,
        help="training iterations between log lines; default 50",
    )
    parser.add_argument(
        "--memcheck", default="KernelTest*:GpuMaps*", help="tests to run in the memory checker"
    )
    options = parser.parse_args()
    if options.rerun:
        options.only = "tests"
        if not pathlib.Path(options.rerun, "tests.csv").exists():
            parser.error(f"{options.rerun}/tests.csv is missing")
        options.rerun = os.path.abspath(options.rerun)
    options.out = os.path.abspath(options.out)
    unknown = set(parse_only(options.only)[0]) - set(STEPS)
    if unknown:
        parser.error(f"no step {', '.join(unknown)}; there are {', '.join(STEPS)}")
    if options.build:
        options.build = os.path.abspath(options.build)
    return options


def commit():
    if (ROOT / "commit").exists():
        return (ROOT / "commit").read_text().strip()
    return subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    ).stdout.strip()


def main():
    options = parse_options()
    os.chdir(ROOT)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    run = Run(options)
    try:
        run.write(f"# Doppio {commit()} on a GPU, {time.strftime('%Y-%m-%d', time.gmtime())}", "")
        try:
            run.start()
        except libraries.Missing as e:
            run.write(f"Nothing was run: {e}")
            return 3
        for name in filter(run.does, STEPS):
            title, seconds, step = STEPS[name]
            begin = time.monotonic()
            run.step_end = begin + seconds * options.slack
            run.write(f"## {title}", "")
            if run.left() < 5:
                run.write(f"Skipped: the {LIMIT * options.slack:.0f} s are over.", "")
                continue
            limit = run.step_left()
            try:
                step(run)
            except Skip as e:
                run.write(f"Skipped: {e}.")
            except Exception:  # the next steps may still tell something
                run.write("Failed:", "", *(f"    {l}" for l in traceback.format_exc().splitlines()))
                run.failed.append(name)
            run.write("", f"({time.monotonic() - begin:.0f} of at most {limit:.0f} s)", "")
            run.keep_logs()
        failed = ", ".join(dict.fromkeys(run.failed))
        run.write(
            f"Took {time.monotonic() - run.begin:.0f} s. "
            + (f"Failed: {failed}." if failed else "Nothing failed.")
        )
        return 1 if failed else 0
    finally:
        process.kill_all()
        run.keep_logs()
        shutil.rmtree(run.work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
