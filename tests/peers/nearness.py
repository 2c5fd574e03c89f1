"""How near two arrays are, for the comparisons with peers."""
import numpy as np


def close(got, expected, relative, name):
    """Error norm against the expected array's norm; where that is all rounding, against the size of one rounding."""
    size = np.linalg.norm(expected)
    error = np.linalg.norm(got - expected)
    assert error <= relative * max(size, np.finfo(got.dtype).eps), f"{name}: {error} of {size}"
