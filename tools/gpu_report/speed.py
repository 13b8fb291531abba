"""Images per second of training and inference, times of kernels, and training from a database."""
import collections
import csv
import os
import re
import shutil
import statistics
import time

from process import Process, outcome

TYPES = ["FLOAT32", "TF32", "BFLOAT16"]


class Skip(Exception):
    """Why a step cannot be run here."""


def net_file(run, mode):
    return f"models/{run.options.net}/{'train_val' if mode == 'train' else 'deploy'}.prototxt"


def ours(run, mode, engine, type_):
    return [run.bin / "benchmark_net", mode, net_file(run, mode), run.options.batch, engine, type_]


def theirs(run, mode, type_, *flags):
    return [run.options.python, "benchmarks/pytorch_nets.py", run.options.net, mode, run.options.batch, "--cuda",
            "--channels_last", f"--{type_}", *flags]


def message_of(line):
    """A line of the log without level, time, thread and place."""
    return re.sub(r"^[IWEF]\d+ [\d:.]+ +\d+ [\w./]+:\d+\] ", "", line)


def choose_algorithms(run):
    """Alone on the GPU, so that the searches are not disturbed; the other steps find their results in the cache."""
    lines, rows = [], []
    for type_ in TYPES:
        log = run.log(f"algorithms_{type_}")
        process = Process(ours(run, "train", "gpu", type_), run.step_left(), log, {**run.env, "GLOG_v": "1"}, talks=True)
        process.ask(None)
        seconds = process.ask(run.options.steps)
        end = outcome(process.close())
        found = [message_of(line) for line in log.read_text(errors="replace").splitlines()]
        lines += [type_, *(f"  {line}" for line in found), ""]
        (run.out / "algorithms.txt").write_text("\n".join(lines))
        chosen = [line for line in found if line.startswith("cuDNN's algorithm for ")]
        speed = f"{run.options.steps * run.options.batch / float(seconds):.4g}" if seconds else end
        not_replayed = [line for line in found if re.search("are not (repeated|captured)|cannot be replayed", line)]
        rows.append([type_, len(chosen), sum(bool(re.search(": (none|gemm)", line)) for line in chosen), speed,
                     "; ".join(dict.fromkeys(not_replayed)) or "yes" if seconds else "unknown"])
        if not seconds:
            run.failed.append("algorithms")
    run.table([f"{run.options.net}, batch {run.options.batch}", "algorithms", "passes left to gemm", "images/s",
               "passes are replayed"], rows)
    run.write("All that was logged about them is in algorithms.txt.", "")


class Worker:
    """A benchmark that answers a number of steps with the seconds that they took."""

    def __init__(self, run, mode, type_, column, command):
        self.run, self.mode, self.type, self.column = run, mode, type_, column
        self.python = command[0] == run.options.python
        self.log = run.log(f"speed_{mode}_{type_}_{column.replace(' ', '_')}")
        self.command, self.process, self.speeds = command, None, []

    def start(self):
        env = {**self.run.python_env, **inductor(self.run)} if self.python else self.run.env
        self.process = Process(self.command, self.run.step_left(), self.log, env, talks=True)

    def warm_up(self):
        """Takes the GPU for its searches: one worker at a time."""
        if self.python:
            self.process.ask("go")
        else:
            self.start()
            self.process.ask(None)
        self.steps = self.run.options.steps
        if seconds := self.process.ask(self.steps):
            self.steps = max(1, min(2000, int(self.steps * self.run.options.seconds / float(seconds))))

    def measure(self):
        if seconds := self.process.ask(self.steps):
            self.speeds.append(self.steps * self.run.options.batch / float(seconds))


def inductor(run):
    return {"TORCHINDUCTOR_CACHE_DIR": str(run.work / "inductor")}


def warm_torch_compile(run):
    """Compiles PyTorch's nets beside the tests, for torch.compile takes longer than all measurements."""
    return [Process(theirs(run, mode, type_, "--compile"), run.left(), run.log(f"compile_{mode}_{type_}"),
                    {**run.python_env, **inductor(run), "OMP_NUM_THREADS": "2"})
            for mode, type_ in [("train", t) for t in TYPES] + [("forward", t) for t in TYPES[1:]]]


