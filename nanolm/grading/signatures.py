"""What can be said of a wrong array without knowing the mistake: a factor, a transpose, a permutation, zeros, some rows.

    seen(got, expected, sizes)  ->  [Sign("factor", "Every entry is C times the right one (here 4).")]

Several calls are looked at together, because one call proves little: 6 may be C, or B T.

Tested    tests/grading/test_signatures.py.
"""
from dataclasses import dataclass

import numpy as np

from nanolm.grading import factors

CLOSE = 1e-6                                        # a residual below this share of the whole is rounding


@dataclass
class Sign:
    """One thing that is seen. name: zero, nan, sign, factor, factors_by_row, transposed, permuted, some_rows, offset, ..."""
    name: str
    sentence: str


def seen(pairs, sizes, output):
    """Return the Signs of one output in several calls. pairs: [(got, expected)] arrays; sizes: [dict], one each."""
    pairs = [(np.asarray(got, np.float64), np.asarray(right, np.float64)) for got, right in pairs]
    if any(got.shape != right.shape for got, right in pairs):
        return shapes(pairs, sizes, output)
    if any(np.isnan(got).any() for got, _ in pairs):
        return nans(pairs, output)
    if all(np.abs(got).max(initial=0) <= 1e-12 * np.abs(right).max(initial=0) for got, right in pairs):
        return [Sign("zero", f"{output} is zero everywhere.")]
    for look in (constant_factor, transposed, other_axis_reversed, permuted, zero_rows, factors_by_axis, some_rows, shifted):
        sign = look(pairs, sizes, output)
        if sign:
            return [sign]
    return [correlation(pairs, output)]


def shapes(pairs, sizes, output):
    """Say what a wrong shape is: the transpose, an axis that was not summed, an axis too many."""
    got, right = next((g, r) for g, r in pairs if g.shape != r.shape)
    if got.shape == right.shape[::-1] and got.ndim > 1:
        same = close(got.T, right)
        return [Sign("transposed", f"{output} is transposed: it has the shape {got.shape}, expected {right.shape}."
                     + (" Its numbers are right." if same else ""))]
    if got.size == right.size and close(got.reshape(right.shape), right):
        return [Sign("axes_kept", f"{output} holds the right numbers in the shape {got.shape}, expected {right.shape}.")]
    if got.ndim > right.ndim and got.shape[got.ndim - right.ndim:] == right.shape:
        axes = tuple(range(got.ndim - right.ndim))
        same = close(got.sum(axis=axes), right)
        return [Sign("not_summed", f"{output} has the shape {got.shape}, expected {right.shape}: "
                     + ("summed over its first axes it is right." if same else "it has axes too many in front."))]
    return [Sign("wrong_shape", f"{output} has the shape {got.shape}, expected {right.shape}.")]


def nans(pairs, output):
    """Say where the NaNs are."""
    number = sum(int(np.isnan(got).sum()) for got, _ in pairs)
    whole = next((got for got, _ in pairs if got.ndim > 1 and np.isnan(got).any()), None)
    rows = whole is not None and (np.isnan(whole).any(axis=-1) == np.isnan(whole).all(axis=-1)).all()
    where = ", always whole rows: is something divided by zero there, or is it 0 times infinity?" if rows else ""
    return [Sign("nan", f"{output} holds NaN, {number} of {sum(got.size for got, _ in pairs)} entries{where}")]


def constant_factor(pairs, sizes, output):
    found = []
    for got, right in pairs:
        c = ratio(got, right)
        if c is None or not close(got, c * right):
            return None
        found.append(c)
    name = "sign" if factors.name_of(found, sizes) == "-1" else "factor"
    what = "Every entry of " * any(right.size > 1 for _, right in pairs) + output
    return Sign(name, f"{what} is {factors.in_words(found, sizes)}.")


def transposed(pairs, sizes, output):
    swapped = [(got.swapaxes(-1, -2), right) for got, right in pairs if got.ndim > 1]
    if len(swapped) == len(pairs) and all(got.shape == right.shape and close(got, right) for got, right in swapped):
        return Sign("transposed", f"{output} is transposed.")
    return None


def permuted(pairs, sizes, output):
    if all(close(np.sort(got, axis=None), np.sort(right, axis=None)) for got, right in pairs):
        return Sign("permuted", f"{output} holds the right numbers in other places: axes were mixed. Is there a reshape that "
                    f"should have been a transpose and then a reshape?")
    return None


