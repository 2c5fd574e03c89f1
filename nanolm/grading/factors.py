"""Which product of sizes is this number? A sum in place of a mean over C channels is C times too large.

    name_of([4.0, 6.0], [{"B": 2, "T": 2, "C": 4}, {"B": 2, "T": 3, "C": 6}])      ->  "C"

One number proves nothing: 6 may be C, or B T. So the same factor is looked for in several calls whose sizes differ, and a
name is given only if it fits all of them.

Tested    tests/grading/test_signatures.py.
"""
import math
from itertools import permutations

CLOSE = 1e-6


def candidates(sizes):
    """Return {name: value} of what a factor may be, simple ones first. sizes: {"B": 2, ...} of one call."""
    found = {"0": 0.0, "-1": -1.0, "2": 2.0, "1/2": 0.5, "-2": -2.0, "3": 3.0}
    for name, n in sizes.items():
        found |= {name: n, f"1/{name}": 1 / n, f"sqrt({name})": math.sqrt(n), f"1/sqrt({name})": 1 / math.sqrt(n)}
    for name, n in sizes.items():
        found |= {f"-{name}": -n, f"{name}^2": n * n, f"1/{name}^2": 1 / n**2}
        if n != 1:
            found |= {f"{name}/({name}-1)": n / (n - 1), f"({name}-1)/{name}": (n - 1) / n, f"{name}-1": n - 1,
                      f"sqrt(({name}-1)/{name})": math.sqrt((n - 1) / n), f"sqrt({name}/({name}-1))": math.sqrt(n / (n - 1))}
    for (one, n), (two, m) in permutations(sizes.items(), 2):
        found[f"{one}/{two}"] = n / m
        if one < two:
            found |= {f"{one} {two}": n * m, f"1/({one} {two})": 1 / (n * m)}
    return found


def name_of(factors, sizes):
    """Return the name of the factors, one for each of the dicts of sizes, or None if no name fits all of them."""
    tables = [candidates(one) for one in sizes]
    for name in tables[0]:
        if all(name in table and math.isclose(table[name], factor, rel_tol=CLOSE, abs_tol=CLOSE)
               for table, factor in zip(tables, factors)):
            return name
    return None


def in_words(factors, sizes):
    """Return "C times the right one", "1/T of the right one" or a number, whatever is known of the factors."""
    name = name_of(factors, sizes)
    if name == "-1":
        return "the right one with the other sign"
    if name is not None:
        values = f" (here {factors[0]:.6g})" if any(letter.isalpha() for letter in name) else ""
        return f"{name} times the right one{values}"
    if max(factors) - min(factors) <= CLOSE * max(map(abs, factors)):
        return f"{factors[0]:.6g} times the right one"
    return f"{', '.join(f'{factor:.6g}' for factor in factors[:3])} times the right one, in calls of different sizes"
