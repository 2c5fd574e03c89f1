"""Fast twins: modules with the same names and functions as the plain ones, their loops compiled by Numba.

    from nanolm import kernels
    kernels.use("numba")            from here on GPT-2, the trainer and everything else runs on the twins
    kernels.use("numpy")            and from here on on the plain functions again
    with kernels.using("numba"):    the same, for the lines of a with statement

The trick is rule 3 of the layers' contract: every call goes through the module (layernorm.forward(...)), and Python
looks the name up at the moment of the call. So use() sets the twin's functions in the plain module, and no plain file
knows of it. A function of yours that gradcheck.swap puts there takes its place in front of either.

The environment variable NANOLM_KERNELS, "numba" or "numpy", decides from the first import on; without it a layer that
you import is the plain one, and only the trainer and the command line switch the twins on, where Numba is installed.

A cache that a twin's forward has packed can only be opened by the twin's backward: switch between whole steps.

Every twin earns its lines in a benchmark (`nanolm bench layers`), and the same tests hold both. `nanolm info --kernels`
shows what runs where. Numbers agree to rounding, not to the bit: sums are added up in another order.
"""
import contextlib
import importlib
import importlib.util
import os
import warnings

# the twin: (the plain module, its functions that have a twin, the trick in a few words)
TWINS = {
    "attention": ("nanolm.layers.attention", ("forward", "backward"), "tiles of 64 x 64, online softmax, no T x T array"),
    "layernorm": ("nanolm.layers.layernorm", ("forward", "backward"), "one pass a token"),
    "rmsnorm": ("nanolm.layers.rmsnorm", ("forward", "backward"), "one pass a token"),
    "linear": ("nanolm.layers.linear", ("forward", "backward"), "our own product for the wide registers (matmul.py)"),
    "gelu": ("nanolm.layers.gelu", ("forward", "backward"), "one pass; exponential in wide registers"),
    "mlp": ("nanolm.layers.mlp", ("forward", "backward"), "bias and GELU in one pass"),
    "swiglu": ("nanolm.layers.swiglu", ("forward", "backward"), "silu(gate) * up in one pass"),
    "rotary": ("nanolm.layers.rotary", ("turned",), "one pass; heads stay where they lie"),
    "cross_entropy": ("nanolm.layers.cross_entropy", ("forward", "backward"), "no second copy of the logits"),
    "embedding": ("nanolm.layers.embedding", ("backward", "backward_tied"), "rows added in order, in place"),
    "dropout": ("nanolm.layers.dropout", ("forward", "backward"), "the mask drawn again, not kept"),
    "summing": ("nanolm.training.summing", ("add",), "one pass, on all cores"),
    "adamw": ("nanolm.training.optimizers.adamw", ("step",), "one pass over w, g, m and v"),
    "clipping": ("nanolm.training.clipping", ("global_norm",), "one pass, on all cores"),
    "kv_cache": ("nanolm.generation.kv_cache", ("extend", "select"), "few tokens: all blocks in one kernel, weights read once"),
    "int8": ("nanolm.generation.int8", ("extend",), "the same, reading int8"),
    "llama_cache": ("nanolm.generation.llama_cache", ("extend",), "the same for Llama's shape, shared out by columns"),
}
BACKENDS = ("numba", "numpy")
_plain = {}                                             # (twin, function): the plain function, while a twin is in its place


