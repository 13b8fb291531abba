"""Runs the test programs in parallel shards and counts every single test."""

import collections
import concurrent.futures
import csv
import os
import re
import time
import xml.etree.ElementTree

from process import Process, outcome
from tables import append_rows

# Program: number of shards, filter of the GPU tests.
PROGRAMS = {
    "specs_test": (10, "*cuda*"),
    "cuda_test": (3, "*"),
    "layers_test": (2, "*cuda*"),
    "solver_test": (1, "*cuda*"),
}
CONFORMANCE = {"conformance": [], "conformance --reference": ["--reference"]}

Test = collections.namedtuple("Test", "program name result seconds message")
Shard = collections.namedtuple("Shard", "program label command env")


def names_of(run, program, pattern):
    """Returns the tests of a program that match `pattern`."""
    log = run.log(f"{program}.list")
    Process(
        [run.bin / program, "--gtest_list_tests", f"--gtest_filter={pattern}"],
        run.step_left(),
        log,
        run.env,
    ).wait()
    names, suite = [], ""
    for line in log.read_text(errors="replace").splitlines():
        word = line.split("#")[0].rstrip()
        if word.startswith("  "):
            names.append(suite + word.strip())
        elif word.endswith("."):
            suite = word
    log.unlink()
    return names


def shards_of(run, chosen):
    """Returns the shards of `chosen`: {program: GoogleTest filter, or names joined by colons}."""
    shards = []

    def add(program, count, command):
        for i in range(count):
            label = f"{program.replace(' --', '_')}.{len(shards)}"
            env = {
                **run.env,
                "GTEST_TOTAL_SHARDS": str(count),
                "GTEST_SHARD_INDEX": str(i),
                "GTEST_OUTPUT": f"xml:{run.work / label}.xml",
                "OMP_NUM_THREADS": "1",
                "XDG_CACHE_HOME": str(run.work / "caches" / label),
            }
            shards.append(Shard(program, label, command, env))

    for program, filter_ in chosen.items():
        names = filter_.split(":")
        if program in PROGRAMS:
            most = PROGRAMS[program][0]
            count = most if "*" in filter_ else min(most, len(names))
            add(program, count, [run.bin / program, f"--gtest_filter={filter_}"])
            continue
        cases = [run.bin / "conformance_test", "--cases=tests/conformance/cases", "--device=gpu"]
        for name in [""] if "*" in names else names:
            command = [*cases, "--verbose", f"--filter={name}", *CONFORMANCE[program]]
            add(program, 1 if name else 2, command)
    return shards


def from_xml(program, file):
    for case in xml.etree.ElementTree.parse(file).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        failures = [f.get("message", "") for f in case.iter("failure")]
        skipped = case.get("status") == "notrun" or case.get("result") == "skipped"
        yield Test(
            program,
            name,
            "failed" if failures else "skipped" if skipped else "passed",
            float(case.get("time", 0)),
            " ".join(failures),
        )


def from_log(program, text, end):
    """Yields the tests in the output of a shard that wrote no XML."""
    last = None
    for kind, name in re.findall(
        r"^\[ *(RUN|OK|FAILED|SKIPPED) *\] (\S+?)(?:,.*)?(?: \(\d+ ms\))?$", text, re.MULTILINE
    ):
        if kind == "RUN":
            last = name
        elif name == last:
            yield Test(
                program,
                name,
                {"OK": "passed", "FAILED": "failed", "SKIPPED": "skipped"}[kind],
                0,
                "",
            )
            last = None
    if last:
        yield Test(program, last, "unfinished", 0, end)


def from_conformance(program, text):
    for kind, name, message in re.findall(r"^(pass|FAIL|SKIP) (\S+): (.*)$", text, re.MULTILINE):
        yield Test(
            program,
            name,
            {"pass": "passed", "FAIL": "failed", "SKIP": "skipped"}[kind],
            0,
            "" if kind == "pass" else message,
        )


