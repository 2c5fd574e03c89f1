"""Wrong answers to the exercises on the embedding; the labels (E1) and (E2) are those of layers/embedding.py."""
import numpy as np

from nanolm.grading.exercise import ways


def spread(rows, ids, V, repeats="add", uses="all"):
    """Return (V, C): the rows handed to their ids, rightly with repeats="add" and uses="all"."""
    batch_ids, batch_rows, C = np.atleast_1d(ids), rows.reshape(*np.atleast_1d(ids).shape, -1), rows.shape[-1]
    if uses in ("first of batch", "last of batch") or uses == "first sequence" and ids.ndim > 1:
        part = slice(-1, None) if uses == "last of batch" else slice(0, 1)
        batch_ids, batch_rows = batch_ids[part], batch_rows[part]
    ids, rows = batch_ids.reshape(-1), batch_rows.reshape(-1, C)
    if uses == "one short":
        ids, rows = ids[:-1], rows[:-1]
    if uses == "one id less":
        ids = ids - 1                                                       # -1 is the last row of the table
    total, count = np.zeros((V, C), rows.dtype), np.zeros((V, 1))
    if repeats == "lost within":
        for id_, row in zip(batch_ids, batch_rows):
            total[id_] += row                                               # several ids at once, if there are more axes
        return total
    if repeats in ("last", "first"):
        for id_, row in zip(ids, rows) if repeats == "last" else zip(ids[::-1], rows[::-1]):
            total[id_] = row
        return total
    np.add.at(total, ids, rows)
    np.add.at(count, ids, 1)
    return {"add": lambda: total, "mean": lambda: total / np.maximum(count, 1), "mean, NaN": lambda: total / count,
            "root": lambda: total / np.sqrt(np.maximum(count, 1))}[repeats]()


def embedding_backward(dy, cache, repeats="add", uses="all", times="1", rows="V", dy_used="kept", returned="dweight"):
    """embedding.backward, with a switch wherever people go wrong."""
    ids, V = cache
    C = dy.shape[-1]
    up = {"kept": dy, "forgotten": np.ones_like(dy), "channels": np.zeros_like(dy) + dy.sum(axis=-1, keepdims=True)}[dy_used]
    dweight = spread(up, ids, V, repeats, uses)
    dweight = dweight * {"1": 1, "mean over tokens": 1 / max(ids.size, 1), "batch": 1 / (len(ids) if ids.ndim else 1),
                         "root of C": np.sqrt(C), "sign": -1, "twice": 2}[times]
    if rows in ("no row 0", "no last row"):
        dweight[0 if rows == "no row 0" else -1] = 0
    used = np.unique(ids)
    dweight = {"V": dweight, "no row 0": dweight, "no last row": dweight, "up to the largest id": dweight[:int(ids.max()) + 1],
               "used": dweight[used], "all but the last": dweight[:-1]}[rows]
    return {"dweight": lambda: dweight, "turned": lambda: dweight.T, "dy": lambda: dy, "looked up": lambda: dweight[ids],
            "ids too": lambda: (np.zeros(ids.shape), dweight)}[returned]()


