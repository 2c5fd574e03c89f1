"""`nanolm info --kernels`: which functions have a fast twin, which would run now, and what they run on."""
import importlib.metadata
import os
import warnings

from nanolm import kernels, threads
from nanolm.cli import table

PACKAGES = ("numpy", "numba", "llvmlite")
OLDER = ("HASWELL", "ZEN", "EXCAVATOR", "SANDYBRIDGE", "NEHALEM", "PRESCOTT", "BARCELONA", "GENERIC")     # without AVX-512


def show():
    """Return the text of `nanolm info --kernels`."""
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        chosen = kernels.choose()
    lines = [f"train, generate and eval run on {chosen} here" + {
                 "numba": "; the plain functions: --kernels numpy, or NANOLM_KERNELS=numpy in the environment.",
                 "numpy": "; the fast twins: " + ("pip install numba." if not kernels.available() else
                                                  "unset NUMBA_DISABLE_JIT, with which nothing is compiled."
                                                  if not kernels.compiles() else
                                                  "NANOLM_KERNELS=numba in the environment.")}[chosen]]
    lines += [f"Note: {note.message}" for note in notes]
    with kernels.using(chosen):
        lines += ["", table.text(["twin of", "functions", "runs now", "compiled", "trick"],
                                 [row(twin, chosen) for twin in kernels.TWINS]), ""]
        lines += cache(chosen)
    lines += [", ".join(f"{name} {version(name)}" for name in PACKAGES), *machine(chosen)]
    return "\n".join(lines)


def row(twin, chosen):
    """Return the cells of one twin."""
    plain, names, trick = kernels.TWINS[twin]
    return [plain.removeprefix("nanolm."), ", ".join(names), "twin" if chosen == "numba" else "plain",
            compiled_state(twin) if chosen == "numba" else "-", trick]


def compiled_state(twin):
    """Return "yes" or "no": whether the twin's own kernels are in the cache folder; "shared" if it calls those of others."""
    from nanolm.kernels import compiled
    name = f"nanolm.kernels.{twin}"
    own = [kernel for kernel in compiled.ENTRIES if kernel.function.__module__ == name]
    if not own:
        return "shared"
    folder = compiled.folder()
    found = {path.name.partition("-")[0] for path in folder.rglob("*.nbi")} if folder else set()
    return "yes" if all(f"{twin}.{kernel.function.__qualname__}" in found for kernel in own) else "no"


def cache(chosen):
    """Return lines that say where the compiled code is."""
    if chosen != "numba":
        return []
    from nanolm.kernels import compiled, warm
    folder = compiled.folder()
    if folder is None:
        return ["No folder for compiled code can be written: it is compiled again by every process. Set XDG_CACHE_HOME or "
                "TMPDIR to a folder that can."]
    state = "complete" if warm.marked() else f"not complete: the next command compiles the rest, at most about {warm.SECONDS} s"
    return [f"Compiled code: {folder} ({state})"]


def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def machine(chosen):
    """Return lines about the processor's wide registers, the BLAS, and a setting that makes it slower than it could be."""
    import numpy  # noqa: F401  (brings the BLAS that we ask about)
    import threadpoolctl
    wide, lines = False, [f"{threads.cores()} cores"]
    if chosen == "numba":
        import llvmlite.binding
        features = llvmlite.binding.get_host_cpu_features()
        wide = bool(features.get("avx512f"))
        names = [name for name in ("avx2", "fma", "avx512f", "avx512bw", "neon") if features.get(name)]
        lines = [f"{threads.cores()} cores, {llvmlite.binding.get_host_cpu_name()}: {', '.join(names) or 'no wide registers'}"]
    for pool in threadpoolctl.threadpool_info():
        if pool.get("user_api") == "blas":
            lines.append(f"NumPy's matrix products: {pool['internal_api']} {pool.get('version')}, made for "
                         f"{pool.get('architecture', '?')}, {pool['num_threads']} threads")
    held = os.environ.get("OPENBLAS_CORETYPE", "")
    if wide and held.upper() in OLDER:
        lines.append(f"Note: the environment variable OPENBLAS_CORETYPE={held} holds NumPy's matrix products to kernels that are "
                     f"older than this processor, which has AVX-512; without it they may be twice as fast.")
    return lines