def compare_speed(run):
    """All workers are started, warmed up one after the other, and then asked in turn, so that no one else is measured."""
    columns = {"cuDNN": "gpu", "cuBLAS": "cublas"}
    workers = []
    for mode, type_ in [("train", t) for t in TYPES] + [("forward", t) for t in TYPES[1:]]:
        for column, engine in columns.items():
            if mode == "train" or engine == "gpu":
                workers.append(Worker(run, mode, type_, column, ours(run, mode, engine, type_)))
        if run.torch:
            workers.append(Worker(run, mode, type_, "PyTorch", theirs(run, mode, type_, "--wait")))
            workers.append(Worker(run, mode, type_, "PyTorch compiled", theirs(run, mode, type_, "--wait", "--compile")))
    for worker in workers:
        if worker.python:
            worker.start()
    names = list(columns) + (["PyTorch", "PyTorch compiled"] if run.torch else [])
    run.write(f"{run.options.net}, batch {run.options.batch}, images per second"
              + (f"; PyTorch {run.torch}, channels last." if run.torch else f". PyTorch: {run.why_no_torch}."), "")
    run.write(f"| mode | type | {' | '.join(names)} |", "|---|---|" + "---|" * len(names))
    groups = dict.fromkeys((w.mode, w.type) for w in workers)
    for mode, type_ in groups:
        group = [w for w in workers if (w.mode, w.type) == (mode, type_)]
        for worker in group:
            worker.warm_up()
        for _ in range(run.options.rounds):
            for worker in group:
                worker.measure()
        cells = {w.column: f"{statistics.median(w.speeds):.4g}" if w.speeds else outcome(w.process.close()) for w in group}
        run.write(f"| {mode} | {type_} | {' | '.join(cells.get(n, '') for n in names)} |")
        if any(not w.speeds for w in group):
            run.failed.append("speed")
        for worker in group:
            if worker.speeds:
                worker.process.close()
        append_rows(run.out / "speed.csv", ["net", "batch", "mode", "type", "program", "images/s of the rounds"],
                    [[run.options.net, run.options.batch, mode, type_, w.column, " ".join(f"{s:.1f}" for s in w.speeds)]
                     for w in group])
    run.write("")


def append_rows(file, head, rows):
    new = not file.exists()
    with open(file, "a", newline="") as to:
        csv.writer(to).writerows([head] * new + rows)


PPM = 256  # height and width of the images


def start_database(run):
    """A raw LMDB of `--images` images, of which 64 are different: noise, as incompressible as it gets."""
    folder = run.work / "images"
    folder.mkdir(exist_ok=True)
    files = min(64, run.options.images)
    for i in range(files):
        (folder / f"{i}.ppm").write_bytes(f"P6 {PPM} {PPM} 255\n".encode() + os.urandom(3 * PPM * PPM))
    (folder / "list.txt").write_text("".join(f"{i % files}.ppm {i % 10}\n" for i in range(run.options.images)))
    return Process([run.bin / "doppio", "convert", "imageset", f"{folder}/", folder / "list.txt", run.work / "images_lmdb"],
                   run.left(), run.log("database"), run.env)


def database(run):
    """Waits for the database, which may have been started beside the tests."""
    if not run.database:
        run.database = start_database(run)
    if run.database.wait() != 0:
        raise Skip(f"the database was not made: {run.log('database').read_text(errors='replace')[-300:]}")
    return run.work / "images_lmdb"


def training_net(run, type_, prefetch):
    text = open(net_file(run, "train"), encoding="utf-8").read()
    for pattern, replacement in [(r'source: *"[^"]*"', f'source: "{database(run)}"'), (r'mean_file: *"[^"]*"', "mean_value: 120"),
                                 (r"batch_size: *\d+", f"batch_size: {run.options.batch} prefetch: {prefetch}")]:
        text = re.sub(pattern, replacement, text)
    file = run.work / f"{type_}_{prefetch}.prototxt"
    file.write_text(f"compute_type: {type_}\n{text}")
    return file


def time_kernels(run):
    """Kernels by Nsight Compute, or else Nsight Systems; layers by our own command, which needs neither."""
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
        run.table(head, [[*k[:2], k[2][:60].replace("|", "/"), k[3], f"{k[4]:.0f}", *k[5:]]
                         for t in TYPES for k in [k for k in kernels if k[0] == t][:12]])
    time_layers(run)


def time_layers(run):
    rows = []
    for type_ in reversed(TYPES):
        log = run.log(f"time_{type_}")
        status = Process([run.bin / "doppio", "time", "--gpu=0", f"--iterations={run.options.steps}",
                          f"--model={training_net(run, type_, 4)}"], run.step_left(), log, run.env).wait()
        found = re.findall(r"\] +(\S+)\t(forward|backward): (\S+) ms\.(?: \((\S+) GFLOP/s\))?", log.read_text(errors="replace"))
        rows += [[type_, *row] for row in found]
        if status != 0 or not found:
            run.write(f"* doppio time, {type_}: {outcome(status)}")
            run.failed.append("kernels")
    head = ["type", "layer", "pass", "ms", "GFLOP/s"]
    append_rows(run.out / "layers.csv", head, rows)
    run.write("The layers that take longest, started one by one, by `doppio time` (all are in layers.csv):", "")
    run.table(head, [row for t in TYPES for row in sorted((r for r in rows if r[0] == t), key=lambda r: -float(r[3]))[:8]])


def profile(run, type_, prefix, seconds):
    """What a profiler of some steps of training prints; None if it fails."""
    process = Process([*prefix, *ours(run, "train", "gpu", type_)], seconds, run.log(f"{prefix[0]}_{type_}"), run.env, talks=True)
    process.ask(None)
    printed = process.finish("8\n")
    run.log(f"{prefix[0]}_{type_}_table").write_text(printed)
    return printed if process.wait() == 0 else None