EMBEDDING_BACKWARD = ways(
    embedding_backward,
    mean_over_tokens=("dweight is divided by the number of tokens. (E2) is a plain sum; if a mean is wanted, the loss has "
                      "taken it and it is in dy.", {"times": "mean over tokens"}),
    batch_mean=("dweight is divided by the length of the first axis of ids. (E2) is a plain sum.", {"times": "batch"}),
    scaled_by_root_of_channels=("dweight is multiplied by sqrt(C). The first Transformer scales its embeddings so in forward; "
                                "(E1) here does not.", {"times": "root of C"}),
    wrong_sign=("dweight has the wrong sign. backward returns the gradient itself; the minus sign belongs to the optimizer's "
                "step.", {"times": "sign"}),
    twice=("dweight is twice what it should be: each place hands its dy to its row once, (E2).", {"times": "twice"}),
    repeats_lost=("An id that occurs several times keeps only its last dy. dweight[ids] = dy does that, and dweight[ids] += "
                  "dy too: it reads all rows first and writes them one after the other. np.add.at(dweight, ids, dy) adds "
                  "every one, (E2).", {"repeats": "last"}),
    repeats_lost_within_a_sequence=("An id that occurs several times in one sequence keeps only its last dy there. The loop runs "
                                    "over the first axis alone, and dweight[ids[b]] += dy[b] adds only once where ids[b] has "
                                    "repeats. np.add.at adds every one, (E2).", {"repeats": "lost within"}),
    first_repeat_only=("An id that occurs several times keeps only its first dy. All its places looked up the same row, so their "
                       "gradients add up, (E2).", {"repeats": "first"}),
    mean_of_repeats=("An id that occurs several times gets the mean of its dy. (E2) is a sum: the row moved the loss at every "
                     "place.", {"repeats": "mean"}),
    mean_of_repeats_nan=("Each row is the mean of its dy, and the mean of no dy is NaN, for rows that no one looked up. (E2) "
                         "is a sum: those rows get zero, and repeated ids all of their dy.", {"repeats": "mean, NaN"}),
    divided_by_root_of_count=("Rows are divided by the root of how often their id occurs. (E2) is a plain sum.",
                              {"repeats": "root"}),
    first_of_batch_only=("Only the first entry of ids' first axis is handed on, ids[0] and dy[0]. (E2) sums over all places: "
                         "flatten both.", {"uses": "first of batch"}),
    first_sequence_only=("Only the first sequence is handed on where there are several, ids[0] and dy[0]. (E2) sums over all "
                         "places: flatten both.", {"uses": "first sequence"}),
    last_of_batch_only=("Only the last entry of ids' first axis is handed on. Is dweight made anew, or assigned, in a loop "
                        "over the batch? (E2) sums over all places.", {"uses": "last of batch"}),
    last_token_lost=("The last token's dy is lost: does a loop end one too early? (E2) sums over all places.",
                     {"uses": "one short"}),
    ids_from_one=("Every dy went to the row before its own: ids count from 0, and row v belongs to id v.",
                  {"uses": "one id less"}),
    row_zero_emptied=("Row 0 is zero. Some libraries keep one id for padding and give it no gradient; in (E2) id 0 is a token "
                      "like any other.", {"rows": "no row 0"}),
    last_row_left_out=("The table's last row is zero: does a loop over the ids end one too early? They go from 0 to V - 1, that "
                       "one included, (E2).",
                       {"rows": "no last row"}),
    as_long_as_the_largest_id=("dweight ends with the largest id that occurs. It must be shaped like weight, (V, C), V from "
                               "the cache; rows that no one looked up are zero.", {"rows": "up to the largest id"}),
    only_used_rows=("dweight holds only the rows that were looked up. It must be shaped like weight, (V, C), with zeros for "
                    "the others.", {"rows": "used"}),
    one_row_short=("dweight has V - 1 rows; ids go from 0 to V - 1, so there are V.", {"rows": "all but the last"}),
    dy_forgotten=("dweight counts how often each id occurs: dy was forgotten. Each place hands its dy to its row, (E2).",
                  {"dy_used": "forgotten"}),
    channels_summed=("All channels of a row are the same: dy was summed over its last axis. Channel c of dy belongs to "
                     "channel c of the row, (E2).", {"dy_used": "channels"}),
    turned=("dweight has the shape (C, V), it is transposed: a row of the table is a token, (V, C).", {"returned": "turned"}),
    dy_returned=("dy came back as it was. It is the gradient of y, one row a place; dweight has one row for each id, so the "
                 "rows of dy must be added to the rows of a table of zeros, (E2).", {"returned": "dy"}),
    looked_up_again=("dweight was looked up by ids once more at the end and has y's shape. Return the table itself, (V, C).",
                     {"returned": "looked up"}),
    a_pair_returned=("Two things came back. ids are whole numbers and have no gradient: return dweight alone.",
                     {"returned": "ids too"}),
)


def embedding_backward_tied(dy, cache, dweight, repeats="add", uses="all", lookup=1.0, other=1.0, at="all rows", returned="sum"):
    """embedding.backward_tied, with a switch wherever people go wrong."""
    ids, V = cache
    looked_up = spread(dy, ids, V, repeats, uses)
    used = np.isin(np.arange(V), ids)[:, None]
    if at == "overwritten":
        return np.where(used, looked_up, dweight)
    if at == "used rows":
        return np.where(used, looked_up + dweight, 0)
    if at == "each place":
        return looked_up + np.bincount(ids.reshape(-1), minlength=V)[:, None] * dweight
    total = lookup * looked_up + other * dweight
    return {"sum": lambda: total, "pair": lambda: (looked_up, dweight), "product": lambda: looked_up * dweight,
            "turned": lambda: total.T, "other turned": lambda: looked_up + dweight.T,
            "larger": lambda: np.where(np.abs(looked_up) > np.abs(dweight), looked_up, dweight)}[returned]()


