"""How long ago this process began: what a person has waited.

On Linux the system knows (proc(5): field 22 of /proc/self/stat, in ticks since the machine was started); elsewhere it is
counted from the import of this file, which Python reaches about 0.1 s after the beginning.

Tested    tests/test_kernels_cache.py.
"""
import os
import time
from pathlib import Path

IMPORTED = time.perf_counter()


def seconds():
    """Return the seconds since the process began, a float."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()          # from field 3 on
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        return time.perf_counter() - IMPORTED