def other_axis_reversed(pairs, sizes, output):
    for axis in (-1, -2):
        if all(got.ndim >= -axis and close(np.flip(got, axis), right) for got, right in pairs):
            return Sign("reversed", f"{output} is right, but in the reverse order along its "
                        f"{'last' if axis == -1 else 'last but one'} axis.")
    return None


def factors_by_axis(pairs, sizes, output):
    """A factor for each row or for each column: something per token, or per channel, is missing."""
    for axis, word in ((-1, "row"), (-2, "column")):
        if not all(got.ndim >= 2 and got.shape[axis] > 1 for got, _ in pairs):
            continue
        fit = True
        for got, right in pairs:
            squares = (right * right).sum(axis=axis, keepdims=True)
            with np.errstate(all="ignore"):
                c = np.where(squares > 0, (got * right).sum(axis=axis, keepdims=True) / squares, 0)
            fit = fit and close(got, c * right)
        if fit:
            per = "token (or whatever a row is)" if axis == -1 else "channel (or whatever a column is)"
            return Sign(f"factor_by_{word}", f"Each {word} of {output} is the right one times a factor of its own: a factor for "
                        f"each {per} is missing, or one too many.")
    return None


def zero_rows(pairs, sizes, output):
    """Some rows are right and the others are zero."""
    sign = some_rows(pairs, sizes, output)
    return sign if sign and sign.sentence.endswith("zero.") else None


def some_rows(pairs, sizes, output):
    """Some rows are right and others are not at all."""
    right_rows, all_rows, zeros = 0, 0, True
    for got, right in pairs:
        if got.ndim < 2:
            return None
        flat, wanted = got.reshape(-1, got.shape[-1]), right.reshape(-1, right.shape[-1])
        told = [(a, b) for a, b in zip(flat, wanted) if a.any() or b.any()]    # not rows that are zero and ought to be
        same = np.array([close(a, b, np.abs(wanted).max(initial=0)) for a, b in told], bool)
        flat = np.array([a for a, _ in told]).reshape(len(told), flat.shape[-1])
        right_rows, all_rows = right_rows + int(same.sum()), all_rows + same.size
        zeros = zeros and not flat[~same].any()
    if not 0 < right_rows < all_rows:
        return None
    return Sign("some_rows", f"{right_rows} of {all_rows} rows of {output} are right; the others are "
                f"{'zero' if zeros else 'wrong'}.")


def shifted(pairs, sizes, output):
    """The same number too much everywhere."""
    moved = [got - right for got, right in pairs]
    if all(m.size > 1 and m.any() and close(m, np.full_like(m, m.mean())) for m in moved):
        return Sign("offset", f"Every entry of {output} is off by the same number (here {moved[0].mean():.6g}).")
    return None


def correlation(pairs, output):
    """Say how much the two have to do with each other."""
    largest = max(np.abs(r).max(initial=0) for _, r in pairs)
    pairs = [(g, r) for g, r in pairs if np.abs(r).max(initial=0) > 1e-9 * largest] or pairs     # not where it ought to be zero
    scales = [max(np.abs(g).max(initial=0), np.abs(r).max(initial=0), 1e-300) for g, r in pairs]
    got = np.concatenate([g.ravel() / scale for (g, _), scale in zip(pairs, scales)])
    right = np.concatenate([r.ravel() / scale for (_, r), scale in zip(pairs, scales)])
    size = np.linalg.norm(got) * np.linalg.norm(right)
    cosine = float(got @ right / size) if size > 0 else 0.0
    if cosine > 0.9:
        return Sign("near", f"{output} points about the right way (cosine {cosine:.3f}) and is not right. The example below "
                    f"shows where it differs.")
    if abs(cosine) < 0.2:
        return Sign("unrelated", f"{output} has little to do with the right one (cosine {cosine:.2f}).")
    return Sign("partly", f"{output} and the right one have the cosine {cosine:.2f}: something of it is right. Look at the "
                f"example below: which entries differ, and which do not?")


def ratio(got, right):
    """Return c of got = c right by least squares, None where right is all zero."""
    squares = float((right * right).sum())
    return float((got * right).sum()) / squares if squares > 0 else None


def close(got, right, scale=None):
    scale = np.abs(right).max(initial=0) if scale is None else scale
    return got.shape == right.shape and bool((np.abs(got - right) <= CLOSE * scale + 1e-300).all())