def use(backend):
    """Put the twins in place ("numba") or take them away ("numpy"), for the whole process.

    Raises ValueError for any other name, ImportError if Numba is missing, RuntimeError if a function of somebody else
    stands in a place that has a twin (gradcheck.swap).
    """
    if backend not in BACKENDS:
        raise ValueError(f'kernels.use takes "numba" or "numpy", but got {backend!r}.')
    if backend == "numba" and not available():
        raise ImportError('the fast kernels need Numba. Install it (pip install numba), or choose the plain functions: '
                          'kernels.use("numpy"), or NANOLM_KERNELS=numpy in the environment.')
    if backend == in_use():
        return
    places = [(twin, importlib.import_module(plain), name)
              for twin, (plain, names, _) in TWINS.items() for name in names]
    twins = {twin: importlib.import_module(f"nanolm.kernels.{twin}") for twin in TWINS} if backend == "numba" else {}
    if backend == "numba":
        for twin, module, name in places:
            if not stands_in(module, name, module.__name__):
                raise RuntimeError(f"{module.__name__}.{name} is not its own function at present: something was put in its "
                                   f"place (gradcheck.swap?). Call kernels.use before that, or after it has been put back.")
        for twin, module, name in places:
            _plain[twin, name] = getattr(module, name)
            setattr(module, name, getattr(twins[twin], name))
    else:
        for twin, module, name in places:
            if not stands_in(module, name, f"nanolm.kernels.{twin}"):
                raise RuntimeError(f"{module.__name__}.{name} is not the fast twin at present: something was put in its "
                                   f"place (gradcheck.swap?). Call kernels.use before that, or after it has been put back.")
        for twin, module, name in places:
            setattr(module, name, _plain.pop((twin, name)))


def stands_in(module, name, home):
    """Return whether module.name is a function that the module called `home` defines; one that wraps it is not."""
    function = getattr(module, name)
    return getattr(function, "__module__", None) == home and not hasattr(function, "__wrapped__")


@contextlib.contextmanager
def using(backend):
    """Use a backend inside a with statement, and the one before again after it."""
    before = in_use()
    use(backend)
    try:
        yield
    finally:
        use(before)


def in_use():
    """Return "numba" or "numpy": whose functions stand in the modules now."""
    return "numba" if _plain else "numpy"


def available():
    """Return whether Numba is installed; it is not imported by asking."""
    return importlib.util.find_spec("numba") is not None


def default():
    """Return what NANOLM_KERNELS says, else "numba" where it is installed and compiles, else "numpy".

    With NUMBA_DISABLE_JIT=1 nothing is compiled: the twins, number by number, would be hundreds of times slower than NumPy.
    """
    return asked_for() or ("numba" if available() and compiles() else "numpy")


def asked_for():
    """Return the word in NANOLM_KERNELS if it is one of BACKENDS, else "": `import nanolm` has warned that it is ignored."""
    asked = os.environ.get("NANOLM_KERNELS", "")
    return asked if asked in BACKENDS else ""


def compiles():
    """Return whether Numba compiles, or was told not to by NUMBA_DISABLE_JIT."""
    return os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")


def choose(asked=""):
    """Return the backend to use: `asked`, else default(); or "numpy", with a warning, where default() does not work.

    Numba may be installed and not load (another NumPy, a damaged installation), or a function of yours may stand where a
    twin belongs. Asked for by name, here or by NANOLM_KERNELS, that is an error: ImportError, RuntimeError or ValueError.
    """
    name = asked or default()
    if name == "numba" and not compiles():
        warnings.warn("NUMBA_DISABLE_JIT is set, so the fast kernels are not compiled: they run as plain Python, hundreds of "
                      "times slower than NumPy. That is for stepping through them; unset it for all else.", stacklevel=2)
    try:
        with using(name):
            return name
    except Exception as error:                          # what a damaged Numba raises is anybody's guess
        if asked or asked_for():
            if isinstance(error, (ImportError, RuntimeError, ValueError)):
                raise
            raise ImportError(f"Numba is installed, but cannot be imported ({error!r}). Install it again, or choose the "
                              f"plain functions: NANOLM_KERNELS=numpy in the environment.") from error
        reason = str(error).partition("\n")[0] or type(error).__name__
        warnings.warn(f"the fast kernels cannot be used, the plain functions do their work: {reason}", stacklevel=2)
        return "numpy"


def warm_up(progress=True):
    """Compile all kernels in use for float32, unless that was done before; say so, with a bar: see warm.py."""
    if in_use() == "numba":
        from nanolm.kernels import warm
        warm.up(progress)


def plain(twin, name):
    """Return the plain function whose twin is in place now, or which stands there itself: kernels.plain("gelu", "forward")."""
    module, _, _ = TWINS[twin]
    return _plain.get((twin, name)) or getattr(importlib.import_module(module), name)
