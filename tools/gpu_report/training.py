"""Measures training from a database of random images."""

import os
import re
import statistics

from process import Process, outcome
from speed import Skip, net_file

SIDE = 256  # of the images, in pixels


def start_database(run):
    """Creates a raw LMDB of `--images` images of noise, 64 of which are distinct."""
    folder = run.work / "images"
    folder.mkdir(exist_ok=True)
    files = min(64, run.options.images)
    for i in range(files):
        (folder / f"{i}.ppm").write_bytes(
            f"P6 {SIDE} {SIDE} 255\n".encode() + os.urandom(3 * SIDE * SIDE)
        )
    (folder / "list.txt").write_text(
        "".join(f"{i % files}.ppm {i % 10}\n" for i in range(run.options.images))
    )
    return Process(
        [
            run.bin / "doppio",
            "convert",
            "imageset",
            f"{folder}/",
            folder / "list.txt",
            run.work / "images_lmdb",
        ],
        run.left(),
        run.log("database"),
        run.env,
    )


def database(run):
    """Waits for the database, whose creation may have started during the tests."""
    if not run.database:
        run.database = start_database(run)
    if run.database.wait() != 0:
        raise Skip(
            f"the database was not made: {run.log('database').read_text(errors='replace')[-300:]}"
        )
    return run.work / "images_lmdb"


def training_net(run, type_, prefetch):
    text = open(net_file(run, "train"), encoding="utf-8").read()
    for pattern, replacement in [
        (r'source: *"[^"]*"', f'source: "{database(run)}"'),
        (r'mean_file: *"[^"]*"', "mean_value: 120"),
        (r"batch_size: *\d+", f"batch_size: {run.options.batch} prefetch: {prefetch}"),
    ]:
        text = re.sub(pattern, replacement, text)
    file = run.work / f"{type_}_{prefetch}.prototxt"
    file.write_text(f"compute_type: {type_}\n{text}")
    return file


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
        process = Process(
            [run.bin / "doppio", "train", "--gpu=0", f"--solver={solver}"], seconds, log, run.env
        )
        process.interrupt_after(0.8 * seconds)  # and it says how long it has waited for input
        end = outcome(process.wait())
        text = log.read_text(errors="replace")
        speeds = [float(s) for s in re.findall(r"Iteration \d+ \(([\d.e+-]+) iter/s", text)][1:]
        waits = re.findall(r"Waited for input (\S+) %", text)
        rows.append(
            [
                type_,
                prefetch,
                len(speeds) * run.options.display,
                (
                    f"{statistics.median(speeds) * run.options.batch:.4g}"
                    if speeds
                    else f"no two displays: {end}"
                ),
                waits[-1] if waits else "",
            ]
        )
        if not speeds:
            run.failed.append("training")
    run.write(
        f"`doppio train` from an LMDB of {run.options.images} raw images, batch {run.options.batch}:",
        "",
    )
    run.table(["type", "prefetch", "iterations", "images/s", "waited for input, %"], rows)
