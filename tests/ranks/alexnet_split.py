#!/usr/bin/env python3
"""Trains models/alexnet_paper whole, in two parts on two processes, and in two copies of two parts on four.

    tests/ranks/alexnet_split.py [--iterations=10] [--batch=128] [--base_lr=0.0001]

Prints by how much the weights differ from the whole net's, relative to the largest of the blob as well, whether the
rest of the snapshots is equal, and what each rank sends in an iteration. For comparison, the whole net is trained with
--reference, too, which only rounds differently. Images are noise, with which such differences grow tenfold in each
iteration at the paper's rate of 0.01. They are in the folder of benchmarks/run.py, from which the build is taken, too.
"""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
import run as benchmark  # noqa: E402
import speed  # noqa: E402

SOLVER = """train_net: "{net}" base_lr: {rate} lr_policy: "fixed" momentum: 0.9 weight_decay: 0.0005
display: 5 max_iter: {iterations} random_seed: 1 snapshot_prefix: "{name}"
"""
PARTS = ["--set", "model_parallel.layer_from=conv1", "--set", "model_parallel.layer_to=fc8", "--set",
         "model_parallel.model_parts=2"]
RUNS = {  # ranks, threads of each, flags
    "whole": (0, 2, []),
    "reference": (0, 2, ["--reference"]),
    "2 threads": (0, 2, PARTS),
    "2 ranks": (2, 1, PARTS),
    "2 x 2 ranks": (4, 1, PARTS),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--base_lr", type=float, default=0.0001)
    options = parser.parse_args()
    benchmark.WORK.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(dir=benchmark.WORK))
    net = (ROOT / "models/alexnet_paper/train_val.prototxt").read_text()
    net = re.sub(r"\s*(pca_file|pca_std): \S+", "", net)
    net = net.replace("data/ilsvrc12/ilsvrc12_train_lmdb", str(benchmark.make_database("color256")))
    net = net.replace("data/ilsvrc12/imagenet_mean", str(benchmark.WORK / "color256_mean"))
    net = net.replace("batch_size: 128", f"batch_size: {options.batch}")
    (folder / "net.prototxt").write_text(net)
    for name, (ranks, threads, flags) in RUNS.items():
        solver = folder / f"{name.replace(' ', '_')}.prototxt"
        solver.write_text(SOLVER.format(net=folder / "net.prototxt", iterations=options.iterations,
                                        rate=options.base_lr, name=folder / solver.stem))
        launch = [*speed.MPIRUN, str(ranks)] if ranks else []
        run = subprocess.run([*launch, benchmark.BIN / "doppio", "train", f"--solver={solver}",
                              f"--threads={threads}", *flags], env=speed.ENVIRONMENT, capture_output=True, text=True)
        if run.returncode:
            sys.exit(run.stderr)
        model = f"_iter_{options.iterations}.caffemodel"
        compared = subprocess.run([benchmark.BIN / "compare_snapshots", f"{folder}/whole{model}",
                                   f"{folder / solver.stem}{model}"], check=True, capture_output=True, text=True).stdout
        sent = re.findall(r"sends up to ([\d.e+-]+) MB", run.stderr)
        print(f"{name:12} differs by {compared.strip()}; MB sent by a rank: {sent or 'none'}", flush=True)


if __name__ == "__main__":
    main()
