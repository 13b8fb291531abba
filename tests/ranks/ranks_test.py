#!/usr/bin/env python3
"""Trains a small net in several processes, under mpirun.

    tests/ranks/ranks_test.py [--build=build] [CASE...]

runs the cases named, or all. A case prints its figures and fails with an AssertionError.
"""
import argparse
import hashlib
import os
import pathlib
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

OPTIONS = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
OPTIONS.add_argument("--build", default="build", type=lambda path: pathlib.Path(path).resolve())
OPTIONS.add_argument("--mpi", default="openmpi,mpich", help="MPI libraries to test, of those that the build found")
OPTIONS.add_argument("--kills", type=int, default=2, help="ranks to kill with each MPI library in the case death")
OPTIONS.add_argument("cases", nargs="*")

NET = """name: "small"
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { crop_size: 20 mirror: true scale: 0.004 }
  data_param { source: "%(folder)s/data_lmdb" backend: LMDB batch_size: 24 shuffle: true } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { crop_size: 20 scale: 0.004 }
  data_param { source: "%(folder)s/data_lmdb" backend: LMDB batch_size: 10 } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 16 kernel_size: 5 weight_filler { type: "xavier" } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "norm1" type: "LRN" bottom: "conv1" top: "norm1" lrn_param { local_size: 5 alpha: 0.0001 } }
layer { name: "pool1" type: "Pooling" bottom: "norm1" top: "pool1" pooling_param { kernel_size: 3 stride: 2 } }
layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2"
  convolution_param { num_output: 32 kernel_size: 3 group: 2 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
layer { name: "fc3" type: "InnerProduct" bottom: "conv2" top: "fc3"
  inner_product_param { num_output: 300 weight_filler { type: "xavier" } } }
layer { name: "relu3" type: "ReLU" bottom: "fc3" top: "fc3" }
layer { name: "drop3" type: "Dropout" bottom: "fc3" top: "fc3" }
layer { name: "fc4" type: "InnerProduct" bottom: "fc3" top: "fc4"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
layer { name: "accuracy" type: "Accuracy" bottom: "fc4" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc4" bottom: "label" top: "loss" }
"""
SOLVER = """net: "%(folder)s/net.prototxt"
test_iter: 7 test_interval: 5 base_lr: 0.01 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.0005
display: 5 max_iter: 10 random_seed: 1 snapshot_prefix: "snapshot"
"""


