"""Wrong answers to the exercises on the length of the gradient and the limit on it."""
import math

import numpy as np

from nanolm.grading.exercise import ways, written


def global_norm(grads, of="all", power="root of squares", tied="once", which="all"):
    """clipping.global_norm. Each argument is a place where people go wrong; the values given here are the right ones."""
    arrays = list(grads.values()) if tied == "twice" else list({id(g): g for g in grads.values()}.values())
    if tied == "by value":
        arrays = list({g.tobytes(): g for g in grads.values()}.values())
    arrays = {"all": arrays, "first": arrays[:1], "last": arrays[-1:], "matrices": [g for g in arrays if g.ndim > 1]}[which]
    squares = [float((g * g).sum()) for g in arrays]
    norms = [math.sqrt(s) for s in squares]
    numbers = sum(g.size for g in arrays)
    if of == "sum of norms":
        return sum(norms)
    if of in ("largest norm", "mean of norms", "largest number"):
        return {"largest norm": max(norms, default=0.0), "mean of norms": sum(norms) / max(len(norms), 1),
                "largest number": max((float(np.abs(g).max()) for g in arrays), default=0.0)}[of]
    total = sum(squares)
    return {"root of squares": math.sqrt(total), "squares": total, "average": math.sqrt(total / max(numbers, 1)),
            "sum of sizes": float(sum(np.abs(g).sum() for g in arrays)),
            "square of sum": math.sqrt(sum(float(g.sum())**2 for g in arrays)),
            "sum": float(sum(g.sum() for g in arrays)), "averages": math.sqrt(sum(s / g.size for s, g in zip(squares, arrays))),
            "per array": math.sqrt(total / max(len(arrays), 1)), "root twice": total**0.25}[power]


ONE_NORM = dict(
    sum_of_norms=("The norms of the arrays are added. Squares are added, and one root is taken at the end: of lengths 3 and 4 "
                  "comes 5, not 7.", {"of": "sum of norms"}),
    largest_norm=("The largest of the arrays' norms is taken. All belong to one long vector: add the squares, then take the "
                  "root.",
                  {"of": "largest norm"}),
    mean_of_norms=("The average of the arrays' norms is taken. All belong to one long vector: add the squares, then take the "
                   "root.",
                   {"of": "mean of norms"}),
    largest_number=("The largest absolute entry is taken. The length of a vector is the root of the sum of all squares.",
                    {"of": "largest number"}),
    root_forgotten=("It is the sum of the squares: the root at the end is forgotten. Of 3 and 4 comes 5, not 25.",
                    {"power": "squares"}),
    root_taken_twice=("A root is taken too many: of the sum of squares once.", {"power": "root twice"}),
    averaged_over_entries=("The squares are averaged over all entries. A length is the root of their sum.", {"power": "average"}),
    averaged_in_each_array=("The squares are averaged in each array: mean() stands where sum() belongs.", {"power": "averages"}),
    averaged_over_arrays=("The sum of the squares is divided by the number of arrays. A length is the root of the sum.",
                          {"power": "per array"}),
    sizes_added=("The absolute entries are added: that is another norm, of 3 and 4 it makes 7. Add the squares, take the root.",
                 {"power": "sum of sizes"}),
    summed_before_squaring=("Each array is summed first and squared then, so that entries of different sign cancel: (g * "
                            "g).sum().",
                            {"power": "square of sum"}),
    tied_counted_twice=("A tied matrix counts twice. It is one array under two names, with one gradient: go through the arrays "
                        "by their id, {id(g): g for g in grads.values()}.", {"tied": "twice"}),
    tied_found_by_value=("Arrays with equal numbers are counted once. Two arrays may be equal by chance, both zero or both ones; "
                         "tied is what is the same array: compare id(g).", {"tied": "by value"}),
    first_array_only=("Only the first array counts: does a return stand inside the loop?", {"which": "first"}),
    last_array_only=("Only the last array counts: total = ... in the loop should be total += ....", {"which": "last"}),
    matrices_only=("Only arrays with two axes count. Gradients of biases and gains belong to the vector "
                   "too.", {"which": "matrices"}),
)

NORM = ways(global_norm, **{**ONE_NORM, "entries_added": (
    "All entries are added, and their signs with them. Add the squares, then take the root.", {"power": "sum"})})


def clip(grads, max_norm, scale="one factor", when="above", returned="before", finite="looked at", scaled="once",
         **norm_switches):
    """clipping.clip, with the switches of its mistakes; those of global_norm too."""
    norm = global_norm(grads, **norm_switches)
    arrays = list({id(g): g for g in grads.values()}.values())
    own = {id(g): math.sqrt(float((g * g).sum())) for g in arrays}
    if not math.isfinite(norm) and finite == "looked at":
        return norm
    with np.errstate(all="ignore"):
        share = np.float64(max_norm) / norm
        factor = float({"one factor": share, "squared": share / norm, "turned": norm / max_norm, "square of factor": share**2,
                        "limit": max_norm, "one over norm": 1 / np.float64(norm), "root": np.sqrt(share),
                        "eps": max_norm / (norm + 1e-6)}.get(scale, share))
        above = {"above": norm > max_norm, "always": norm != 0, "below": norm < max_norm, "never": False,
                 "above one": norm > 1}[when]
        if scale == "per array":
            for g in arrays:
                if own[id(g)] > max_norm:
                    g *= max_norm / own[id(g)]
        elif scale == "per array, one limit each":
            for g in arrays:
                if above and own[id(g)]:
                    g *= max_norm / own[id(g)]
        elif scale == "norm anew":
            for g in arrays:
                norm_now = global_norm(grads, **norm_switches)
                if norm_now > max_norm:
                    g *= max_norm / norm_now
        elif scale == "entries":
            for g in arrays:
                np.clip(g, -max_norm, max_norm, out=g)
        elif above:
            which = {"once": arrays, "twice": list(grads.values()), "first": arrays[:1], "last": arrays[-1:],
                     "matrices": [g for g in arrays if g.ndim > 1]}[scaled]
            for g in which:
                g *= factor
    after = global_norm(grads)
    return {"before": norm, "after": after, "factor": factor, "nothing": None, "clipped": bool(above),
            "limit": max_norm}[returned]


