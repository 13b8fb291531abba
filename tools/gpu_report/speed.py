"""Chooses convolution algorithms and compares images per second with PyTorch."""

import csv
import re
import statistics

from process import Process, outcome
from tables import append_rows

TYPES = ["FLOAT32", "TF32", "BFLOAT16"]


class Skip(Exception):
    """A step cannot run on this machine."""


def net_file(run, mode):
    return f"models/{run.options.net}/{'train_val' if mode == 'train' else 'deploy'}.prototxt"


def ours(run, mode, engine, type_):
    return [run.bin / "benchmark_net", mode, net_file(run, mode), run.options.batch, engine, type_]


def theirs(run, mode, type_, *flags):
    return [
        run.options.python,
        "benchmarks/pytorch_nets.py",
        run.options.net,
        mode,
        run.options.batch,
        "--cuda",
        "--channels_last",
        f"--{type_}",
        *flags,
    ]


def message_of(line):
    """Returns a log line without level, time, thread and location."""
    return re.sub(r"^[IWEF]\d+ [\d:.]+ +\d+ [\w./]+:\d+\] ", "", line)


def choose_algorithms(run):
    """Searches need exclusive use of the GPU. Later steps find the results in the cache."""
    lines, rows = [], []
    for type_ in TYPES:
        log = run.log(f"algorithms_{type_}")
        process = Process(
            ours(run, "train", "gpu", type_),
            run.step_left(),
            log,
            {**run.env, "GLOG_v": "1"},
            talks=True,
        )
        process.ask(None)
        seconds = process.ask(run.options.steps)
        end = outcome(process.close())
        found = [message_of(line) for line in log.read_text(errors="replace").splitlines()]
        lines += [type_, *(f"  {line}" for line in found), ""]
        (run.out / "algorithms.txt").write_text("\n".join(lines))
        chosen = [line for line in found if line.startswith("cuDNN's algorithm for ")]
        speed = f"{run.options.steps * run.options.batch / float(seconds):.4g}" if seconds else end
        not_replayed = [
            line
            for line in found
            if re.search("are not (repeated|captured)|cannot be replayed", line)
        ]
        rows.append(
            [
                type_,
                len(chosen),
                sum(bool(re.search(": (none|gemm)", line)) for line in chosen),
                speed,
                "; ".join(dict.fromkeys(not_replayed)) or "yes" if seconds else "unknown",
            ]
        )
        if not seconds:
            run.failed.append("algorithms")
    run.table(
        [
            f"{run.options.net}, batch {run.options.batch}",
            "algorithms",
            "passes left to gemm",
            "images/s",
            "passes are replayed",
        ],
        rows,
    )
    run.write("All that was logged about them is in algorithms.txt.", "")


class Worker:
    """A benchmark process. It reads a number of steps and prints the seconds that they took."""

    def __init__(self, run, mode, type_, column, command):
        self.run, self.mode, self.type, self.column = run, mode, type_, column
        self.python = command[0] == run.options.python
        self.log = run.log(f"speed_{mode}_{type_}_{column.replace(' ', '_')}")
        self.command, self.process, self.speeds = command, None, []

    def start(self):
        env = {**self.run.python_env, **inductor(self.run)} if self.python else self.run.env
        self.process = Process(self.command, self.run.step_left(), self.log, env, talks=True)

    def warm_up(self):
        """Searches for algorithms. Only one worker may use the GPU meanwhile."""
        if self.python:
            self.process.ask("go")
        else:
            self.start()
            self.process.ask(None)
        self.steps = self.run.options.steps
        if seconds := self.process.ask(self.steps):
            self.steps = max(
                1, min(2000, int(self.steps * self.run.options.seconds / float(seconds)))
            )

    def measure(self):
        if seconds := self.process.ask(self.steps):
            self.speeds.append(self.steps * self.run.options.batch / float(seconds))


def inductor(run):
    return {"TORCHINDUCTOR_CACHE_DIR": str(run.work / "inductor")}


def warm_torch_compile(run):
    """Compiles PyTorch's nets during the tests, as it takes longer than all measurements."""
    return [
        Process(
            theirs(run, mode, type_, "--compile"),
            run.left(),
            run.log(f"compile_{mode}_{type_}"),
            {**run.python_env, **inductor(run), "OMP_NUM_THREADS": "2"},
        )
        for mode, type_ in [("train", t) for t in TYPES] + [("forward", t) for t in TYPES[1:]]
    ]


def compare_speed(run):
    """Starts PyTorch's workers together, warms up all workers one by one and measures in turn."""
    columns = {"cuDNN": "gpu", "cuBLAS": "cublas"}
    workers = []
    for mode, type_ in [("train", t) for t in TYPES] + [("forward", t) for t in TYPES[1:]]:
        for column, engine in columns.items():
            if mode == "train" or engine == "gpu":
                workers.append(Worker(run, mode, type_, column, ours(run, mode, engine, type_)))
        if run.torch:
            workers.append(Worker(run, mode, type_, "PyTorch", theirs(run, mode, type_, "--wait")))
            workers.append(
                Worker(
                    run,
                    mode,
                    type_,
                    "PyTorch compiled",
                    theirs(run, mode, type_, "--wait", "--compile"),
                )
            )
    for worker in workers:
        if worker.python:
            worker.start()
    names = list(columns) + (["PyTorch", "PyTorch compiled"] if run.torch else [])
    run.write(
        f"{run.options.net}, batch {run.options.batch}, images per second"
        + (
            f"; PyTorch {run.torch}, channels last."
            if run.torch
            else f". PyTorch: {run.why_no_torch}."
        ),
        "",
    )
    run.write(f"| mode | type | {' | '.join(names)} |", "|---|---|" + "---|" * len(names))
    groups = dict.fromkeys((w.mode, w.type) for w in workers)
    for mode, type_ in groups:
        group = [w for w in workers if (w.mode, w.type) == (mode, type_)]
        for worker in group:
            worker.warm_up()
        for _ in range(run.options.rounds):
            for worker in group:
                worker.measure()
        cells = {
            w.column: (
                f"{statistics.median(w.speeds):.4g}" if w.speeds else outcome(w.process.close())
            )
            for w in group
        }
        run.write(f"| {mode} | {type_} | {' | '.join(cells.get(n, '') for n in names)} |")
        if any(not w.speeds for w in group):
            run.failed.append("speed")
        for worker in group:
            if worker.speeds:
                worker.process.close()
        append_rows(
            run.out / "speed.csv",
            ["net", "batch", "mode", "type", "program", "images/s of the rounds"],
            [
                [
                    run.options.net,
                    run.options.batch,
                    mode,
                    type_,
                    w.column,
                    " ".join(f"{s:.1f}" for s in w.speeds),
                ]
                for w in group
            ],
        )
    run.write("")


def sweep(run):
    """Times AlexNet's convolutions in cuDNN with other layouts and groups, by PyTorch."""
    if not run.torch:
        raise Skip(run.why_no_torch)
    log, out = run.log("sweep"), run.out / "sweep.csv"
    status = Process(
        [run.options.python, "benchmarks/pytorch_sweep.py", run.options.batch, out, "--cuda"],
        run.step_left(),
        log,
        run.python_env,
    ).wait()
    rows = list(csv.reader(open(out))) if out.exists() else []
    run.write(f"{max(0, len(rows) - 1)} rows in {out.name}, {outcome(status)}")
    if status != 0:
        run.failed.append("sweep")
