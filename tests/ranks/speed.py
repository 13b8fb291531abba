#!/usr/bin/env python3
"""Measures AlexNet at batch 128 in several processes on this machine.

    tests/ranks/speed.py [--rounds=5] [--iterations=8] [--network]

With --network, measures instead two hosts of this machine's (network namespaces, 1 Gbit/s each way; needs root): how
much of the network's rate the exchange uses, with a net of 61 million weights that has little to compute, and how much
of AlexNet's exchange, at batch 128, overlaps the backward pass.

Runs take turns, in shuffled order: one process with two threads; the same under mpirun; two ranks with one thread each,
with and without overlap of the exchange with the backward pass. Prints the medians of the rounds' median iterations, and
the medians of the ratios of the runs of one round. Data are noise in the folder of benchmarks/run.py.
"""
import argparse
import os
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
import run as benchmark  # noqa: E402

SOLVER = """train_net: "{net}" base_lr: 0.0001 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.0005 display: 1
max_iter: {iterations} snapshot_after_train: false random_seed: 1
"""
ENVIRONMENT = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
MPIRUN = ["mpirun.openmpi", "--oversubscribe", "--bind-to", "none", "-n"]
RUNS = {
    "1 process": ([], 2, []),
    "1 rank under mpirun": ([*MPIRUN, "1"], 2, []),
    "2 ranks": ([*MPIRUN, "2"], 1, []),
    "2 ranks, no overlap": ([*MPIRUN, "2"], 1, ["--set", "layer_wise_reduce=false"]),
}


WIDE = """layer { name: "data" type: "Data" top: "data" top: "label"
  data_param { source: "%s" backend: LMDB batch_size: 2 } transform_param { scale: 0.001 } }
layer { name: "wide" type: "InnerProduct" bottom: "data" top: "wide"
  inner_product_param { num_output: 20000 bias_term: false weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "wide" bottom: "label" top: "loss" }
"""
SOCKETS = """import socket, sys, threading, time
COUNT = 250_000_000
def send(to):
    for _ in range(COUNT >> 20): to.sendall(bytes(1 << 20))
def receive(source):
    left = COUNT >> 20 << 20
    while left: left -= len(source.recv(min(left, 1 << 20)))
if sys.argv[1] == "server": link = socket.create_server(("10.99.7.1", 5599)).accept()[0]
else: time.sleep(1); link = socket.create_connection(("10.99.7.1", 5599))
begin = time.time(); threads = [threading.Thread(target=t, args=(link,)) for t in (send, receive)]
[t.start() for t in threads]; [t.join() for t in threads]; print(COUNT / 1e6 / (time.time() - begin))
"""


def write_solver(net, iterations):
    solver = pathlib.Path(tempfile.mkdtemp()) / "solver.prototxt"
    solver.write_text(SOLVER.format(net=net, iterations=iterations + 2))
    return solver


def times_of(log):
    """Seconds of the iterations but the first two."""
    return [float(t) for t in re.findall(r"iter/s, ([\d.e+-]+)s/1 iters", log)][2:]


def share_waited(log):
    shares = [float(s) for s in re.findall(r"Ranks: ([\d.]+) %", log)][2:]
    return statistics.median(shares) / 100 if shares else 0


def print_hidden(shorter, longer, waited):
    share = statistics.median((a - b) / w for a, b, w in zip(longer, shorter, waited))
    print(f"overlap makes an iteration shorter by {100 * share:.0f} % of the time that ranks wait without it")