CLIP = ways(
    clip, **ONE_NORM,
    clipped_per_array=("Each array is clipped by its own norm. That turns the direction: the norm is one for all arrays "
                       "together, and so is the factor.", {"scale": "per array"}),
    each_array_made_max_norm_long=("Each array is given the length max_norm, so together they are longer, by sqrt(n) for n "
                                   "arrays, and the direction is another. One factor for all: max_norm / norm.",
                                   {"scale": "per array, one limit each"}),
    norm_made_anew_in_loop=("The norm is computed anew for each array, when those before it are shortened already. Compute it "
                            "once, before the loop: one factor for all.", {"scale": "norm anew"}),
    clipped_entry_by_entry=("Entries are cut at max_norm and -max_norm, which turns the direction. All are multiplied by one "
                            "factor, max_norm / norm.", {"scale": "entries"}),
    scaled_always=("Short gradients are lengthened to max_norm: the factor is used always. Only where norm > max_norm; else "
                   "gradients stay as they are.", {"when": "always"}),
    scaled_below=("The comparison is the wrong way round: gradients longer than max_norm are to be shortened, and they stay; "
                  "short ones are lengthened.", {"when": "below"}),
    never_scaled=("Nothing is shortened in place: g = g * factor makes a new array, and the one in grads stays. g *= factor.",
                  {"when": "never"}),
    compared_with_one=("The norm is compared with 1. It is compared with max_norm.", {"when": "above one"}),
    norm_squared_in_factor=("The factor is max_norm / norm^2, so what comes out is max_norm / norm long. It is max_norm / norm.",
                            {"scale": "squared"}),
    factor_squared=("Everything is multiplied by (max_norm / norm)^2: is it done twice? Once.", {"scale": "square of factor"}),
    factor_root=("Everything is multiplied by the root of max_norm / norm. Without the root: the norm is a length already.",
                 {"scale": "root"}),
    factor_turned=("The factor is norm / max_norm, which makes long gradients longer. It is max_norm / "
                   "norm.", {"scale": "turned"}),
    max_norm_as_factor=("Everything is multiplied by max_norm. The factor is max_norm / norm.", {"scale": "limit"}),
    made_one_long=("Everything is divided by the norm, so what comes out is 1 long. The factor is max_norm / norm.",
                   {"scale": "one over norm"}),
    eps_in_factor=("The factor is max_norm / (norm + 1e-6), as in PyTorch. Here it is max_norm / norm: norm is above max_norm, "
                   "so it is not 0. With gradients of 1e-6 that is no rounding any more.", {"scale": "eps"}),
    tied_scaled_twice=("A tied matrix is multiplied twice: its array is in grads under two names. Go through the arrays by their "
                       "id, once each, as for the norm.", {"scaled": "twice"}),
    tied_counted_and_scaled_twice=("A tied matrix counts twice in the norm and is multiplied twice. It is one array under two "
                                   "names: go through {id(g): g for g in grads.values()}.values(), both times.",
                                   {"tied": "twice", "scaled": "twice"}),
    first_array_scaled=("Only the first array is shortened. The factor is for all.", {"scaled": "first"}),
    last_array_scaled=("Only the last array is shortened: does g *= ... stand behind the loop?", {"scaled": "last"}),
    matrices_scaled=("Only arrays with two axes are shortened. The factor is for all, or the direction turns.",
                     {"scaled": "matrices"}),
    norm_after_returned=("The norm after clipping is returned, which is the smaller of norm and max_norm. Return the one before: "
                         "it is what one wants to see in a log.",
                         {"returned": "after"}),
    factor_returned=("The factor is returned. Return the norm before clipping.", {"returned": "factor"}),
    whether_returned=("It returns whether it clipped, True or False. Return the norm before clipping.", {"returned": "clipped"}),
    nothing_returned=("It returns nothing. Return the norm before clipping.", {"returned": "nothing"}),
    infinite_norm_scaled=("Where the norm is infinite or NaN the gradients are multiplied all the same: max_norm / inf is 0, "
                          "which makes zeros of all that was finite, and NaN of the rest. Then leave them as they are.",
                          {"finite": "ignored"}),
) + written(
    new_arrays=("A dict of new arrays is returned, and the gradients that the caller holds are as before. g *= factor changes "
                "them; what is returned is the norm.",
                lambda grads, max_norm: {name: g * min(1.0, max_norm / (global_norm(grads) or 1.0)) for name,
                                         g in grads.items()}),
)
