"""Wrong answers to the exercises on positions; the labels (P1) to (P3) are those of layers/positions.py."""
import numpy as np

from nanolm.grading.exercise import ways


def positions_backward(dy, cache, over="sum", times="1", start="offset", rows="all", dx="dy", order="dx first"):
    """positions.backward, with a switch wherever people go wrong."""
    n_rows, offset = cache
    T, C = dy.shape[-2:]
    batch = dy.reshape(-1, T, C)
    B = len(batch)
    total = {"sum": lambda: batch.sum(axis=0), "mean": lambda: batch.mean(axis=0), "first": lambda: batch[0],
             "last": lambda: batch[-1], "one short": lambda: batch[:-1].sum(axis=0), "axis 0": lambda: dy.sum(axis=0),
             "tokens": lambda: np.zeros((T, C)) + batch.sum(axis=(0, 1)), "reversed": lambda: batch.sum(axis=0)[::-1],
             "channels": lambda: np.zeros((T, C)) + batch.sum(axis=(0, 2))[:, None],
             "first of axis 0": lambda: batch[0],
             "dy forgotten": lambda: np.full((T, C), float(B)), "reshaped": lambda: dy.reshape(T, -1, C).sum(axis=1)}[over]()
    if over == "first of axis 0":
        total = batch.sum(axis=0) if dy.ndim == 2 else dy[:1].reshape(-1, T, C).sum(axis=0)
    total = total * {"1": 1, "tokens": 1 / T, "len": 1 / len(dy), "all": 1 / (B * T), "sign": -1, "twice": 2}[times]
    at = {"offset": offset, "0": 0, "end": n_rows - T, "one more": offset + 1, "one more, cut": offset + 1,
          "one less": max(offset - 1, 0)}[start]
    if start == "one more, cut":                                            # what would fall out of the table is lost
        total = total[:max(n_rows - at, 0)]
        T = len(total)
    dweight = np.zeros((n_rows, C), dy.dtype)
    if rows in ("same", "same mean"):
        dweight = dweight + (total.sum(axis=0) if rows == "same" else total.sum(axis=0) / n_rows)
    elif rows == "one":
        dweight[at] = total.sum(axis=0)
    elif rows == "to the end":
        dweight[at:] = total
    else:
        dweight[at:at + T] = total
    if rows == "used":
        dweight = total
    if rows == "not summed":
        dweight = dy
    if rows == "T":
        dweight = dweight[:T]
    if rows == "up to the last":
        dweight = dweight[:at + T]
    dx = {"dy": lambda: dy, "zero": lambda: np.zeros_like(dy), "None": lambda: None, "summed": lambda: batch.sum(axis=0),
          "half": lambda: dy / 2, "plus": lambda: dy + total, "mean": lambda: dy / B, "ones": lambda: np.ones_like(dy),
          "sign": lambda: -dy}[dx]()
    return (dx, dweight) if order == "dx first" else (dweight, dx)


