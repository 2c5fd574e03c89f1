"""What a benchmark must know of its machine: processor, versions, settings, and the memory that a process took.

Memory is what the operating system counts: the pages that are really there (the resident set), libraries included.
The peak of a child cannot be taken from getrusage on Linux: its ru_maxrss starts from what the parent had when it
started the child. /proc/self/status counts anew for each program (VmHWM, the high-water mark), and can be reset.

Tested    tests/test_bench.py.
"""
import datetime
import importlib.metadata
import os
import platform
import re
import sys
from pathlib import Path

PACKAGES = ("nanolm", "numpy", "numba", "scipy", "torch", "transformers")
SETTINGS = re.compile(r"(OMP|GOMP|KMP|OPENBLAS|MKL|BLIS|NUMBA|NANOLM|TORCH|ATEN|ONEDNN|DNNL)_")
BUSY = 0.3                                              # load a core from which numbers are doubtful
STATUS = Path("/proc/self/status")                      # Linux only


def describe():
    """Return what stands at the head of a result: a dict of the processor, the versions, the environment, the date."""
    from nanolm import threads
    return {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "processor": processor(), "cores": threads.cores(), "system": f"{platform.system()} {platform.machine()}",
            "load": load(), "python": platform.python_version(), "versions": versions(), "blas": blas(),
            "environment": {name: value for name, value in sorted(os.environ.items()) if SETTINGS.match(name)}}


def load():
    """Return how many programs wanted to compute, on average over the last minute; None on Windows."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def processor():
    """Return the processor's name as the system gives it."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), flags=re.MULTILINE)
    except OSError:
        found = None
    return found.group(1).strip() if found else platform.processor() or platform.machine()


def versions():
    """Return {package: version} of those that are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found


def blas():
    """Return which BLAS NumPy uses, and which of its kernels: "openblas 0.3.31 (Haswell)"."""
    import numpy  # noqa: F401  (its BLAS is looked up among the libraries that are loaded)
    import threadpoolctl
    found = [f"{pool['internal_api']} {pool.get('version')} ({pool.get('architecture', '?')})"
             for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    return found[0] if found else "unknown"


def sentence(about):
    """Return the description in two to four lines, for the head of a table."""
    packages = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    cores = f"{about['cores']} core{'s' if about['cores'] > 1 else ''}"
    words = (f"{about['processor']}, {cores}, {about['system']}, Python {about['python']}, {about['date'][:10]}\n"
             f"{packages}; BLAS: {about['blas']}")
    if about["environment"]:
        words += "\nset: " + ", ".join(f"{name}={value}" for name, value in about["environment"].items())
    if about["load"] is not None and about["load"] > BUSY * about["cores"]:
        words += (f"\nOther programs are using this machine (load {about['load']:.1f} on {cores}). That slows everybody, "
                  f"PyTorch's threads, which wait for each other, most: measure again when it is idle.")
    return words


def resident():
    """Return the bytes that this process has in memory now, or None where Python cannot tell."""
    return _status("VmRSS")


def peak():
    """Return the most bytes that this process ever had in memory (since forget_peak), or None on Windows."""
    if STATUS.exists():
        return _status("VmHWM")
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def forget_peak():
    """Let the peak count from now on; return whether the system agreed (Linux alone can)."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return True
    except OSError:
        return False


def available():
    """Return the bytes of memory that are free to take, or None where Python cannot tell."""
    try:
        return 1024 * int(re.search(r"MemAvailable:\s*(\d+)", Path("/proc/meminfo").read_text(encoding="ascii")).group(1))
    except (OSError, AttributeError):
        return None


def _status(name):
    try:
        return 1024 * int(re.search(rf"{name}:\s*(\d+) kB", STATUS.read_text(encoding="ascii", errors="replace")).group(1))
    except (OSError, AttributeError):
        return None