NCU = ["ncu", "--clock-control=none", "--cache-control=none", "--csv", "--print-units=base", "--launch-skip=600",
       "--launch-count=250"]  # at least one pass, after the first two, which are started kernel by kernel
METRICS = ["gpu__time_duration.sum", "dram__bytes.sum", "l1tex__data_pipe_lsu_wavefronts.sum",
           "sm__throughput.avg.pct_of_peak_sustained_elapsed"]


def by_ncu(run, type_, seconds):
    """[[kernel, calls, microseconds, megabytes, wavefronts, percent]]"""
    printed = profile(run, type_, [*NCU, f"--metrics={','.join(METRICS)}"], seconds) or ""
    values = collections.defaultdict(lambda: collections.defaultdict(list))
    for row in csv.DictReader(line for line in printed.splitlines() if line.startswith('"')):
        values[row["Kernel Name"]][row["Metric Name"]].append(float(row["Metric Value"].replace(",", "")))
    return [[kernel, len(m[METRICS[0]]), sum(m[METRICS[0]]) / 1e3, f"{sum(m[METRICS[1]]) / 1e6:.1f}", f"{sum(m[METRICS[2]]):.0f}",
             f"{statistics.mean(m[METRICS[3]] or [0]):.0f}"] for kernel, m in values.items()]


def by_nsys(run, type_, seconds):
    """The same without what it does not measure."""
    report = run.work / f"nsys_{type_}"
    if profile(run, type_, ["nsys", "profile", "--cuda-graph-trace=node", "-o", report], seconds) is None:
        return []
    table = run.log(f"nsys_{type_}_summary")
    Process(["nsys", "stats", "--report=cuda_gpu_kern_sum", "--format=csv", f"{report}.nsys-rep"], run.step_left(), table).wait()
    lines = table.read_text(errors="replace").splitlines()
    start = next((i for i, line in enumerate(lines) if "Total Time (ns)" in line), len(lines))
    return [[row["Name"], int(row["Instances"]), float(row["Total Time (ns)"]) / 1e3, "", "", ""]
            for row in csv.DictReader(lines[start:]) if row["Name"]]


def sweep(run):
    """What cuDNN offers for AlexNet's convolutions in other layouts and groups, by PyTorch."""
    if not run.torch:
        raise Skip(run.why_no_torch)
    log, out = run.log("sweep"), run.out / "sweep.csv"
    status = Process([run.options.python, "benchmarks/pytorch_sweep.py", run.options.batch, out, "--cuda"],
                     run.step_left(), log, run.python_env).wait()
    rows = list(csv.reader(open(out))) if out.exists() else []
    run.write(f"{max(0, len(rows) - 1)} rows in {out.name}, {outcome(status)}")
    if status != 0:
        run.failed.append("sweep")


SOLVER = """train_net: "{net}"
base_lr: 0.0001
lr_policy: "fixed"
momentum: 0.9
weight_decay: 0.0005
display: {display}
max_iter: 1000000
snapshot_after_train: false
random_seed: 1
"""


def train_from_database(run):
    rows = []
    cases = [(type_, prefetch) for type_ in ("BFLOAT16", "TF32") for prefetch in (1, 4)]
    for i, (type_, prefetch) in enumerate(cases):
        net = training_net(run, type_, prefetch)
        solver = net.with_suffix(".solver")
        solver.write_text(SOLVER.format(net=net, display=run.options.display))
        log = run.log(f"training_{type_}_{prefetch}")
        seconds = run.step_left() / (len(cases) - i)
        process = Process([run.bin / "doppio", "train", "--gpu=0", f"--solver={solver}"], seconds, log, run.env)
        process.interrupt_after(0.8 * seconds)  # and it says how long it has waited for input
        end = outcome(process.wait())
        text = log.read_text(errors="replace")
        speeds = [float(s) for s in re.findall(r"Iteration \d+ \(([\d.e+-]+) iter/s", text)][1:]
        waits = re.findall(r"Waited for input (\S+) %", text)
        rows.append([type_, prefetch, len(speeds) * run.options.display,
                     f"{statistics.median(speeds) * run.options.batch:.4g}" if speeds else f"no two displays: {end}",
                     waits[-1] if waits else ""])
        if not speeds:
            run.failed.append("training")
    run.write(f"`doppio train` from an LMDB of {run.options.images} raw images of 256 x 256, batch {run.options.batch}:", "")
    run.table(["type", "prefetch", "iterations", "images/s", "waited for input, %"], rows)


def check_memory(run):
    tool = shutil.which("compute-sanitizer")
    if not tool:
        raise Skip("compute-sanitizer is not on the PATH")
    log = run.log("memcheck")
    status = Process([tool, "--tool=memcheck", "--error-exitcode=9", run.bin / "cuda_test",
                      f"--gtest_filter={run.options.memcheck}"], run.step_left(), log, run.env).wait()
    lines = [line for line in log.read_text(errors="replace").splitlines() if "ERROR SUMMARY" in line or "PASSED" in line]
    run.write(*(f"* {line.strip('= ')}" for line in lines), f"* {outcome(status)}")
    if status != 0:
        run.failed.append("memcheck")