def network(options):
    """The rate of the exchange between two hosts, that of plain sockets, and the gain by overlap."""
    import ranks_test
    folder = pathlib.Path(tempfile.mkdtemp())
    (folder / "net.prototxt").write_text(WIDE % benchmark.make_database("color32"))
    solver = write_solver(folder / "net.prototxt", options.iterations)
    alexnet = write_solver(benchmark.Case("alexnet", argparse.Namespace(type="fp32")).train_net, options.iterations)
    with ranks_test.Hosts() as two:
        if not two:
            sys.exit("network namespaces cannot be made here")
        inside = lambda host, *words: ["ip", "netns", "exec", host, *words]
        server = subprocess.Popen(inside("dphost1", sys.executable, "-c", SOCKETS, "server"), stdout=subprocess.PIPE,
                                  text=True)
        subprocess.run(inside("dphost2", sys.executable, "-c", SOCKETS, "client"), check=True, capture_output=True)
        plain = float(server.communicate()[0])
        counter = pathlib.Path("/sys/class/net/dpveth1/statistics/rx_bytes")
        command = inside("dphost1", "unshare", "--uts", "bash", "-c", 'hostname dphost1 && exec "$@"', "_",
                         "mpirun.openmpi", "--bind-to", "none", *map(str, two.launch()), "-n", "2",
                         str(benchmark.BIN / "doppio"), "train", "--threads=1")
        run = lambda *flags: subprocess.run([*command, *flags], env=ENVIRONMENT, capture_output=True, text=True).stderr
        sent = []
        for iterations in (2, options.iterations + 2):
            before = int(counter.read_text())
            log = run(f"--solver={solver}", "--set", f"max_iter={iterations}")
            sent.append(int(counter.read_text()) - before)
        seconds, waited = {"true": [], "false": []}, []
        for _ in range(options.rounds):
            for overlap in random.sample(list(seconds), 2):
                of_alexnet = run(f"--solver={alexnet}", "--set", f"layer_wise_reduce={overlap}")
                seconds[overlap].append(statistics.median(times_of(of_alexnet)))
                if overlap == "false":
                    waited.append(share_waited(of_alexnet) * seconds[overlap][-1])
    times = times_of(log)
    megabytes = float(re.search(r"([\d.e+-]+) MB of gradients", log)[1])
    rate = megabytes / statistics.median(times)
    print(f"plain sockets {plain:.0f} MB/s each way, the exchange {rate:.0f} MB/s ({100 * rate / plain:.0f} %), "
          f"{(sent[1] - sent[0]) / 1e6 / options.iterations:.1f} MB on the wire an iteration for {megabytes:.1f} MB")
    print(f"AlexNet: {statistics.median(seconds['true']):.3f} s an iteration, "
          f"without overlap {statistics.median(seconds['false']):.3f} s, waiting {statistics.median(waited):.3f} s")
    print_hidden(seconds["true"], seconds["false"], waited)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=8)
    parser.add_argument("--network", action="store_true", help="measure the exchange over a network")
    options = parser.parse_args()
    benchmark.WORK.mkdir(parents=True, exist_ok=True)
    if options.network:
        return network(options)
    case = benchmark.Case("alexnet", argparse.Namespace(type="fp32"))
    solver = write_solver(case.train_net, options.iterations)
    seconds, waited = {name: [] for name in RUNS}, {name: [] for name in RUNS}
    for _ in range(options.rounds):
        for name in random.sample(list(RUNS), len(RUNS)):
            launch, threads, flags = RUNS[name]
            log = subprocess.run([*launch, benchmark.BIN / "doppio", "train", f"--solver={solver}",
                                  f"--threads={threads}", *flags],
                                 env=ENVIRONMENT, capture_output=True, text=True).stderr
            times = times_of(log)
            if len(times) < options.iterations - 1:
                sys.exit(log)
            seconds[name].append(statistics.median(times))
            waited[name].append(share_waited(log) * seconds[name][-1])
    for name in RUNS:
        ratio = statistics.median(a / b for a, b in zip(seconds["1 process"], seconds[name]))
        print(f"{name:22} {statistics.median(seconds[name]):.3f} s an iteration, {ratio:.3f} of the speed of 1 process, "
              f"waiting {100 * statistics.median(w / s for w, s in zip(waited[name], seconds[name])):.1f} %")
    print_hidden(seconds["2 ranks"], seconds["2 ranks, no overlap"], waited["2 ranks, no overlap"])


if __name__ == "__main__":
    main()