def run_shard(run, shard):
    """Returns the tests of a shard, and how it ended."""
    log = run.log(shard.label)
    os.makedirs(shard.env["XDG_CACHE_HOME"], exist_ok=True)
    if run.step_left() < 1:
        end = "not started: no time was left"
        cases = (
            [Test(shard.program, "*", "not run", 0, end)] if shard.program in CONFORMANCE else []
        )
        return cases, end, 0
    process = Process(shard.command, run.step_left(), log, shard.env)
    end = outcome(process.wait())
    file, text = run.work / f"{shard.label}.xml", log.read_text(errors="replace")
    if shard.program in CONFORMANCE:
        found = list(from_conformance(shard.program, text))
        if end not in ("exit status 0", "exit status 1"):
            found.append(Test(shard.program, "*", "unfinished", 0, end))
    else:
        found = list(
            from_xml(shard.program, file) if file.exists() else from_log(shard.program, text, end)
        )
    return found, end, process.seconds


def run_tests(run):
    if run.options.rerun:
        chosen = failed_before(run.options.rerun)
    else:
        chosen = {program: run.filter or pattern for program, (_, pattern) in PROGRAMS.items()}
        chosen.update({} if run.filter else dict.fromkeys(CONFORMANCE, "*"))
    expected = {
        (p, name) for p, f in chosen.items() if p in PROGRAMS for name in names_of(run, p, f)
    }
    shards = [
        s
        for s in shards_of(run, chosen)
        if s.program in CONFORMANCE or any(p == s.program for p, _ in expected)
    ]
    file = run.out / "tests.csv"
    file.unlink(missing_ok=True)
    tests, ends = [], []

    def add(found):
        tests.extend(found)
        append_rows(file, Test._fields, [t._replace(message=t.message[:500]) for t in found])

    with concurrent.futures.ThreadPoolExecutor(run.options.jobs) as pool:
        results = pool.map(lambda shard: run_shard(run, shard), shards)
        for shard, (found, end, seconds) in zip(shards, results):
            add(found)
            ends.append((shard, end, seconds))
    not_run = sorted(expected - {(t.program, t.name) for t in tests})
    add([Test(program, name, "not run", 0, "") for program, name in not_run])
    write(run, tests, ends)


def write(run, tests, ends):
    counts = collections.Counter((t.program, t.result) for t in tests)
    results = ["passed", "failed", "skipped", "unfinished", "not run"]
    run.write(
        f"| tests | {' | '.join(results)} | slowest of the shards, s |",
        "|---|" + "---|" * (len(results) + 1),
    )
    for program in dict.fromkeys(s.program for s, _, _ in ends):
        slowest = max(seconds for s, _, seconds in ends if s.program == program)
        run.write(
            f"| {program} | {' | '.join(str(counts[program, r]) for r in results)} | {slowest:.1f} |"
        )
    run.write("")
    bad = [t for t in tests if t.result in ("failed", "unfinished")]
    for test in bad[:40]:
        run.write(
            f"* {test.result}: {test.program} {test.name}: {' '.join(test.message.split())[:300]}"
        )
    if len(bad) > 40:
        run.write(f"* and {len(bad) - 40} more in tests.csv")
    for shard, end, _ in ends:
        if end not in ("exit status 0", "exit status 1"):
            run.write(f"* {shard.label}: {end}")
    if any(t.result != "passed" and t.result != "skipped" for t in tests) or any(
        e != "exit status 0" for _, e, _ in ends
    ):
        run.failed.append("tests")


def failed_before(folder):
    """Returns {program: filter} of the tests neither passed nor skipped in `folder`/tests.csv."""
    chosen = collections.defaultdict(list)
    with open(f"{folder}/tests.csv", newline="") as file:
        for row in csv.DictReader(file):
            if row["result"] not in ("passed", "skipped"):
                chosen[row["program"]].append(row["name"])
    most = 100_000  # characters of one argument
    joined = {program: ":".join(names) for program, names in chosen.items()}
    return {p: names if len(names) < most else PROGRAMS[p][1] for p, names in joined.items()}