EMBEDDING_TIED = ways(
    embedding_backward_tied,
    lookup_forgotten=("Only the other use's gradient came back. A table with two uses gets the sum of both gradients: the "
                      "looked up rows, (E2), plus dweight.", {"lookup": 0.0}),
    other_use_forgotten=("Only the lookup's gradient came back. A table with two uses gets the sum of both gradients: (E2) "
                         "plus the dweight that was handed over.", {"other": 0.0}),
    halved=("The mean of the two gradients came back. Two uses of one table are two ways to move the loss, and they add up.",
            {"lookup": 0.5, "other": 0.5}),
    lookup_twice=("The lookup's gradient is counted twice; each of the two uses counts once.", {"lookup": 2.0}),
    other_use_twice=("The other use's gradient is counted twice: was dweight the table that is added to, and added again at "
                     "the end?", {"other": 2.0}),
    lookup_subtracted=("The lookup's gradient is subtracted; the two gradients add up.", {"lookup": -1.0}),
    other_use_subtracted=("The other use's gradient is subtracted; the two gradients add up.", {"other": -1.0}),
    rows_overwritten=("The rows that were looked up hold the lookup's gradient alone: it was written over the other use's. "
                      "Add the two.", {"at": "overwritten"}),
    other_use_added_at_each_place=("dweight is added once for each place that looked the row up. It is the gradient of the other "
                                   "use, and is added once to each row, looked up or not.", {"at": "each place"}),
    unused_rows_lost=("Rows that no id looked up are zero, but their other use has a gradient: only the lookup's part is zero "
                      "there.", {"at": "used rows"}),
    repeats_lost=("An id that occurs several times keeps only its last dy. dweight[ids] += dy does that: it reads all rows "
                  "first and writes them one after the other. np.add.at adds every one, (E2).", {"repeats": "last"}),
    first_repeat_only=("An id that occurs several times keeps only its first dy; all of them add up, (E2).",
                       {"repeats": "first"}),
    mean_of_repeats=("An id that occurs several times gets the mean of its dy; (E2) is a sum.", {"repeats": "mean"}),
    first_of_batch_only=("Only the first entry of ids' first axis is handed on, ids[0] and dy[0]. (E2) sums over all places.",
                         {"uses": "first of batch"}),
    last_of_batch_only=("Only the last entry of ids' first axis is handed on. (E2) sums over all places.",
                        {"uses": "last of batch"}),
    last_token_lost=("The last token's dy is lost: does a loop end one too early? (E2) sums over all places.",
                     {"uses": "one short"}),
    ids_from_one=("Every dy went to the row before its own: ids count from 0, and row v belongs to id v.",
                  {"uses": "one id less"}),
    not_added=("The two gradients came back side by side. The table is one array with two uses: return their sum.",
               {"returned": "pair"}),
    multiplied=("The two gradients were multiplied. They are two ways to move the loss, and such ways add up.",
                {"returned": "product"}),
    larger_of_the_two=("Of the two gradients each entry keeps the larger one. They add up.", {"returned": "larger"}),
    other_use_turned=("dweight, the other use's gradient, was transposed. It is handed over shaped like the table, (V, C): "
                      "add it as it is.", {"returned": "other turned"}),
    turned=("The sum is transposed: it must be shaped like the table, (V, C).", {"returned": "turned"}),
)


def embedding_forward(ids, weight, rows="ids", scale="1", shape="kept"):
    """embedding.forward, with a switch wherever people go wrong."""
    V, C = weight.shape
    y = {"ids": lambda: weight[ids], "one less": lambda: weight[ids - 1], "one more": lambda: weight[(ids + 1) % V],
         "columns": lambda: weight[:, ids], "first of batch": lambda: np.broadcast_to(weight[ids[:1]], (*ids.shape, C)),
         "places": lambda: weight[np.arange(ids.size).reshape(ids.shape) % V], "sorted": lambda: weight[np.unique(ids)],
         "entries": lambda: weight.reshape(-1)[ids], "row slices": lambda: weight[:ids.size]}[rows]()
    y = y * {"1": 1, "root of C": np.sqrt(C), "one over root of C": 1 / np.sqrt(C)}[scale]
    return {"kept": lambda: y, "flat": lambda: y.reshape(-1, C), "summed": lambda: y.sum(axis=-2),
            "mean": lambda: y.mean(axis=-2), "turned": lambda: y.swapaxes(-1, -2)}[shape]()


EMBEDDING_FORWARD = ways(
    embedding_forward,
    scaled_by_root_of_channels=("y is multiplied by sqrt(C). The first Transformer does so; (E1) looks up the row and leaves "
                                "it as it is.", {"scale": "root of C"}),
    divided_by_root_of_channels=("y is divided by sqrt(C); (E1) looks up the row and leaves it as it is.",
                                 {"scale": "one over root of C"}),
    ids_from_one=("Each token got the row before its own: ids count from 0, and row v belongs to id v.", {"rows": "one less"}),
    one_row_too_far=("Each token got the row after its own: ids count from 0, and row v belongs to id v.", {"rows": "one more"}),
    columns_looked_up=("weight[:, ids] takes columns. A token is a row of the table, (V, C): weight[ids], (E1).",
                       {"rows": "columns"}),
    first_of_batch_only=("All entries of ids' first axis got the rows of the first one. Each has ids of its own, (E1).",
                         {"rows": "first of batch"}),
    places_for_ids=("The rows were taken in order, 0, 1, 2, ...: the token's place in the text, not its id, chose the row, (E1).",
                    {"rows": "places"}),
    each_id_once=("Only one row for each different id came back, in sorted order. y has a row for every place, repeats too, "
                  "(E1).", {"rows": "sorted"}),
    entries_for_rows=("Single numbers came back, one a token: the table was flattened before the lookup. (np.take does that "
                      "if axis=0 is left out.) y is (..., C).", {"rows": "entries"}),
    axes_flattened=("y has the shape (N, C): the axes of ids were flattened and not restored. y is (..., C), ids' axes first.",
                    {"shape": "flat"}),
    tokens_summed=("The tokens' vectors were added up. Each token keeps its own, (E1).", {"shape": "summed"}),
    tokens_averaged=("The tokens' vectors were averaged. Each token keeps its own, (E1).", {"shape": "mean"}),
    turned=("The last two axes of y are exchanged: channels stand last, (..., C).", {"shape": "turned"}),
)
