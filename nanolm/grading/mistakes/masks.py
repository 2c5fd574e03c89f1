"""Wrong answers to the exercises on masks; the labels (M1) and (M2) are those of layers/masks.py."""
import numpy as np

from nanolm.grading.exercise import ways


def in_form(mask, form):
    """Return the mask as booleans, or as people write it elsewhere."""
    return {"boolean": lambda: mask, "numbers": lambda: mask.astype(float), "-inf": lambda: np.where(mask, 0.0, -np.inf),
            "-1e9": lambda: np.where(mask, 0.0, -1e9)}[form]()


def causal(T, S=None, shift="S - T", diagonal=0, way="below", form="boolean", shape="(T, S)"):
    """masks.causal, with a switch wherever people go wrong."""
    if S is None and shape == "S asked for":
        return np.zeros(S + T, bool)                                        # None + T: an error, as in the student's
    S = T if S is None else S
    shift = {"S - T": S - T, "0": 0, "T - S": T - S, "all cached": S}[shift]
    rows, columns = (S, S) if shape == "(S, S)" else (T, T) if shape == "(T, T)" else (T, S)
    i, j = np.arange(rows)[:, None], np.arange(columns)[None, :]
    i = i + (shift if shape not in ("(S, S)", "(T, T)") else 0)
    mask = {"below": j <= i + diagonal, "above": j >= i - diagonal, "forbidden": ~(j <= i + diagonal), "all": j < columns + 0 * i,
            "own": j == i, "cached and own": (j < S - T) | (j == i), "two": (j == i) | (j == i - 1),
            "reversed": (j <= i + diagonal)[::-1]}[way]
    mask = {"(S, T)": mask.T, "four axes": mask[None, None], "three axes": mask[None]}.get(shape, mask)
    return in_form(mask, form)


CAUSAL = ways(
    causal,
    as_numbers=("The mask holds numbers, 1 and 0. A mask is boolean, True = may attend: np.tri(..., dtype=bool), or compare with "
                "<=. With whole numbers ~mask would be -2 and -1.",
                {"form": "numbers"}),
    to_be_added=("The mask holds 0 and -inf, to be added to the scores. Here a mask is boolean, True = may attend, so that "
                 "masks combine with &.", {"form": "-inf"}),
    minus_a_billion=("The mask holds 0 and -1e9, to be added to the scores. Here a mask is boolean; and -1e9 is a number: in "
                     "a row of nothing else it gives an even average over tokens that must not be seen.", {"form": "-1e9"}),
    anti_causal=("Each query sees the keys from its own place on, and not those before it: the triangle is the wrong way up. "
                 "Key j is seen where j <= the query's place, (M1).", {"way": "above"}),
    true_where_forbidden=("True stands where a query may not attend. Here True = may attend, (M1).", {"way": "forbidden"}),
    nothing_forbidden=("Every query sees every key, the future too, (M1).", {"way": "all"}),
    own_key_only=("Each query sees its own key and no other. The ones before it may be seen too: j <= the query's place, "
                  "(M1).", {"way": "own"}),
    own_and_cached_only=("Each query sees the keys from the cache and its own, but not those between: j <= the query's place, i "
                         "+ S - T, (M1).", {"way": "cached and own"}),
    own_and_one_before=("Each query sees its own key and the one before, and none further back, (M1).", {"way": "two"}),
    rows_reversed=("The rows stand in reverse order: the first query, the first row, sees the fewest keys, (M1).",
                   {"way": "reversed"}),
    own_key_forbidden=("No query sees its own key: j < where it must be j <=. The first query of a text would see nothing at "
                       "all, (M1).", {"diagonal": -1}),
    next_key_seen=("Each query sees the key after its own, and that is what it is to guess: one place too many, (M1).",
                   {"diagonal": 1}),
    cache_forgotten=("With S > T the queries were taken for the first T of the S positions. They are the last T: query i "
                     "stands at i + S - T and sees all keys up to there, (M1).", {"shift": "0"}),
    shifted_the_wrong_way=("With S > T the queries' places were moved by T - S; query i stands at i + S - T, (M1).",
                           {"shift": "T - S"}),
    square_of_keys=("The mask is (S, S); there are T queries, so it is (T, S), the last T rows, (M1).", {"shape": "(S, S)"}),
    square_of_queries=("The mask is (T, T); there are S keys, so it is (T, S), (M1).", {"shape": "(T, T)"}),
    keys_by_queries=("The mask is (S, T), it is transposed: queries are the rows, keys the columns, (T, S).",
                     {"shape": "(S, T)"}),
    four_axes=("The mask is (1, 1, T, S). Return (T, S): it broadcasts over batch and heads by itself.", {"shape": "four axes"}),
    three_axes=("The mask is (1, T, S). Return (T, S): it broadcasts over batch and heads by itself.", {"shape": "three axes"}),
    none_not_handled=("It raises an error where S is left out: then S is T.", {"shape": "S asked for"}),
)


