"""Finds the shared libraries of the programs."""

import glob
import os
import subprocess
import sys

OPTIONAL = ["libcudnn.so.9", "libnccl.so.2"]  # loaded by the programs themselves


class Missing(Exception):
    """A program cannot start."""


def candidates(python):
    """Returns folders of a toolkit, then those of the wheels that `python` can import."""
    homes = [os.environ[v] for v in ("CUDA_HOME", "CUDA_PATH") if v in os.environ] + [
        "/usr/local/cuda"
    ]
    folders = [f"{home}/{lib}" for home in homes for lib in ("lib64", "lib")]
    try:
        shown = subprocess.run(
            [python, "-c", "import sys; print(*sys.path, sep='\\n')"],
            capture_output=True,
            text=True,
            timeout=20,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        shown = ""
    for path in filter(None, shown.splitlines()):
        folders += sorted(glob.glob(f"{path}/nvidia/*/lib"))
    return folders


def missing(program, env):
    """Returns the libraries that the loader does not find for `program`."""
    traced = subprocess.run(
        [program], env={**env, "LD_TRACE_LOADED_OBJECTS": "1"}, capture_output=True, text=True
    )
    names = [
        line.split()[0] for line in traced.stdout.splitlines() if line.endswith("=> not found")
    ]
    if traced.returncode != 0 and not names:
        raise Missing(f"{program} does not start: {(traced.stdout + traced.stderr).strip()}")
    return names


def environment(programs, packed, python):
    """Returns the environment for our programs and {library: folder} of the libraries found. It is
    not suitable for Python, whose own libraries are newer than those of a pack."""
    env = dict(os.environ)
    path = [str(packed)] if packed.is_dir() else []
    inherited = [p for p in env.get("LD_LIBRARY_PATH", "").split(":") if p]
    folders, found = candidates(python), {}

    def find(names):
        for name in names:
            folder = next((f for f in folders if os.path.exists(f"{f}/{name}")), None)
            if folder:
                found[name] = folder
        env["LD_LIBRARY_PATH"] = ":".join(dict.fromkeys([*path, *found.values(), *inherited]))

    find(OPTIONAL)
    for program in programs:
        while names := missing(program, env):
            before = set(found)
            find(names)  # which may need others
            lost = [name for name in names if name in before or name not in found]
            if lost:
                raise Missing(
                    f"{program.name} needs {', '.join(lost)}: neither in a pack's lib/, nor known to the loader, nor "
                    f"in {', '.join(folders)}"
                )
    return env, found


def versions(found):
    """Queries cuDNN and NCCL for their versions, in a child process in case they crash."""
    ask = """import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
if 'cudnn' in sys.argv[1]:
    library.cudnnGetVersion.restype = ctypes.c_size_t
    print(library.cudnnGetVersion())
else:
    v = ctypes.c_int()
    library.ncclGetVersion(ctypes.byref(v))
    print(v.value)"""
    lines = []
    for name in OPTIONAL:
        if name not in found:
            lines.append(f"{name}: not in a folder of CUDA's, so the loader's own, if it knows one")
            continue
        file = f"{found[name]}/{name}"
        asked = subprocess.run([sys.executable, "-c", ask, file], capture_output=True, text=True)
        lines.append(
            f"{file}: version {asked.stdout.strip() or 'unknown, ' + asked.stderr.strip()[-200:]}"
        )
    return lines
