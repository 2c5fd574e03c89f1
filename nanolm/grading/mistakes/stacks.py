"""What models have in common on the way back: the stack of blocks, the table that is used twice, and the mistakes there.

The switches are called by where they sit: blocks="forward order", table="head only".
"""
import numpy as np

from nanolm.layers import embedding
from nanolm.params import flatten


def stack(dx, caches, backward, way="chain"):
    """Return dx and the blocks' gradients, {"0": ..., "1": ...}, after going through all of them from the top."""
    order = list(range(len(caches)))
    order = order if way == "forward order" else order[::-1]
    order = {"first left out": order[:-1], "last left out": order[1:]}.get(way, order)
    top, dblocks = dx, {str(i): None for i in sorted(order)}
    for i in order:
        d, dblocks[str(i)] = backward(top if way == "each from the top" else dx, caches[i])
        dx = dx + d if way == "skips added" else d
    keys = list(dblocks)
    return dx, {"keys turned": lambda: dict(zip(keys, reversed(dblocks.values()))),
                "whole numbers": lambda: {int(i): dblocks[i] for i in keys},
                "in a list": lambda: list(dblocks.values()), "names of their own": lambda: {f"h.{i}": dblocks[i] for i in keys},
                }.get(way, lambda: dblocks)()


def of_stack(switch, key, what="the blocks", prefix=""):
    """Return {mistake: (sentence, switches)} of a stack. key: where its gradients stand, 'dp["h"]'."""
    return {f"{prefix}{name}": (sentence, {switch: way}) for name, way, sentence in (
        ("blocks_in_forward_order", "forward order",
         f"{what[0].upper()}{what[1:]} are gone through from the first to the last. Backward begins where forward ended: for i "
         f"in reversed(range(L))."),
        ("each_block_from_the_top", "each from the top",
         f"Each of {what} gets the gradient from the top of the stack. It gets what the block above it returned: dx, ... = "
         f"backward(dx, cache), the same name on both sides."),
        ("skip_around_blocks", "skips added",
         "What passes a block is added to what comes out of it. The skips are inside the blocks, and a block's backward has "
         "added them: dx is what it returned, no more."),
        ("first_block_left_out", "first left out",
         f"The first of {what} is left out: its gradients are missing, and what lies below it gets the gradient of the x above "
         f"it. range(L - 1, 0, -1) ends before 0: reversed(range(L)) does not."),
        ("last_block_left_out", "last left out",
         f"The last of {what} is left out: its gradients are missing, and the others get the gradient of the x above it. The "
         f"topmost block has the number L - 1."),
        ("block_keys_turned", "keys turned",
         f"The gradients of {what} stand under the wrong numbers, the last one's under 0. Block i's gradients belong to "
         f"{key}[str(i)]."),
        ("block_keys_whole_numbers", "whole numbers",
         f'The keys of {key} are whole numbers. They are words, as in p: "0", not 0; write str(i).'),
        ("blocks_in_a_list", "in a list",
         f'{key} is a list. It is a dict, as in p, with the keys "0", "1" and so on.'))}


def table(dhead, dx, c_lookup, way="sum"):
    """Return the gradient of a tied table (V, C): dhead (V, C) from the output, dx (B, T, C) at the lookup."""
    ids, V = c_lookup
    found = embedding.backward(dx, c_lookup)
    if way == "lookup overwritten":
        found = np.zeros_like(found)
        found[ids] = dx
        return dhead + found
    if way == "written over the head":
        over = dhead.copy()
        over[ids] = dx
        return over
    if way == "first sequence":
        return dhead + embedding.backward(dx[:1], (ids[:1], V))
    if way == "lookup averaged":
        return dhead + found / np.maximum(np.bincount(ids.ravel(), minlength=V), 1)[:, None]
    return {"sum": lambda: dhead + found, "head only": lambda: dhead, "lookup only": lambda: found,
            "average": lambda: (dhead + found) / 2,
            "twice": lambda: 2 * (dhead + found), "head twice": lambda: 2 * dhead + found,
            "lookup twice": lambda: dhead + 2 * found,
            "minus": lambda: dhead - found}[way]()


def of_table(switch, name):
    """Return {mistake: (sentence, switches)} of a table that is used twice. name: "wte"."""
    both = f"{name} is used twice, to look the ids up and as the output's matrix, so its gradient is the sum of two"
    return {mistake: (sentence, {switch: way}) for mistake, way, sentence in (
        ("head_only", "head only",
         f"{name} has the output's gradient alone, dhead. {both}; embedding.backward gives the other."),
        ("lookup_only", "lookup only",
         f"{name} has the lookup's gradient alone: rows of tokens that were never read are zero. {both}; the other is what "
         f"linear.backward gave for the head, turned."),
        ("table_averaged", "average", f"{name} has the average of its two gradients. {both}, without a half."),
        ("table_twice", "twice",
         f"{name}'s gradient is counted twice. {both}, each of them once: hand dhead to embedding.backward_tied, or add the two "
         f"yourself, not both."),
        ("head_twice", "head twice", f"{name}: the output's gradient is added twice. {both}, each of them once."),
        ("lookup_twice", "lookup twice",
         f"{name}: the lookup's gradient is added twice. {both}, each of them once: embedding.backward_tied adds it already."),
        ("table_minus", "minus", f"{name}: the lookup's gradient is subtracted. {both}."),
        ("lookup_overwritten", "lookup overwritten",
         f"{name}: where an id occurs more than once in the text, only its last place counts. dw[ids] = dx and dw[ids] += dx "
         f"keep the last of repeated ids; np.add.at adds them all, (E2)."),
        ("head_overwritten", "written over the head",
         f"{name}: the rows of the ids in the text are overwritten by the lookup's gradient, and the output's gradient is lost "
         f"there. {both}."),
        ("lookup_first_sequence", "first sequence",
         f"{name}: only the first sequence of the batch reaches the table by way of the lookup."),
        ("lookup_averaged", "lookup averaged",
         f"{name}: the lookup's gradient is divided by how often a token occurs. All its places add: (E2)."))}


def shaped(dp, way):
    """Return dp in another form than p's."""
    return {"own": lambda: dp, "dotted": lambda: flatten(dp), "a list": lambda: list(flatten(dp).values()),
            "with the loss": lambda: (0.0, dp)}[way]()


DOTTED = ('The keys of dp are dotted names. dp is nested as p is; params.flatten is for optimizers and files.',
          {"form": "dotted"})