def padding(lengths, S, compare="<", shape="keys", form="boolean", side="right", takes="any"):
    """masks.padding, with a switch wherever people go wrong."""
    if takes == "arrays" and isinstance(lengths, list):
        return lengths[:, None]                                             # an error, as in the student's
    lengths = np.asarray(lengths)
    B = len(lengths)
    each = {"any": lengths, "arrays": lengths, "longest": np.full(B, lengths.max()), "shortest": np.full(B, lengths.min()),
            "first": np.full(B, lengths[0])}[takes][:, None]
    j = np.arange(S)[None, :]
    if side == "left":
        j = j[:, ::-1]
    mask = {"<": j < each, "<=": j <= each, ">=": j >= each, "short": j < each - 1, ">": j > each,
            "only the last": j == each - 1}[compare]
    if shape == "cut":
        mask = mask[:, :lengths.max()]
    mask = {"keys": lambda: mask[:, None, None, :], "(B, S)": lambda: mask, "(B, 1, S)": lambda: mask[:, None, :],
            "queries": lambda: mask[:, None, :, None], "both": lambda: mask[:, None, None, :] & mask[:, None, :, None],
            "(1, 1, B, S)": lambda: mask[None, None], "(B, S, 1, 1)": lambda: mask[:, :, None, None],
            "(B, 1, S, S)": lambda: np.repeat(mask[:, None, None, :], S, axis=2)}.get(shape, lambda: mask[:, None, None, :])()
    return in_form(mask, form)


PADDING = ways(
    padding,
    as_numbers=("The mask holds numbers, 1 and 0. A mask is boolean, True = may attend. With whole numbers ~mask would be -2 and "
                "-1.", {"form": "numbers"}),
    to_be_added=("The mask holds 0 and -inf, to be added to the scores. Here a mask is boolean, True = may attend, so that "
                 "masks combine with &.", {"form": "-inf"}),
    minus_a_billion=("The mask holds 0 and -1e9, to be added to the scores. Here a mask is boolean; and -1e9 is a number: in "
                     "a row of nothing else it gives an even average over the filling.", {"form": "-1e9"}),
    true_where_forbidden=("True stands at the filling. Here True = may attend: True at the first lengths[b] keys, (M2).",
                          {"compare": ">="}),
    one_key_too_many=("One key of the filling is seen: j <= length where it must be j <. Of length keys the last has the "
                      "number length - 1, (M2).", {"compare": "<="}),
    one_key_too_few=("The last key of each text is not seen. Keys 0 to length - 1 are, (M2).", {"compare": "short"}),
    true_where_forbidden_and_one_off=("True stands at the filling, all but its first place: both the direction and the "
                                      "comparison are wrong. True where j < length, (M2).", {"compare": ">"}),
    last_key_only=("Only the last key of each text is seen. All keys before it are too: j < length, (M2).",
                   {"compare": "only the last"}),
    filled_on_the_left=("The filling was taken to stand in front. It stands behind: sequence b has its text in the first "
                        "lengths[b] places, (M2).", {"side": "left"}),
    two_axes=("The mask is (B, S). Against the scores (B, H, T, S) that would be taken for (T, S): return (B, 1, 1, S), with "
              "an axis for the heads and one for the queries, (M2).", {"shape": "(B, S)"}),
    three_axes=("The mask is (B, 1, S). Against the scores (B, H, T, S) its B would meet the heads: return (B, 1, 1, S), (M2).",
                {"shape": "(B, 1, S)"}),
    queries_masked=("The mask is (B, 1, S, 1): it forbids queries, and every query still sees the filling. Keys are the last "
                    "axis, (B, 1, 1, S), (M2).", {"shape": "queries"}),
    queries_and_keys_masked=("The mask is (B, 1, S, S): it forbids keys and queries, and a query at the filling sees nothing "
                             "at all. Only keys are masked, (B, 1, 1, S), (M2).", {"shape": "both"}),
    batch_behind=("The mask is (1, 1, B, S): the batch is the first axis, (B, 1, 1, S), (M2).", {"shape": "(1, 1, B, S)"}),
    keys_in_place_of_heads=("The mask is (B, S, 1, 1): keys are the last axis, (B, 1, 1, S), (M2).", {"shape": "(B, S, 1, 1)"}),
    repeated_for_queries=("The mask is (B, 1, S, S): it was repeated for each query. One axis of size 1 does that by "
                          "broadcasting, and fits T queries too, (B, 1, 1, S), (M2).", {"shape": "(B, 1, S, S)"}),
    as_long_as_the_longest=("The mask ends with the longest text. It has S keys, whatever the lengths, (M2).", {"shape": "cut"}),
    longest_for_all=("Every sequence has the length of the longest one, so shorter ones see their filling. Compare with each "
                     "one's own, (M2).", {"takes": "longest"}),
    shortest_for_all=("Every sequence has the length of the shortest one. Compare with each one's own, (M2).",
                      {"takes": "shortest"}),
    first_length_for_all=("Every sequence has the length of the first one. Compare with each one's own, (M2).",
                          {"takes": "first"}),
    list_not_handled=("It raises an error where lengths is a list: np.asarray(lengths) takes lists and arrays.",
                      {"takes": "arrays"}),
)
