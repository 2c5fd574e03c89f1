"""A variant of RMS norm with groups of g channels, as a function of the student's g, and its wrong answers.

    y = n weight,   n = x rstd in each group of g neighbours, rstd = 1 / sqrt(average(x^2) + eps) over the group
    dx = rstd (dn - n average(dn n)),   dn = dy weight, the average over the group
"""
import numpy as np

from nanolm.grading.exercise import ways
from nanolm.grading.mistakes import variants_norms
from nanolm.grading.mistakes.sums import summed


def group_rms(g):
    """Return forward, backward, backward's mistakes and forward's."""
    def parted(a, way="neighbours"):
        """Return a (..., C) as (..., C/g, g), or the wrong way."""
        *axes, C = a.shape
        if way == "strided":
            return a.reshape(*axes, g, C // g).swapaxes(-1, -2)
        return a.reshape(*axes, 1, C) if way == "one" else a.reshape(*axes, C // g, g)

    def whole(a, way="neighbours"):
        return (a.swapaxes(-1, -2) if way == "strided" else a).reshape(*a.shape[:-2], -1)

    def forward(x, weight, eps=1e-5, groups="neighbours", root="eps inside", square=2, gain="each", centred=False):
        parts = parted(x, groups)                                               # (..., C/g, g)
        parts = parts - variants_norms.average(parts) if centred else parts
        power = np.abs(parts)**square
        mean = {"sum": power.sum(axis=-1), "over C": power.sum(axis=-1) / x.shape[-1],
                "unbiased": power.sum(axis=-1) / (g - 1)}.get(
            root, power.mean(axis=-1))
        std = {"no root": mean + eps, "eps outside": np.sqrt(mean) + eps, "no eps": np.sqrt(mean),
               "usual eps": np.sqrt(mean + 1e-5),
               "times": 1 / np.sqrt(mean + eps)}.get(root, np.sqrt(mean + eps))
        rstd = 1 / std
        n = whole(parts * rstd[..., None], groups)
        scale = {"each": weight, "forgotten": 1.0, "tiled": np.tile(weight[:g], len(weight) // g),
                 "first of group": np.repeat(weight[::g], g)}[gain]
        return n * scale, (x, weight, rstd)

    def backward(dy, cache, groups="neighbours", spread="repeat", gain="inside", by="n", over="tokens", channels="each",
                 count="group",
                 **switches):
        x, weight, rstd = cache
        spread_out = np.tile(rstd, g) if spread == "tile" else np.repeat(rstd, g, axis=-1)       # (..., C)
        n = x * spread_out
        dn = dy * (1.0 if gain in ("outside", "forgotten") else weight)
        parts = [parted(a, groups) for a in (n, dn, spread_out)]
        dx = variants_norms.through_rms(*parts, **switches)
        if gain == "forgotten in second term":
            dx = parts[2] * (parts[1] - parts[0] * variants_norms.average(parts[0] * parted(dy, groups)))
        if count == "C":                                                        # the average divided by C and not by g
            dx = parts[2] * (parts[1] - parts[0] * variants_norms.average(parts[0] * parts[1]) * g / x.shape[-1])
        dx = whole(dx, groups) * (weight if gain == "outside" else 1.0)
        dweight = summed(dy * {"n": n, "x": x, "dn": weight * n, "forgotten": 1 + 0 * n}[by], over)
        if channels == "added in the group" and over == "tokens":
            dweight = np.repeat(dweight.reshape(-1, g).sum(axis=-1), g)
        return dx, dweight

    backward_mistakes = ways(
        backward, **variants_norms.SHARED,
        one_group=(f"The average in dx runs over all channels, as in the library's RMS norm. Yours runs over the {g} channels of "
                   "a group: others do not meet in rstd.", {"groups": "one"}),
        strided_groups=(f"The groups are made of channels that lie apart. A group is {g} neighbours: .reshape(..., C // {g}, "
                        f"{g}), the group first.", {"groups": "strided"}),
        rstd_tiled=(f"rstd is laid out as r0 r1 r0 r1 ...: np.tile. Each group has one, {g} times in a row: np.repeat, or [..., "
                    "None] after the reshape.", {"spread": "tile"}),
        averaged_over_all_channels=(f"The sum over a group is divided by C: it is an average over the group's {g} channels.",
                                    {"count": "C"}),
        gain_forgotten=("weight does not appear in dx: what reaches n is dn = dy weight.", {"gain": "forgotten"}),
        dn_times_n_with_dy=("The average in dx is that of dy n: weight is forgotten there. What reaches n is dn = dy weight, and "
                            "dx = rstd (dn - n average(dn n)).", {"gain": "forgotten in second term"}),
        gain_outside=("weight stands outside in dx. dn = dy weight comes first, before the average.", {"gain": "outside"}),
        dweight_uses_x=("dweight multiplies dy by x: it is n = x rstd that stands beside weight.", {"by": "x"}),
        dweight_uses_dn=("dweight has a factor weight too many: it is made of dy n.", {"by": "dn"}),
        n_forgotten_in_dweight=("dweight sums dy alone: it is n = x rstd that weight multiplies.", {"by": "forgotten"}),
        dweight_summed_in_groups=("dweight is summed over the group. rstd is the group's, weight is each channel's own.",
                                  {"channels": "added in the group"}))
    forward_mistakes = ways(
        forward,
        one_group=(f"All channels are one group, as in the library's RMS norm. Yours has groups of {g}.", {"groups": "one"}),
        strided_groups=(f"The groups are made of channels that lie apart. A group is {g} neighbours: .reshape(..., C // {g}, "
                        f"{g}), the group first.", {"groups": "strided"}),
        sum_for_average=("The squares are added and not averaged: divide by the number of channels in a group.", {"root": "sum"}),
        averaged_over_all_channels=(f"The sum over a group is divided by C: it is an average over the group's {g} channels.",
                                    {"root": "over C"}),
        unbiased=(f"The sum of the squares is divided by {g - 1}: it is an average over {g}.", {"root": "unbiased"}),
        eps_outside_root=("eps is added to the root: it belongs inside, sqrt(average + eps).", {"root": "eps outside"}),
        eps_missing=("eps does not appear: sqrt(average + eps).", {"root": "no eps"}),
        eps_argument_ignored=("eps is always 1e-5, whatever the argument says.", {"root": "usual eps"}),
        root_forgotten=("x is divided by the average of the squares, not by its root.", {"root": "no root"}),
        multiplied_by_root=("x is multiplied by the root: divide.", {"root": "times"}),
        mean_subtracted=("The mean of the group is subtracted, as in layer norm. Here nothing is.", {"centred": True}),
        absolute_for_square=("|x| is averaged where x^2 belongs.", {"square": 1}),
        weight_forgotten=("weight does not appear: y = n weight.", {"gain": "forgotten"}),
        weight_of_first_group=("The first group's weights serve all groups: weight is (C,), one for each "
                               "channel.", {"gain": "tiled"}),
        weight_by_group=("The group's first weight serves the whole group: weight is (C,), one for each channel.",
                         {"gain": "first of group"}))
    return forward, backward, backward_mistakes, forward_mistakes