POSITIONS_BACKWARD = ways(
    positions_backward,
    dweight_returned_first=("The right gradients in another order: they are returned in the order of forward's arguments, x, "
                            "weight: dx, dweight.", {"order": "dweight first"}),
    dweight_divided_by_tokens=("dweight is divided by T. (P2) is a sum over the batch, without a factor.", {"times": "tokens"}),
    dweight_divided_by_all_tokens=("dweight is divided by the number of all tokens. (P2) is a sum over the batch, without a "
                                   "factor.", {"times": "all"}),
    dweight_over_len_of_dy=("dweight is divided by len(dy), whatever axis that is. (P2) is a sum over the batch, without a "
                            "factor.",
                            {"times": "len"}),
    dweight_sign=("dweight has the wrong sign. The row is added to x, so its gradient is the sum of dy, (P2).",
                  {"times": "sign"}),
    dweight_twice=("dweight is twice what it should be, (P2).", {"times": "twice"}),
    mean_over_batch=("dweight is the mean over the batch. Every sequence adds the same row, so its gradients add up, (P2).",
                     {"over": "mean"}),
    first_of_batch_only=("dweight is that of the first sequence alone. All of them add the same rows, so their dy add up, (P2).",
                         {"over": "first"}),
    first_of_first_axis_only=("dweight is that of dy[0] alone where there are axes in front. All sequences add the same rows, so "
                              "all their dy add up, (P2).", {"over": "first of axis 0"}),
    last_of_batch_only=("dweight is that of the last sequence alone. Is dweight[...] = dy[b] written in a loop where it "
                        "should be +=? (P2) sums over the batch.", {"over": "last"}),
    last_of_batch_lost=("The last sequence is missing from dweight: does a loop end one too early? (P2) sums over the whole "
                        "batch.", {"over": "one short"}),
    first_axis_only=("dy is summed over its first axis, whatever that is. x may be (T, C), with no batch to sum over, or have "
                     "several axes in front: dy.reshape(-1, T, C).sum(axis=0) fits all, (P2).", {"over": "axis 0"}),
    summed_over_tokens=("The tokens of a sequence were added up, so all positions got the same gradient. Each position has a "
                        "row of its own; the sum in (P2) runs over the batch.", {"over": "tokens"}),
    summed_over_channels=("The channels were added up. Each channel of a row is a weight of its own; the sum in (P2) runs "
                          "over the batch.", {"over": "channels"}),
    axes_mixed=("dy was reshaped to (T, B, C) and summed over the middle. A reshape does not exchange axes: tokens of several "
                "positions were added up. Reshape to (-1, T, C) and sum over axis 0, (P2).", {"over": "reshaped"}),
    positions_reversed=("The positions stand in reverse order: row offset + t gets the gradient of token t, (P2).",
                        {"over": "reversed"}),
    dy_forgotten=("dweight counts the sequences: dy was forgotten. The derivative of y by the row is 1, and the chain rule "
                  "multiplies it by dy before the sum, (P2).", {"over": "dy forgotten"}),
    offset_forgotten=("dweight's rows begin at 0. forward added the rows from offset on, so that is where the gradients "
                      "belong, (P2).", {"start": "0"}),
    counted_from_the_end=("The gradients went to the last T rows of the table. forward used the rows offset to offset + T - "
                          "1, (P2).", {"start": "end"}),
    one_row_too_far=("Every gradient stands one row too far down: the first token's row is offset itself, (P2).",
                     {"start": "one more"}),
    one_row_too_far_and_cut=("Every gradient stands one row too far down, and what does not fit into the table any more is lost: "
                             "the first token's row is offset itself, (P2).", {"start": "one more, cut"}),
    one_row_too_early=("Where there is an offset, every gradient stands one row too early: the first token's row is offset "
                       "itself, (P2).", {"start": "one less"}),
    all_rows_the_same=("Every row of the table got the same gradient, the sum over all tokens. Row offset + t gets that of "
                       "token t, rows that were not used get zero, (P2).", {"rows": "same"}),
    all_rows_the_mean=("Every row of the table got the same gradient, the mean over the table's rows. Row offset + t gets that "
                       "of token t, rows that were not used get zero, (P2).", {"rows": "same mean"}),
    all_in_one_row=("All tokens' gradients were added into the row offset. Token t of x used row offset + t, and that is where "
                    "its gradient belongs, (P2).", {"rows": "one"}),
    to_the_end_of_the_table=("dweight[offset:] = ... runs to the end of the table: it fits only if the text ends there, and is "
                             "an error or fills the rest if not. Rows that were not used are zero: dweight[offset:offset + T], "
                             "(P2).", {"rows": "to the end"}),
    only_used_rows=("dweight holds only the T rows that were used. It must be shaped like weight, (rows, C), with zeros "
                    "elsewhere: rows is in the cache.", {"rows": "used"}),
    as_long_as_the_text=("dweight has T rows. It must be shaped like weight, (rows, C): rows is in the cache.", {"rows": "T"}),
    up_to_the_last_position=("dweight ends with the last position that was used. It must be shaped like weight, (rows, C): "
                             "rows is in the cache.", {"rows": "up to the last"}),
    not_summed=("dweight came back as dy, one for each sequence. All sequences add the same rows: sum over the batch, and put "
                "the sum into a table of zeros, (P2).", {"rows": "not summed"}),
    dx_zero=("dx is zero. x is added, so it moves y by as much as it moves itself: dx = dy, (P2).", {"dx": "zero"}),
    dx_none=("dx is None. x is added, so it moves y by as much as it moves itself: dx = dy, (P2).", {"dx": "None"}),
    dx_summed=("dx is summed over the batch. That is for the table, which all share; each sequence has an x of its own: dx = "
               "dy, (P2).", {"dx": "summed"}),
    dx_halved=("dx is half of dy. A sum hands its whole dy to each of the two that it adds, and does not share it out: dx = "
               "dy, (P2).", {"dx": "half"}),
    dx_averaged=("dx is divided by the number of sequences. Nothing is averaged: dx = dy, (P2).", {"dx": "mean"}),
    dx_ones=("dx is all ones: that is the derivative of y by x. The chain rule multiplies it by dy: dx = dy, (P2).",
             {"dx": "ones"}),
    dx_sign=("dx has the wrong sign: x is added, so dx = dy, (P2).", {"dx": "sign"}),
    dx_plus_dweight=("The table's gradient was added to dx. Each array has a gradient of its own: dx = dy, (P2).",
                     {"dx": "plus"}),
)


