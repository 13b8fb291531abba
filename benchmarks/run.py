#!/usr/bin/env python3
"""Measures this machine, then training and inference of the nets in models/, beside PyTorch.

    benchmarks/run.py                          all nets; takes about half an hour
    benchmarks/run.py alexnet lenet --quick    some nets, shorter runs, two rounds
    benchmarks/run.py --torch=PYTHON           with PyTorch, imported by the interpreter PYTHON

Builds the programs, makes databases of noise in build/benchmark_data, and prints Markdown tables, which are also
written to build/benchmark_data/results.md. Doppio and PyTorch run in turn, round by round; each figure is the
median of its rounds.
"""
import argparse
import collections
import datetime
import itertools
import os
import pathlib
import platform
import random
import re
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = ROOT / "build/bin"
WORK = ROOT / "build/benchmark_data"

# Name in models/: batch size and database.
NETS = {
    "alexnet": (128, "color256"),
    "caffenet": (128, "color256"),
    "googlenet": (32, "color256"),
    "vgg16": (8, "color256"),
    "resnet50": (16, "color256"),
    "mobilenet_v1": (32, "color256"),
    "squeezenet": (32, "color256"),
    "cifar10_quick": (100, "color32"),
    "lenet": (64, "gray28"),
}
# Database: images, channels, side, classes.
DATABASES = {"color256": (512, 3, 256, 1000), "color32": (2000, 3, 32, 10),
             "gray28": (2000, 1, 28, 10)}

SOLVER = """train_net: "{net}"
base_lr: 0.0001
lr_policy: "fixed"
momentum: 0.9
weight_decay: 0.0005
display: {steps}
max_iter: {iterations}
snapshot_after_train: false
random_seed: 1
"""

Measured = collections.namedtuple("Measured", "seconds mib")  # of one step; peak memory


def output_of(*command):
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout


def build():
    subprocess.run(["cmake", "--preset", "release", "-DDOPPIO_BENCHMARKS=ON"], cwd=ROOT, check=True,
                   stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", ROOT / "build", "--target", "doppio_tool",
                    "benchmark_machine", "benchmark_net"], check=True, stdout=sys.stderr)