class Setup:
    """A folder with the data and the net, and ways to run Doppio there."""

    def __init__(self, options):
        self.build, self.kills = options.build, options.kills
        self.libraries = [m for m in options.mpi.split(",") if (self.build / f"lib/libdoppio_{m}.so").exists()]
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="doppio_ranks_"))
        noise = random.Random(1)
        lines = []
        for i in range(100):
            pixels = bytes((v + i % 10 * 20) // 2 for v in noise.randbytes(3 * 24 * 24))
            (self.folder / f"{i}.ppm").write_bytes(b"P6 24 24 255\n" + pixels)
            lines.append(f"{i}.ppm {i % 10}\n")
        (self.folder / "list.txt").write_text("".join(lines))
        subprocess.run([self.build / "bin/doppio", "convert", "imageset", f"{self.folder}/", self.folder / "list.txt",
                        self.folder / "data_lmdb"], check=True, capture_output=True)
        (self.folder / "net.prototxt").write_text(NET % {"folder": self.folder})
        (self.folder / "solver.prototxt").write_text(SOLVER % {"folder": self.folder})

    def start(self, name, ranks, *flags, mpi=None, environment=(), launch=(), preload=None, inside=None, program=None):
        """Starts a training run of `ranks` processes, or without mpirun if 0, in its own folder."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        command = [program or self.build / "bin/doppio", "train", f"--solver={self.folder}/solver.prototxt", *flags]
        env = {**os.environ, "OMP_NUM_THREADS": "1", **dict(environment)}
        mpi = mpi or self.libraries[0]
        if preload:
            env["LD_PRELOAD"] = str(preload)
        if ranks and mpi == "openmpi":
            env |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
            forward = [w for variable in dict(environment) | ({"LD_PRELOAD": 1} if preload else {})
                       for w in ("-x", variable)]
            command = ["mpirun.openmpi", "--oversubscribe", "--bind-to", "none", *forward, *launch, "-n", ranks,
                       *command]
        elif ranks:
            command = ["mpirun.mpich", *launch, "-n", ranks, *command]
        if inside:  # a network namespace
            command = ["ip", "netns", "exec", inside, "unshare", "--uts", "bash", "-c",
                       f'hostname {inside} && exec "$@"', "_", *command]
        return subprocess.Popen([str(word) for word in command], cwd=folder, env=env, stderr=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True, start_new_session=True)

    def run(self, name, ranks, *flags, timeout=100, fails=False, **options):
        """Runs it to the end. Returns its log."""
        process = self.start(name, ranks, *flags, **options)
        try:
            out, log = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise AssertionError(f"{name}: still running after {timeout} s:\n{process.communicate()[1]}")
        assert fails or process.returncode == 0, f"{name}: exit code {process.returncode}\n{log}\n{out}"
        self.code = process.returncode
        return log

    def model(self, name, iteration=10):
        return self.folder / name / f"snapshot_iter_{iteration}.caffemodel"

    def digest(self, name, iteration=10):
        """SHA-256 of the weights and of the state, without the model's path in it."""
        digest = hashlib.sha256(self.model(name, iteration).read_bytes())
        digest.update(self.model(name, iteration).with_suffix(".solverstate").read_bytes())
        return digest.hexdigest()[:16]

    def difference(self, a, b, iteration=10):
        """Largest difference between the weights of two runs, the same relative to the blob, and whether the rest of
        the files is equal."""
        out = subprocess.run([self.build / "bin/compare_snapshots", self.model(a, iteration), self.model(b, iteration)],
                             check=True, capture_output=True, text=True).stdout.split()
        return float(out[0]), float(out[1]), out[2] == "alike"


def own_processes(process):
    """Process ids of the training processes below a launcher, in the order of their start."""
    found, parents = [], {process.pid}
    rows = subprocess.run(["ps", "-eo", "pid,ppid,comm", "--sort=pid"], capture_output=True, text=True).stdout
    for _ in range(4):  # mpirun, proxies, ranks
        for row in rows.splitlines()[1:]:
            pid, parent, name = row.split(None, 2)
            if int(parent) in parents:
                parents.add(int(pid))
                if name.startswith("doppio") and int(pid) not in found:
                    found.append(int(pid))
    return found


def alive(pids):
    def state(pid):
        try:
            return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return "gone"
    return [pid for pid in pids if state(pid) not in ("gone", "Z", "X")]


def tests_of(log):
    return re.findall(r"Test net output #\d+: .*", log)


def exact(setup):
    """2, 3 and 4 ranks give what one process does, up to rounding, and the same test results."""
    flags = ["--set", "test_initialization=true"]
    one_process = setup.run("one", 0, *flags)
    for ranks in (2, 3, 4):
        log = setup.run(f"{ranks}", ranks, *flags)
        absolute, relative, alike = setup.difference("one", f"{ranks}")
        print(f"{ranks} ranks: weights differ by {absolute:.2g}, {relative:.2g} of the largest; alike: {alike}")
        assert absolute <= 1e-6 and relative <= 2e-5 and alike
        first = len(tests_of(one_process)) // 3
        assert tests_of(log)[:first] == tests_of(one_process)[:first] != [], "tests before the first iteration differ"
        assert len(tests_of(log)) == len(tests_of(one_process))


def repeatable(setup):
    """Neither the time of arrival nor the transport nor the MPI library changes a bit."""
    preload = setup.build / "lib/libdelay_messages.so"
    digests = {}
    delayed = {"environment": {"DOPPIO_TEST_DELAY_MS": "20"}, "preload": preload}
    for i in range(5):
        setup.run(f"delayed{i}", 2, **delayed)
        digests[f"delayed {i}"] = setup.digest(f"delayed{i}")
    if "openmpi" in setup.libraries:
        setup.run("tcp", 2, mpi="openmpi", launch=["--mca", "btl", "tcp,self", "--mca", "pml", "ob1", "--mca",
                                                            "btl_tcp_if_include", "lo"])
        digests["TCP"] = setup.digest("tcp")
    for library in setup.libraries:
        setup.run(library, 2, mpi=library)
        digests[library] = setup.digest(library)
    print(digests)
    assert len(set(digests.values())) == 1


def resume(setup):
    """A resumed run ends with the bits of an unbroken one, and continues with any number of ranks."""
    setup.run("whole", 2, "--set", "max_iter=20")
    setup.run("half", 2)
    setup.run("half", 2, "--resume", "--set", "max_iter=20")
    print("2 -> 2 ranks:", setup.digest("whole", 20), setup.digest("half", 20))
    assert setup.digest("whole", 20) == setup.digest("half", 20)
    for name, first, then in (("less", 2, 1), ("more", 1, 4)):
        setup.run(name, first)
        setup.run(name, then, "--resume", "--set", "max_iter=15")
        setup.run(name + "_whole", first, "--set", "max_iter=15")
        absolute, relative, alike = setup.difference(name, name + "_whole", 15)
        print(f"{first} -> {then} ranks: {absolute:.2g}, {relative:.2g}; alike: {alike}")
        assert absolute <= 1e-6 and alike
    log = setup.run("half", 2, "--resume", "--set", "max_iter=20")
    assert "nothing is left to train" in log


def precisions(setup):
    """gradient_type: BFLOAT16 and reduction: LIBRARY."""
    full = float(re.search(r"([\d.e+-]+) MB of gradients", setup.run("float", 2))[1])
    log = setup.run("rounded", 2, "--set", "gradient_type=BFLOAT16")
    half = float(re.search(r"([\d.e+-]+) MB of gradients", log)[1])
    absolute, relative, _ = setup.difference("float", "rounded")
    print(f"bytes {half / full:.3f}, weights differ by {absolute:.2g}, {relative:.2g}")
    assert abs(half / full - 0.5) < 0.02 and 0 < absolute < 1e-3
    setup.run("library", 3, "--set", "reduction=LIBRARY")
    setup.run("ordered", 3)
    absolute, relative, _ = setup.difference("library", "ordered")
    print(f"LIBRARY: {absolute:.2g}, {relative:.2g}")
    assert absolute <= 1e-6


def norms(setup):
    """Updates that need norms of whole gradients: clipping and LARS."""
    for name, flags in {"clip": ["--set", "clip_gradients=0.5"],
                        "lars": ["--set", "local_lr_auto=true", "--set", "base_lr=1"]}.items():
        setup.run(name + "1", 0, *flags)
        setup.run(name + "3", 3, *flags)
        absolute, relative, alike = setup.difference(name + "1", name + "3")
        print(f"{name}: {absolute:.2g}, {relative:.2g}")
        assert absolute <= 1e-6 and alike


def parts(number):
    """Flags that split the net into a number of parts (model parallelism)."""
    return ["--set", "model_parallel.layer_from=conv1", "--set", "model_parallel.layer_to=fc4",
            "--set", f"model_parallel.model_parts={number}", "--set", "norm1.group=2"]


def split(setup):
    """A net in two parts, over processes or threads and in one copy or two, learns what the whole net learns. Snapshots
    are those of the whole net, and a run continues in any other way."""
    tests, digests = len(tests_of(setup.run("whole", 0, *parts(1)))), {}
    for name, ranks in {"threads": 0, "ranks": 2, "grid": 4}.items():
        for library in setup.libraries if ranks else [None]:
            log = setup.run(name, ranks, *parts(2), mpi=library)
            absolute, relative, alike = setup.difference("whole", name)
            sent = re.findall(r"a rank sends up to ([\d.e+-]+) MB", log)
            print(f"{name}, {library}: {absolute:.2g}, {relative:.2g}; alike: {alike}; MB sent: {sent}")
            assert absolute <= 1e-6 and relative <= 2e-5 and alike and bool(sent) == bool(ranks)
            assert len(tests_of(log)) == tests
            assert digests.setdefault(name, setup.digest(name)) == setup.digest(name), "MPI libraries differ"
    setup.run("whole15", 0, *parts(1), "--set", "max_iter=15")
    for name, ranks, flags in (("threads", 2, parts(2)), ("ranks", 4, parts(2)), ("grid", 1, parts(1)),
                               ("whole", 2, parts(2))):
        setup.run(name, ranks, *flags, "--resume", "--set", "max_iter=15")
        absolute, relative, alike = setup.difference("whole15", name, 15)
        print(f"{name}, then {ranks} ranks: {absolute:.2g}, {relative:.2g}; alike: {alike}")
        assert absolute <= 1e-6 and alike
    weights = f"--weights={setup.model('whole')}"
    setup.run("loaded1", 0, *parts(1), weights)
    setup.run("loaded4", 4, *parts(2), weights)
    absolute, relative, alike = setup.difference("loaded1", "loaded4")
    print(f"from weights: {absolute:.2g}, {relative:.2g}; alike: {alike}")
    assert absolute <= 1e-6 and alike
    log = setup.run("three", 3, *parts(2), fails=True)
    assert setup.code == 1 and "model_parts 2 needs as many processes or a multiple, not 3" in log, log


LONG = ["--set", "max_iter=100000", "--set", "test_interval=0", "--set", "test_iter=", "--set", "snapshot=20",
        "--set", "snapshot_after_train=true"]


def wait_for(process, what, timeout=60):
    """Reads the log until it has `what`. Returns what was read."""
    log = ""
    for line in process.stderr:
        log += line
        if what in line:
            return log
    raise AssertionError(f"the run ended without '{what}':\n{log}")


def death(setup):
    """A killed rank ends the run in seconds, and --resume continues it to the same bits."""
    target = 60
    setup.run("unbroken", 2, *LONG, "--set", f"max_iter={target}")
    for library in setup.libraries:
        for kill in range(setup.kills):
            i, which = kill % 2, (signal.SIGKILL, signal.SIGSEGV)[kill // 2 % 2 if setup.kills > 2 else kill % 2]
            name = f"death_{library}{kill}"
            process = setup.start(name, 2, *LONG, mpi=library)
            log = wait_for(process, "Snapshotting solver state")
            ranks = own_processes(process)
            assert len(ranks) == 2, ranks
            time.sleep(random.uniform(0, 0.5))
            os.kill(ranks[i], which)
            killed = time.time()
            out, rest = process.communicate(timeout=30)
            log += rest
            while alive(ranks) and time.time() < killed + 10:
                time.sleep(0.1)
            left = alive(ranks)
            took = time.time() - killed
            print(f"{library}, {which.name} to rank {i}: ended after {took:.1f} s, exit code {process.returncode}")
            assert not left and took < 10, (left, took, log)
            if library == "mpich":
                # The launcher kills all ranks before they can log the death, and reports one process: the killed one, or
                # a rank in which MPICH has aborted because of it.
                named = re.search(r"PID (\d+) RUNNING AT", out)
                assert named and int(named[1]) in ranks and re.search(rf"\(pids? .*\b{named[1]}\b", log), out + log
            else:
                assert re.search(rf"rank {i} \(\S+, pid {ranks[i]}\) has ended, at iteration \d+", log), log
            for file in (setup.folder / name).glob("snapshot_iter_*"):
                if int(re.search(r"_(\d+)", file.name)[1]) >= target:
                    file.unlink()
            setup.run(name, 2, *LONG, "--set", f"max_iter={target}", "--resume", mpi=library)
            assert setup.digest(name, target) == setup.digest("unbroken", target)


def silence(setup):
    """A stopped rank ends the run within its deadline; a slow one does not."""
    for library in setup.libraries:
        process = setup.start("silence", 2, *LONG, "--rank_timeout=3", mpi=library)
        wait_for(process, "Iteration 20 ")
        ranks = own_processes(process)
        slowed = time.time() + 6
        while time.time() < slowed:  # one fifth of the speed
            os.kill(ranks[1], signal.SIGSTOP)
            time.sleep(0.8)
            os.kill(ranks[1], signal.SIGCONT)
            time.sleep(0.2)
        assert alive(ranks) == ranks, "a slow rank ended the run"
        os.kill(ranks[1], signal.SIGSTOP)
        stopped = time.time()
        while ranks[0] in alive(ranks) and time.time() < stopped + 20:
            time.sleep(0.1)
        took = time.time() - stopped
        os.kill(ranks[1], signal.SIGCONT)
        log = process.communicate(timeout=30)[1]
        print(f"{library}: ended {took:.1f} s after SIGSTOP, exit code {process.returncode}")
        assert took < 9
        assert "has not answered for 3 s, at iteration" in log, log
        assert process.returncode == 76, process.returncode


def signals(setup):
    """SIGUSR1 to the launcher gives a snapshot and exit code 75 of the ranks."""
    for library in setup.libraries:
        name = f"signal_{library}"
        process = setup.start(name, 2, *LONG, "--set", "snapshot=0", mpi=library)
        log = wait_for(process, "Iteration 20 ")
        os.kill(process.pid, signal.SIGUSR1)
        asked = time.time()
        log += process.communicate(timeout=30)[1]
        print(f"{library}: ended after {time.time() - asked:.1f} s, exit code {process.returncode}")
        assert time.time() - asked < 5
        assert "SIGUSR1: finishing iteration" in log and log.count("Snapshotting solver state") == 1, log
        assert len(list((setup.folder / name).glob("*.solverstate"))) == 1


class Hosts:
    """Two hosts of this machine's: network namespaces on a bridge, with 1 Gbit/s each way."""

    def __enter__(self):
        self.__exit__()
        try:
            self.ip("link add dphosts type bridge")
            self.ip("link set dphosts up")
            for i in (1, 2):
                self.ip(f"netns add dphost{i}")
                self.ip(f"link add dpveth{i} type veth peer name eth0 netns dphost{i}")
                self.ip(f"link set dpveth{i} master dphosts up")
                self.ip(f"-n dphost{i} addr add 10.99.7.{i}/24 dev eth0")
                self.ip(f"-n dphost{i} link set eth0 up")
                self.ip(f"-n dphost{i} link set lo up")
                subprocess.run(f"ip netns exec dphost{i} tc qdisc add dev eth0 root tbf rate 1gbit burst 256kb "
                               "latency 100ms".split(), check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            self.__exit__()
            return None
        return self

    def __exit__(self, *_):
        for i in (1, 2):
            subprocess.run(["ip", "netns", "del", f"dphost{i}"], capture_output=True)
            subprocess.run(["ip", "link", "del", f"dpveth{i}"], capture_output=True)
        subprocess.run(["ip", "link", "del", "dphosts"], capture_output=True)

    def ip(self, arguments):
        subprocess.run(["ip", *arguments.split()], check=True, capture_output=True, text=True)

    @staticmethod
    def launch():
        """Options of mpirun for one rank on each host."""
        agent = pathlib.Path(__file__).resolve().parent / "test_host.sh"
        return ["-H", "dphost1,dphost2", "--map-by", "ppr:1:node", "--mca", "plm_rsh_agent", agent, "--mca", "btl",
                "tcp,self", "--mca", "pml", "ob1", "--mca", "btl_tcp_if_include", "10.99.7.0/24", "--mca",
                "oob_tcp_if_include", "10.99.7.0/24"]


def disk(setup):
    """If rank 0's disk is full, the snapshot is an error in the log, and training continues."""
    small = setup.folder / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", small], capture_output=True).returncode:
        return print("SKIPPED: a small file system cannot be mounted here (needs root)")
    try:
        text = setup.run("disk", 2, "--set", f"snapshot_prefix={small}/s", "--set", "snapshot=4", "--set",
                         "snapshot_after_train=false")
    finally:
        subprocess.run(["umount", small])
    assert text.count("No snapshot of iteration 4") == 1 and "No space left" in text, text
    assert "Optimization Done" in text and "[rank" not in text, text


def hosts(setup):
    """Two hosts: the same bits as on one, and a pulled cable ends both ranks within the deadline."""
    if "openmpi" not in setup.libraries:
        return print("SKIPPED: needs Open MPI")
    with Hosts() as two:
        if not two:
            return print("SKIPPED: network namespaces cannot be made here (needs root, iproute2)")
        setup.run("one_host", 2)
        text = setup.run("two_hosts", 2, launch=two.launch(), inside="dphost1")
        assert "2 ranks on 2 hosts" in text and re.search(r"0 on dphost1 .*, 1 on dphost2 ", text), text
        print(setup.digest("one_host"), setup.digest("two_hosts"))
        assert setup.digest("one_host") == setup.digest("two_hosts")
        process = setup.start("cable", 2, *LONG, "--rank_timeout=3", launch=two.launch(), inside="dphost1")
        wait_for(process, "Iteration 20 ")
        ranks = [int(pid) for pid in subprocess.run(["pgrep", "-x", "doppio"], capture_output=True,
                                                    text=True).stdout.split()]
        two.ip("link set dpveth2 down")
        pulled = time.time()
        while alive(ranks) and time.time() < pulled + 20:
            time.sleep(0.1)
        took = time.time() - pulled
        os.killpg(process.pid, signal.SIGKILL)  # mpirun itself may wait for the other host for ever
        subprocess.run(["pkill", "-KILL", "-x", "orted"])
        text = process.communicate(timeout=30)[1]
        print(f"both ranks ended {took:.1f} s after the cable was pulled")
        assert took < 9 and "has not answered for 3 s" in text, (took, text)


def mistakes(setup):
    """Each is refused with one message that names the rank and host or the field."""
    log = setup.run("indivisible", 3, "--set", "train:data.batch_size=25", fails=True, timeout=20)
    assert setup.code != 0 and log.count("batch_size 25") == 1 and "24 or 27 can" in log, log
    log = setup.run("typo", 2, "--set", "bas_lr=1", fails=True, timeout=20)
    assert setup.code != 0 and log.count("did you mean 'base_lr'") == 1, log
    # A rank with another library.
    other = setup.folder / "other"
    shutil.copytree(setup.build / "lib", other / "lib", symlinks=True)
    library = next(file for file in (other / "lib").glob("libdoppio.so*") if not file.is_symlink())
    contents = bytearray(library.read_bytes())
    note = struct.pack("III", 4, 20, 3) + b"GNU\0"  # its bytes are followed by the build's identifier
    contents[contents.index(note) + len(note)] ^= 1
    library.write_bytes(contents)
    script = setup.folder / "own_build.sh"
    script.write_text(f"""#!/bin/sh
[ "${{OMPI_COMM_WORLD_RANK:-$PMI_RANK}}" = 1 ] && export LD_LIBRARY_PATH={other / "lib"}
exec {setup.build}/bin/doppio "$@"
""")
    script.chmod(0o755)
    log = setup.run("builds", 2, fails=True, timeout=20, program=script)
    assert setup.code != 0 and len(re.findall(r"rank 1 \(\S+, pid \d+\): runs another build of Doppio", log)) == 1, log
    # Another copy of the data, at the same path: a link of each rank's own.
    shutil.copytree(setup.folder / "data_lmdb", setup.folder / "stale_lmdb")
    (setup.folder / "short.txt").write_text("0.ppm 0\n1.ppm 1\n")
    subprocess.run([setup.build / "bin/doppio", "convert", "imageset", "--overwrite", f"{setup.folder}/",
                    setup.folder / "short.txt", setup.folder / "stale_lmdb"], check=True, capture_output=True)
    script.write_text(f"""#!/bin/sh
[ "${{OMPI_COMM_WORLD_RANK:-$PMI_RANK}}" = 1 ] && copy={setup.folder}/stale_lmdb || copy={setup.folder}/data_lmdb
exec {setup.build}/bin/doppio "$@" --set train:data.source=$copy
""")
    log = setup.run("stale", 2, fails=True, timeout=20, program=script)
    assert setup.code != 0 and len(re.findall(
        r"rank 1 \(\S+, pid \d+\) reads other data than rank 0 .*layer 'data': 2 records", log)) == 1, log
    # Modules that are absent, and a launcher that its MPI library does not know.
    for file in (other / "lib").glob("libdoppio_*.so"):
        file.unlink()
    log = setup.run("absent", 2, fails=True, timeout=20, environment={"LD_LIBRARY_PATH": str(other / "lib")})
    assert setup.code != 0 and "but this build has no support for" in log, log
    log = setup.run("singletons", 0, environment={"OMPI_COMM_WORLD_SIZE": "2"}, fails=True, timeout=20)
    assert setup.code == 1 and "the launcher has started 2 processes, but" in log, log
    log = setup.run("slurm", 0, environment={"SLURM_NTASKS": "2", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2"},
                    fails=True, timeout=20)
    assert setup.code == 1 and "srun --mpi=pmix" in log, log


def log(setup):
    """One log, in Caffe's format."""
    one_process = setup.run("one_process", 0)
    several = setup.run("four", 4)
    line = re.compile(r"Iteration \d+ \(|Iteration \d+, |Train net output|Test net output|Snapshotting|"
                      r"Solving|Learning Rate Policy|Optimization Done")
    kinds = [[re.sub(r"[\d.e+-]+|\(.*", "", l.split("] ", 1)[1]) for l in text.splitlines() if line.search(l)]
             for text in (one_process, several)]
    print(len(kinds[0]), "lines of one process,", len(kinds[1]), "of four")
    assert kinds[0] == kinds[1]
    assert "4 ranks on 1 host" in several and "[rank" not in several, several


def main():
    options = OPTIONS.parse_args()
    cases = [exact, repeatable, resume, precisions, norms, split, death, silence, signals, hosts, disk, mistakes,
             log]
    names = {case.__name__: case for case in cases}
    setup = Setup(options)
    if not setup.libraries:
        sys.exit("the build has no module for an MPI library")
    try:
        for name in options.cases or names:
            print(f"== {name}: {names[name].__doc__}", flush=True)
            names[name](setup)
    finally:
        shutil.rmtree(setup.folder)


if __name__ == "__main__":
    main()
