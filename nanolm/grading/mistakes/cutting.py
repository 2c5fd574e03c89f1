"""Wrong ways to cut channels into heads and to put heads together; (H2), (H3) and (GQ1), (GQ3) are the layers' labels."""
import numpy as np

from nanolm.grading.exercise import ways


def cut(x, H, way="right"):
    """Return x (B, T, C) as heads (B, H, T, D); or in one of the wrong ways."""
    B, T, C = x.shape
    D = C // H
    return {"right": lambda: x.reshape(B, T, H, D).transpose(0, 2, 1, 3), "reshaped": lambda: x.reshape(B, H, T, D),
            "strided": lambda: x.reshape(B, T, D, H).transpose(0, 3, 1, 2), "not turned": lambda: x.reshape(B, T, H, D),
            "channels first": lambda: x.reshape(B, T, H, D).transpose(0, 2, 3, 1),
            "heads first": lambda: x.reshape(B, T, H, D).transpose(2, 0, 1, 3),
            "first channels": lambda: np.repeat(x[:, None, :, :D], H, axis=1),
            "reversed": lambda: x.reshape(B, T, H, D).transpose(0, 2, 1, 3)[:, ::-1],
            "all turned": lambda: x.reshape(B, H, D, T).swapaxes(-1, -2)}[way]()


def together(heads, way="right"):
    """Return heads (B, H, T, D) as (B, T, C); or in one of the wrong ways."""
    B, H, T, D = heads.shape
    return {"right": lambda: heads.transpose(0, 2, 1, 3).reshape(B, T, H * D), "reshaped": lambda: heads.reshape(B, T, H * D),
            "strided": lambda: heads.transpose(0, 2, 3, 1).reshape(B, T, H * D),
            "not flat": lambda: heads.transpose(0, 2, 1, 3), "sum": lambda: heads.sum(axis=1), "mean": lambda: heads.mean(axis=1),
            "tokens last": lambda: heads.transpose(0, 1, 3, 2).reshape(B, H * D, T),
            "reversed": lambda: heads[:, ::-1].transpose(0, 2, 1, 3).reshape(B, T, H * D),
            "last": lambda: (heads * (np.arange(H) == H - 1)[:, None, None]).transpose(0, 2, 1, 3).reshape(B, T, H * D),
            "last everywhere": lambda: np.tile(heads[:, -1], H),
            "first": lambda: heads[:, 0]}[way]()


SPLIT = ways(
    cut,
    without_transpose=("A reshape alone: (B, H, T, D) has the right shape and mixes tokens with channels. Reshape to (B, T, H, "
                       "D), then transpose(0, 2, 1, 3), (H2).", {"way": "reshaped"}),
    strided=("The axes D and H are exchanged in the reshape: head h has the channels h D ... (h + 1) D - 1, neighbours, so it is "
             "to (B, T, H, D), (H2).", {"way": "strided"}),
    not_transposed=("The transpose is missing: these are heads (B, T, H, D), and (B, H, T, D) is asked for: transpose(0, 2, 1, "
                    "3).",
                    {"way": "not turned"}),
    channels_before_tokens=("The last two axes are exchanged: (B, H, D, T), and (B, H, T, D) is asked for: transpose(0, 2, 1, "
                            "3).",
                            {"way": "channels first"}),
    heads_first=("The heads are in front of the batch: (H, B, T, D), and (B, H, T, D) is asked for: transpose(0, 2, 1, 3).",
                 {"way": "heads first"}),
    same_channels=("Every head gets the same first D channels: head h has the channels h D ... (h + 1) D - 1, (H2).",
                   {"way": "first channels"}),
    reversed=("The heads are in the reverse order: head 0 has the first D channels, (H2).", {"way": "reversed"}),
    turned_after_reshape=("It is reshaped to (B, H, D, T) and then turned: the reshape mixes tokens with channels already. Cut "
                          "only the last axis, to (B, T, H, D), then transpose(0, 2, 1, 3).", {"way": "all turned"}),
)
MERGE = ways(
    together,
    without_transpose=("A reshape alone: it mixes tokens with channels. transpose(0, 2, 1, 3) to (B, T, H, D) first, then "
                       "reshape.",
                       {"way": "reshaped"}),
    strided=("The channels of the heads are interleaved: they stand one head after the other, so transpose to (B, T, H, D), not "
             "to (B, T, D, H), then reshape.", {"way": "strided"}),
    not_reshaped=("The reshape is missing: these are (B, T, H, D), and (B, T, C) with C = H D is asked "
                  "for.", {"way": "not flat"}),
    summed=("The heads are added. They stand side by side: C = H D channels.", {"way": "sum"}),
    averaged=("The heads are averaged. They stand side by side: C = H D channels.", {"way": "mean"}),
    tokens_last=("The tokens came to the last axis: (B, C, T), and (B, T, C) is asked for.", {"way": "tokens last"}),
    reversed=("The heads are in the reverse order: head 0 gives the first D channels.", {"way": "reversed"}),
    last_head_only=("Only the last head's channels are filled, the others are zero: is the array made anew in the loop over the "
                    "heads? All H stand side by side: C = H D channels, (H2).", {"way": "last"}),
    first_head_only=("Only the first head is returned. All H stand side by side: C = H D channels.", {"way": "first"}),
)