def make_database(name):
    """Images of noise whose brightness depends on the label; always the same ones."""
    lmdb = WORK / f"{name}_lmdb"
    count, channels, side, classes = DATABASES[name]
    if not lmdb.exists():
        noise = random.Random(1)
        images = WORK / f"{name}_images"
        images.mkdir(exist_ok=True)
        lines, kind = [], "P6" if channels == 3 else "P5"
        for i in range(count):
            label = i % classes
            darker = bytes((v + label * 100 // classes) // 2 for v in range(256))
            pixels = noise.randbytes(channels * side * side).translate(darker)
            file = images / f"{i}.ppm"
            file.write_bytes(f"{kind} {side} {side} 255\n".encode() + pixels)
            lines.append(f"{file.name} {label}\n")
        (images / "list.txt").write_text("".join(lines))
        gray = [] if channels == 3 else ["--gray"]
        output_of(BIN / "doppio", "convert", "imageset", *gray, f"{images}/", images / "list.txt",
                  lmdb)
        output_of(BIN / "doppio", "mean", lmdb, WORK / f"{name}_mean.binaryproto")
    return lmdb


class Case:
    """One net, made ready to be measured with one batch size."""

    def __init__(self, name, options):
        self.name, self.options = name, options
        self.batch, database = NETS[name]
        lmdb = make_database(database)
        folder = WORK / name
        folder.mkdir(exist_ok=True)
        self.deploy = self.copy_net("deploy.prototxt", folder, [])
        self.train_net = self.copy_net("train_val.prototxt", folder, [
            (r'source: *"[^"]*"', f'source: "{lmdb}"'),
            (r'mean_file: *"[^"]*"', f'mean_file: "{WORK}/{database}_mean.binaryproto"'),
            (r"batch_size: *\d+", f"batch_size: {self.batch}")])
        self.training_flop = self.count(self.train_net, "TRAIN")
        self.forward_flop = self.count(self.deploy, "TEST")

    def copy_net(self, file, folder, changes):
        text = (ROOT / "models" / self.name / file).read_text()
        for pattern, replacement in changes:
            text = re.sub(pattern, replacement, text)
        if self.options.type == "bf16":
            text = "compute_type: BFLOAT16\n" + text
        (folder / file).write_text(text)
        return folder / file

    def count(self, net, phase):
        """Floating-point operations for one image, in convolutions and inner products alone."""
        multiply_adds, batch = output_of(BIN / "benchmark_net", "count", net, phase).split()
        return 2 * float(multiply_adds) / int(batch)

    def steps(self, flop_of_image, batch):
        """As many as take about two seconds at 100 GFLOP/s, a little longer for small nets."""
        seconds = 0.5 if self.options.quick else 2
        return max(1, min(500, round(seconds * 1e11 / (flop_of_image * batch))))

    def train_ours(self, steps):
        """A run of `doppio train`: `steps` iterations to warm up, and as many timed by its log."""
        solver = self.train_net.parent / "solver.prototxt"
        solver.write_text(SOLVER.format(net=self.train_net, steps=steps, iterations=2 * steps + 1))
        process = subprocess.Popen([BIN / "doppio", "train", f"--solver={solver}"],
                                   stderr=subprocess.PIPE, text=True)
        log = process.stderr.read()
        mib = peak_mib(process)
        found = re.findall(r"Iteration (\d+) \([^)]*?, ([\d.e+-]+)s/", log)
        if not found or int(found[-1][0]) != 2 * steps:
            sys.exit(f"{self.name}: doppio train did not finish:\n{log[-2000:]}")
        return Measured(float(found[-1][1]) / steps, mib)


def peak_mib(process):
    """Waits for the end of a process; its greatest resident memory."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss / 1024


class Worker:
    """A program that prints `ready`, then for each number N that it is sent the seconds of N steps."""

    def __init__(self, *command):
        self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{' '.join(map(str, self.process.args))} ended early")
        return line

    def seconds(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return float(self.read()) / steps

    def close(self):
        self.process.stdin.close()
        return peak_mib(self.process)


def pytorch_worker(case, mode, batch, steps):
    """PyTorch as it is fastest for this net, eager or compiled, in either layout; None without PyTorch."""
    options = case.options
    if not options.torch:
        return None
    bf16 = ["--bf16"] if options.type == "bf16" else []
    best = None
    for flags in itertools.product([[], ["--compile"]], [[], ["--channels_last"]]):
        worker = Worker(options.torch, ROOT / "benchmarks/pytorch_nets.py", case.name, mode, batch,
                        *itertools.chain(*flags), *bf16)
        worker.speed = worker.seconds(steps)
        if best and best.speed < worker.speed:
            worker.close()
        else:
            if best:
                best.close()
            best = worker
    return best


def compare(case, mode, batch, flop_of_image):
    """Medians of ours and of PyTorch, which take turns."""
    steps = case.steps(flop_of_image, batch)
    theirs = pytorch_worker(case, mode, batch, steps)
    forward = None
    if mode == "forward":
        forward = Worker(BIN / "benchmark_net", "forward", case.deploy, batch)
    seconds, their_seconds, mib = [], [], 0
    for _ in range(case.options.rounds):
        if forward:
            seconds.append(forward.seconds(steps))
        else:
            run = case.train_ours(steps)
            seconds.append(run.seconds)
            mib = max(mib, run.mib)
        if theirs:
            their_seconds.append(theirs.seconds(steps))
    ours = Measured(statistics.median(seconds), forward.close() if forward else mib)
    if not theirs:
        return ours, None
    return ours, Measured(statistics.median(their_seconds), theirs.close())


def measure_machine():
    """{("fma" or "bf16", isa, threads): GFLOP/s, ("triad", stores, threads): GB/s} and the ISA in use."""
    figures, isa = {}, "baseline"
    for line in output_of(BIN / "benchmark_machine").splitlines():
        kind, what, *rest = line.split()
        if kind == "isa":
            isa = what
        else:
            figures[kind, what, int(rest[0])] = float(rest[1])
    return figures, isa


def fma_peak(figures):
    return max([v for (kind, *_), v in figures.items() if kind == "fma"], default=float("nan"))


def describe_machine(options, figures, isa):
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    commit = output_of("git", "-C", ROOT, "rev-parse", "--short", "HEAD").strip()
    lines = [f"## {datetime.date.today()}: {os.cpu_count()} cores of {cpu[1] if cpu else 'a CPU'}, "
             f"{isa}, {options.type}", "",
             f"`benchmarks/run.py {' '.join(sys.argv[1:])}` at {commit}, "
             f"{platform.freedesktop_os_release()['PRETTY_NAME']}; medians of {options.rounds} rounds; "
             f"1-minute load before the start {options.load:.1f}.", ""]
    if options.torch:
        lines[2] += " PyTorch " + output_of(options.torch, "-c", "import torch; print(torch.__version__)"
                                            ).strip() + ", eager or compiled, in either layout, whichever is fastest."
    lines += ["| peak | threads | |", "|---|---|---|"]
    for (kind, what, threads), value in figures.items():
        unit = "GB/s" if kind == "triad" else "GFLOP/s"
        lines.append(f"| {kind}, {what} | {threads} | {value:.1f} {unit} |")
    return "\n".join(lines)


HEAD = ("| net | batch | images/s | % of FMA peak | MiB | PyTorch images/s | MiB | ratio |\n"
        "|---|---|---|---|---|---|---|---|")


def row(case, batch, flop, peak, ours, theirs):
    speed = batch / ours.seconds
    cells = [case.name, batch, f"{speed:.4g}", f"{100 * speed * flop / (peak * 1e9):.0f}",
             f"{ours.mib:.0f}"]
    if theirs:
        their_speed = batch / theirs.seconds
        cells += [f"{their_speed:.4g}", f"{theirs.mib:.0f}", f"**{speed / their_speed:.2f}**"]
    else:
        cells += ["", "", ""]
    return "| " + " | ".join(map(str, cells)) + " |"


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", help="nets from " + ", ".join(NETS) + "; default: all")
    parser.add_argument("--quick", action="store_true", help="shorter runs, two rounds")
    parser.add_argument("--rounds", type=int, default=0, help="number of rounds; default 5")
    parser.add_argument("--torch", default="", help="a Python interpreter that can import torch")
    parser.add_argument("--type", choices=["fp32", "bf16"], default="fp32", help="precision of products")
    parser.add_argument("--modes", default="train,forward,one",
                        help="modes from train, forward (of the same batch) and one (forward of one image)")
    options = parser.parse_args()
    unknown = set(options.nets) - set(NETS)
    if unknown:
        parser.error(f"no net {', '.join(unknown)}; there are {', '.join(NETS)}")
    options.nets = options.nets or list(NETS)
    options.rounds = options.rounds or (2 if options.quick else 5)
    options.load = os.getloadavg()[0]
    return options


def main():
    options = parse_options()
    build()
    WORK.mkdir(parents=True, exist_ok=True)
    figures, isa = measure_machine()
    cases = [Case(name, options) for name in options.nets]
    tables = {"train": "### Training", "forward": "### Inference", "one": "### Inference, one image"}
    rows = {mode: [] for mode in tables if mode in options.modes.split(",")}
    for case in cases:
        for mode in rows:
            flop = case.training_flop if mode == "train" else case.forward_flop
            batch = 1 if mode == "one" else case.batch
            result = compare(case, "train" if mode == "train" else "forward", batch, flop)
            rows[mode].append((case, batch, flop, *result))
            print(f"{mode}:", row(case, batch, flop, fma_peak(figures), *result), file=sys.stderr,
                  flush=True)
    # The clock may rise or fall meanwhile: the better of two measurements is the peak.
    for key, value in measure_machine()[0].items():
        figures[key] = max(figures[key], value)
    text = describe_machine(options, figures, isa) + "\n"
    for mode, results in rows.items():
        text += f"\n{tables[mode]}\n\n{HEAD}\n"
        for case, batch, flop, ours, theirs in results:
            text += row(case, batch, flop, fma_peak(figures), ours, theirs) + "\n"
    (WORK / "results.md").write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