def positions_forward(x, weight, offset=0, rows="offset", how="add"):
    """positions.forward, with a switch wherever people go wrong."""
    T = x.shape[-2]
    row = {"offset": lambda: weight[offset:offset + T], "0": lambda: weight[:T], "end": lambda: weight[-T:],
           "one more": lambda: weight[offset + 1:offset + 1 + T], "first": lambda: weight[offset], "same": lambda: weight[0],
           "whole": lambda: weight, "len(x)": lambda: weight[offset:offset + len(x)], "to the end": lambda: weight[offset:],
           "to T": lambda: weight[offset:T], "reversed": lambda: weight[offset:offset + T][::-1],
           "mean": lambda: weight[offset:offset + T].mean(axis=0)}[rows]()
    return {"add": lambda: x + row, "times": lambda: x * row, "minus": lambda: x - row,
            "row alone": lambda: np.zeros_like(x) + row, "x alone": lambda: x,
            "beside": lambda: np.concatenate([x, np.zeros_like(x) + row], axis=-1),
            "half": lambda: (x + row) / 2, "scaled": lambda: x * np.sqrt(x.shape[-1]) + row}[how]()


POSITIONS_FORWARD = ways(
    positions_forward,
    multiplied=("x is multiplied by the row; it is added, (P1).", {"how": "times"}),
    subtracted=("The row is subtracted; it is added, (P1).", {"how": "minus"}),
    x_forgotten=("y is the position's row alone; it is added to x, (P1).", {"how": "row alone"}),
    nothing_added=("y is x itself: the position's row is added to it, (P1).", {"how": "x alone"}),
    put_beside=("The row stands beside x, and y has 2 C channels. It is added, (P1): y is shaped like x.", {"how": "beside"}),
    averaged=("y is the mean of x and the row; it is their sum, (P1).", {"how": "half"}),
    x_scaled=("x is multiplied by sqrt(C) first. The first Transformer does so with its embeddings; (P1) does not.",
              {"how": "scaled"}),
    offset_forgotten=("The rows begin at 0. The first token of x stands at position offset: weight[offset:offset + T], (P1).",
                      {"rows": "0"}),
    counted_from_the_end=("The last T rows of the table were added. The tokens stand at offset to offset + T - 1, (P1).",
                          {"rows": "end"}),
    one_row_too_far=("Each token got the row after its own: the first one stands at position offset itself, (P1).",
                     {"rows": "one more"}),
    one_row_for_all=("All tokens got the row of the first position. Then nothing tells first from last: token t gets row "
                     "offset + t, (P1).", {"rows": "first"}),
    row_zero_for_all=("All tokens got row 0. Token t gets row offset + t, (P1).", {"rows": "same"}),
    whole_table=("The whole table was added: it fits only if it has as many rows as x has tokens. weight[offset:offset + T], "
                 "(P1).", {"rows": "whole"}),
    tokens_counted_on_first_axis=("T was taken from the first axis of x, which is the batch where there is one: x is (..., T, "
                                  "C), so T is x.shape[-2].", {"rows": "len(x)"}),
    to_the_end_of_the_table=("weight[offset:] runs to the end of the table and fits only if the text ends there: "
                             "weight[offset:offset + T], (P1).", {"rows": "to the end"}),
    slice_ends_at_T=("weight[offset:T] ends at T; a slice's second number is where it ends, not how long it is: "
                     "weight[offset:offset + T], (P1).", {"rows": "to T"}),
    positions_reversed=("The rows stand in reverse order: token t gets row offset + t, (P1).", {"rows": "reversed"}),
    rows_averaged=("All tokens got the mean of the rows. Token t gets row offset + t, (P1).", {"rows": "mean"}),
)


