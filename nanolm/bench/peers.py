"""Which peers are installed, and what to install if one is not."""
import importlib.util
import shutil

from nanolm import kernels

INSTALL = 'pip install -e ".[peers]"'


def missing(*packages, compiler=False):
    """Return why a peer that needs these packages cannot take part, in a sentence, or None if it can.

    compiler: it needs a C++ compiler too, as torch.compile does.
    """
    absent = [name for name in packages if importlib.util.find_spec(name) is None]
    if absent:
        return f"{' and '.join(absent)} {'are' if len(absent) > 1 else 'is'} not installed. To compare: {INSTALL}"
    if compiler and not any(shutil.which(name) for name in ("g++", "c++", "clang++", "cl")):
        return "it needs a C++ compiler, and there is none. On Debian or Ubuntu: apt install g++"
    return None


def no_kernels():
    """Return why our fast kernels cannot take part, or None if they can."""
    if not kernels.available():
        return "Numba is not installed. To install it: pip install numba"
    return None if kernels.default() == "numba" else "NANOLM_KERNELS=numpy is set"