def shared(kv, n_head, way="right"):
    """Return kv (B, G, S, D) as (B, H, S, D): grouped.shared; or in one of the wrong ways."""
    B, G, S, D = kv.shape
    n = n_head // G
    return {"right": lambda: np.repeat(kv, n, axis=1), "interleaved": lambda: np.tile(kv, (1, n, 1, 1)),
            "G times": lambda: np.repeat(kv, G, axis=1), "H times": lambda: np.repeat(kv, n_head, axis=1),
            "batch": lambda: np.repeat(kv, n, axis=0), "tokens": lambda: np.repeat(kv, n, axis=2),
            "divided": lambda: np.repeat(kv, n, axis=1) / n, "first": lambda: np.repeat(kv[:, :1], n_head, axis=1),
            "not": lambda: kv, "five axes": lambda: np.repeat(kv[:, :, None], n, axis=2),
            "zeros": lambda: np.repeat(kv, n, axis=1) * (np.arange(n_head) % n == 0)[:, None, None]}[way]()


def summed(d, n_kv_head, way="right"):
    """Return d (B, H, S, D) summed to (B, G, S, D): grouped.summed; or in one of the wrong ways."""
    B, H, S, D = d.shape
    n = H // n_kv_head
    groups = d.reshape(B, n_kv_head, n, S, D)
    return {"right": lambda: groups.sum(axis=2), "mean": lambda: groups.mean(axis=2), "first": lambda: groups[:, :, 0],
            "last": lambda: groups[:, :, -1], "interleaved": lambda: d.reshape(B, n, n_kv_head, S, D).sum(axis=1),
            "axis kept": lambda: groups.sum(axis=2, keepdims=True), "other axis": lambda: groups.sum(axis=1),
            "all": lambda: np.repeat(d.sum(axis=1, keepdims=True), n_kv_head, axis=1), "not": lambda: d,
            "first heads": lambda: d[:, :n_kv_head], "largest": lambda: groups.max(axis=2)}[way]()


SHARED = ways(
    shared,
    interleaved=("The heads are repeated as a whole, k_0 k_1 k_0 k_1 (np.tile does that). Neighbours belong to a group, k_0 k_0 "
                 "k_1 k_1: head h uses group h // (H / G), np.repeat along axis 1, (GQ1).", {"way": "interleaved"}),
    repeated_G_times=("Each head is repeated G times; it must be H / G times, so that H heads come out, "
                      "(GQ1).", {"way": "G times"}),
    repeated_H_times=("Each head is repeated H times; it must be H / G times, so that H heads come out, "
                      "(GQ1).", {"way": "H times"}),
    repeated_along_batch=("The repetition is along the batch: the heads are axis 1.", {"way": "batch"}),
    repeated_along_tokens=("The repetition is along the tokens: the heads are axis 1.", {"way": "tokens"}),
    divided=("The numbers are divided by H / G. A key is shared, not split: every head of a group reads the whole of it, (GQ1).",
             {"way": "divided"}),
    first_group_only=("All heads get the keys of the first group: head h uses group h // (H / G), (GQ1).", {"way": "first"}),
    not_repeated=("Nothing is repeated: (B, H, S, D) is asked for, each head H / G times, (GQ1).", {"way": "not"}),
    axis_too_many=("The repetition has an axis of its own, (B, G, H / G, S, D): reshape it to (B, H, S, "
                   "D).", {"way": "five axes"}),
    only_first_user=("Only the first head of each group gets the keys, the others zeros: all of them use them, "
                     "(GQ1).", {"way": "zeros"}),
)
SUMMED = ways(
    summed,
    mean=("The mean over a group, where the sum is asked for: a key has H / G users, and their gradients add, "
          "(GQ3).", {"way": "mean"}),
    first_only=("Only the first head of each group counts: a key has H / G users, and their gradients add, "
                "(GQ3).", {"way": "first"}),
    last_only=("Only the last head of each group counts: a key has H / G users, and their gradients add, (GQ3). Is a sum "
               "overwritten?",
               {"way": "last"}),
    interleaved=("Heads h, h + G, h + 2 G are summed. Neighbours belong to a group: head h uses group h // (H / G), so the "
                 "reshape is to (B, G, H / G, S, D), and the sum over axis 2, (GQ3).", {"way": "interleaved"}),
    axis_kept=("The summed axis is still there, with the length one: leave out keepdims.", {"way": "axis kept"}),
    wrong_axis=("The sum runs over the groups, axis 1 of (B, G, H / G, S, D): it must run over the users of a group, axis 2, "
                "(GQ3).",
                {"way": "other axis"}),
    all_heads=("Every group gets the sum over all heads: only the H / G heads of the group belong to it, (GQ3).", {"way": "all"}),
    not_summed=("Nothing is summed: (B, G, S, D) is asked for, (GQ3).", {"way": "not"}),
    first_heads=("The first G heads are taken: each group has H / G heads, and their gradients add, "
                 "(GQ3).", {"way": "first heads"}),
    largest=("The largest of a group is taken: the gradients of a key's users add, (GQ3).", {"way": "largest"}),
)
