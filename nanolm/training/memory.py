"""Memory: refuse a run that cannot fit, and keep freed memory, which saves about a tenth of a training step on Linux.

`check` compares what a run needs (models/cost.py) with the memory of the machine, before anything is allocated. Without
it Linux would promise the memory, and end the program, without a word, when it is used.

`keep_freed` keeps freed memory instead of giving it back.

NumPy asks the C library for memory for every result. For large blocks, glibc's malloc asks the kernel for fresh
pages and hands them back on free. The kernel must fill every fresh page with zeros, at the moment it is first
touched (a page fault, once for every 4,096 bytes). A training step makes and drops gigabytes of temporaries, and
would have the same memory zeroed again and again.

Three settings of glibc stop that:

    M_MMAP_MAX = 0              no block gets a private mapping, so that free never unmaps one
    M_TRIM_THRESHOLD = 2 GiB    freed memory at the end of the heap is kept, up to so much
    M_TOP_PAD = 64 MiB          and when the heap grows, it grows in large pieces

The price: a process keeps the memory of its largest step until it ends. The results are the same to the last bit.

Measured  processor time of a step with AdamW, 32 rows of 128 tokens, V 1,024, one thread, median of 8, on a virtual
          machine: 4 layers x 128 channels 650 ms without, 556 with; 6 x 192 1,559 and 1,436. In the eight steps
          309,000 page faults became 31,000. The largest memory of the process was the same (344 and 350 MB).
Source    the Linux manual page mallopt(3).
Tested    tests/test_trainer.py.
"""
import ctypes
import os
import platform

from nanolm.models import cost

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4    # from glibc's malloc.h


def check(config, settings, processes=1):
    """Raise MemoryError if training needs more memory than the machine has. Where that is not known, all is well.

    processes   how many ranks (ranks.py) share this machine: each has weights, optimizer, gradients and a buffer of these
    """
    have = physical()
    at_once = min(settings.shards, settings.workers or settings.shards)         # shards that are computed at one time
    rows = at_once * -(-settings.batch_size // settings.shards)                 # -(-a // b) is a / b rounded up
    need = cost.memory(config, min(rows, settings.batch_size), itemsize=8 if settings.dtype == "float64" else 4)
    each = need["weights"] + need["optimizer"] + need["gradients"] * (1 if processes == 1 else 2)
    total = processes * each + need["activations"]
    if have is not None and total > have:
        raise MemoryError(f"training this model needs about {total / 1e9:,.1f} GB, and this machine has "
                          f"{have / 1e9:,.1f} GB")


def physical():
    """Return the bytes of memory that the machine has, or None where Python cannot tell (Windows)."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def keep_freed():
    """Tell glibc to keep freed memory; return whether it agreed. Other C libraries and systems: no effect, False."""
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)                            # the C library that this process runs on already
    settings = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_TOP_PAD, 64 * 2**20))
    agreed = [libc.mallopt(name, value) == 1 for name, value in settings]
    return all(agreed)