def sinusoidal(n_positions, n_channels, pair="2i", first="sin", layout="interleaved", base=10000.0, start=0, direction="divide",
               over="C", unit="radians"):
    """positions.sinusoidal in float64, with a switch wherever people go wrong."""
    C, pairs = n_channels, (n_channels + 1) // 2
    t = np.arange(start, start + n_positions)[:, None].astype(np.float64)
    c = np.arange(C)
    share = {"2i": c // 2 * 2, "i": c // 2, "4i": c // 2 * 4, "own": c, "one": 0 * c}[pair] / \
        {"C": C, "C - 1": max(C - 1, 1), "last pair": max(2 * (pairs - 1), 1)}[over]
    angle = {"divide": t / base**share, "multiply": t * base**share}[direction]
    angle = np.deg2rad(angle) if unit == "degrees" else 2 * np.pi * angle if unit == "turns" else angle
    even = c % 2 == 0
    sin, cos = np.sin(angle), np.cos(angle)
    table = {"sin": np.where(even, sin, cos), "cos": np.where(even, cos, sin), "both sin": sin, "both cos": cos}[first]
    if layout == "halves":
        table = np.concatenate([table[:, 0::2], table[:, 1::2]], axis=1)
    return table.T if layout == "turned" else table


SINUSOIDAL = ways(
    sinusoidal,
    exponent_i=("The exponent is i / C; in (P3) it is 2i / C, with i the number of the pair. So the wavelengths reach only up to "
                "100.", {"pair": "i"}),
    exponent_4i=("The exponent is 4i / C: 2i was doubled once more, or divided by C / 2. In (P3) it is 2i / C, and 2i is the "
                 "number of the sine's channel.", {"pair": "4i"}),
    cosine_with_its_own_exponent=("The cosine uses the number of its own channel, 2i + 1, in the exponent. Sine and cosine of a "
                                  "pair share one angle, t / 10000^(2i / C), (P3).", {"pair": "own"}),
    one_wavelength=("All pairs have the same wavelength: the exponent 2i / C is missing, (P3).", {"pair": "one"}),
    sine_and_cosine_exchanged=("The cosine stands in the even channels. Sine first: table[t, 2i] = sin, table[t, 2i + 1] = "
                               "cos, (P3).", {"first": "cos"}),
    sines_only=("All channels are sines; the odd ones are cosines of the same angle, (P3).", {"first": "both sin"}),
    cosines_only=("All channels are cosines; the even ones are sines of the same angle, (P3).", {"first": "both cos"}),
    halves=("All sines stand in front and all cosines behind. (P3) interleaves them: sine, cosine, sine, cosine.",
            {"layout": "halves"}),
    turned=("The table is transposed: a row is a position, (n_positions, n_channels).", {"layout": "turned"}),
    base_1000=("The base is 1000; (P3) has 10000.", {"base": 1000.0}),
    base_e=("The base is e: exp(-2i / C) lacks the factor log(10000) in its exponent. 10000^(-a) = exp(-a log(10000)), (P3).",
            {"base": float(np.e)}),
    base_10=("The base is 10; (P3) has 10000.", {"base": 10.0}),
    positions_from_one=("The first row is position 1; positions count from 0, and row 0 is sin 0 = 0, cos 0 = 1, (P3).",
                        {"start": 1}),
    multiplied=("t is multiplied by 10000^(2i / C); it is divided: the wavelengths grow with i, (P3).",
                {"direction": "multiply"}),
    over_last_channel=("The exponent is 2i / (C - 1); in (P3) it is 2i / C.", {"over": "C - 1"}),
    over_last_pair=("The exponent reaches exactly 1 in the last pair: i / (C/2 - 1), as in one published code. (P3) is the "
                    "paper's: 2i / C.", {"over": "last pair"}),
    degrees=("The angle was turned from degrees into radians; t / 10000^(2i / C) is in radians already, (P3).",
             {"unit": "degrees"}),
    full_turns=("The angle is 2 pi t / 10000^(2i / C). (P3) has no 2 pi: the wavelength of the first pair is 2 pi tokens.",
                {"unit": "turns"}),
)
