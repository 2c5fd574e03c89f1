"""Exercises on layers that work row by row or on rows of a table: linear, embedding, positions."""
import numpy as np

from nanolm.grading.exercise import Call, Exercise, library
from nanolm.grading.exercises import build
from nanolm.grading.mistakes import embedding as of_embedding, linear as of_linear, positions as of_positions
from nanolm.layers import embedding, linear, positions


def in_front(draw, least=1):
    """Return the axes before the last ones: (B,), (B, T) or (B, T, 2), and now and then more than eight rows."""
    return [draw.whole(1, 3), draw.whole(1, 5), draw.whole(1, 2)][:draw.whole(least, 3)]


def lying(draw, a):
    """Return the array, now and then with its columns contiguous: its numbers are the same, their order in memory is not."""
    return np.asfortranarray(a) if draw.choice(False, False, True) else a


# ---------------------------------------------------------------------------------------- linear
def linear_arguments(draw):
    lead = in_front(draw)
    n_in = draw.whole(1, 5)
    n_out = n_in if draw.choice(False, False, True) else draw.whole(1, 5)
    bias = draw.array(n_out) if draw.choice(True, True, False) else None
    N = int(np.prod(lead))
    args = lying(draw, draw.array(*lead, n_in)), draw.array(n_in, n_out), bias
    return args, {"N": N, "B": lead[0], "T": (*lead, 1)[1], "I": n_in, "O": n_out}


def linear_backward(draw):
    args, sizes = linear_arguments(draw)
    return build.backward_call(linear, draw, *args, sizes=sizes)


def linear_forward(draw):
    args, sizes = linear_arguments(draw)
    return build.forward_call(linear, *args, sizes=sizes)


# ---------------------------------------------------------------------------------------- embedding
def embedding_arguments(draw):
    lead = in_front(draw)
    V = draw.whole(1, 7)
    C = V if draw.choice(False, False, False, True) else draw.whole(1, 5)
    ids = draw.ids(tuple(lead), V)                                          # repeated and unused ones among them
    return ids, draw.array(V, C), {"N": int(ids.size), "B": lead[0], "T": (*lead, 1)[1], "V": V, "C": C}


def embedding_backward(draw):
    ids, weight, sizes = embedding_arguments(draw)
    return build.opened(build.backward_call(embedding, draw, ids, weight, sizes=sizes), "ids", "V")


def embedding_tied(draw):
    ids, weight, sizes = embedding_arguments(draw)
    call = build.opened(build.backward_call(embedding, draw, ids, weight, sizes=sizes), "ids", "V")
    dweight = draw.upstream(*weight.shape)
    return Call((*call.args, dweight), shown={**call.shown, "dweight": dweight}, sizes=sizes)


def embedding_forward(draw):
    ids, weight, sizes = embedding_arguments(draw)
    return build.forward_call(embedding, ids, weight, sizes=sizes)


def embedding_cases():
    return (build.opened(call, "ids", "V") for call in build.backward_cases(embedding)())


def tied():
    """Return the exercise of backward_tied, which is called as no other backward is: backward_tied(dy, cache, dweight)."""
    signature, docstring = library(embedding, "backward_tied")
    return Exercise(
        "embedding.backward_tied", "backward",
        "GPT-2 uses one table twice: to look up its tokens, and at the top to score the next one. Write the backward of a lookup "
        "whose table has such a second use. dweight (V, C) is the other use's gradient, already computed; the cache is (ids, V), "
        "dy is shaped like ids with an axis C behind. Return the gradient of the table, (V, C). Leave dweight itself as it is: "
        "another may still need it. nanolm's embedding.backward is not to be called.",
        ("dweight",), build.own(embedding, "backward_tied"), embedding_tied, signature=signature, docstring=docstring,
        mistakes=of_embedding.EMBEDDING_TIED, own=build.twins(embedding, "backward_tied", "backward"), level=1, minutes=10,
        notebook="12_gpt2", where=(embedding, "backward_tied"),
        hints=("One array, two uses: nudge one of its numbers, and the loss moves by the one and by the other.",
               "What moves in two ways has the sum of two gradients. dweight is one of them; the other is embedding's backward.",
               "Start with a copy of dweight, and add every row of dy to the row of its id.",
               "total = dweight.copy(); np.add.at(total, ids.reshape(-1), dy.reshape(-1, dy.shape[-1])); return total"))


# ---------------------------------------------------------------------------------------- positions
def positions_arguments(draw):
    batch = in_front(draw, least=0)[:2]                                     # none, (B,) or (B, 1 to 5)
    T, offset = draw.whole(1, 4), draw.choice(0, 0, 1, 2, 4)
    C = draw.whole(1, 4)
    rows = offset + T + draw.choice(0, 1, 3)
    B = int(np.prod(batch))
    return (draw.array(*batch, T, C), draw.array(rows, C)), {"offset": offset}, {"B": B, "T": T, "C": C, "rows": rows}


def positions_backward(draw):
    args, kwargs, sizes = positions_arguments(draw)
    return build.opened(build.backward_call(positions, draw, *args, **kwargs, sizes=sizes), "rows", "offset")


def positions_forward(draw):
    args, kwargs, sizes = positions_arguments(draw)
    return build.forward_call(positions, *args, **kwargs, sizes=sizes)


def positions_cases():
    return (build.opened(call, "rows", "offset") for call in build.backward_cases(positions)())


def sinusoidal_arguments(draw):
    n_positions, n_channels = draw.whole(1, 6), draw.whole(1, 9)
    return Call((n_positions, n_channels), shown={"n_positions": n_positions, "n_channels": n_channels},
                sizes={"T": n_positions, "C": n_channels})


def sinusoidal_cases():
    sizes = (4, 4), (50, 6), (3, 7), (5, 2), (2, 1), (12, 32)
    return [Call((T, C), shown={"n_positions": T, "n_channels": C}) for T, C in sizes]


def sinusoidal():
    """Return the exercise of the table (P3). It is written in float64, so that it can be compared to the last digits."""
    return Exercise(
        "positions.sinusoidal", "forward",
        "Write the fixed table of positions of the first Transformer, shape (n_positions, n_channels), in float64. Channels come "
        "in pairs: table[t, 2i] = sin(t / 10000^(2i / C)) and table[t, 2i + 1] = cos(t / 10000^(2i / C)), with t = 0, 1, ... and "
        "C = n_channels. If C is odd, the last channel is a sine without a cosine.",
        ("table",), lambda T, C: positions.sinusoidal(T, C, np.float64), sinusoidal_arguments,
        cases=sinusoidal_cases, signature="def sinusoidal(n_positions, n_channels):",
        docstring="Return the fixed table (P3), shape (n_positions, n_channels), float64. Odd n_channels ends in a sine.",
        mistakes=of_positions.SINUSOIDAL, own=(build.own(positions, "sinusoidal"),), level=1, minutes=15, notebook="04_embedding",
        hints=("Begin with the angles alone: one row for each position, one column for each pair.",
               "t = np.arange(n_positions)[:, None] and 2i = np.arange(0, n_channels, 2) broadcast to (n_positions, pairs).",
               "table[:, 0::2] takes the sines, table[:, 1::2] the cosines; both use the same angle.",
               "With an odd number of channels there is one cosine less than there are sines: angle[:, :n_channels // 2]."))


def exercises(constants):
    return [
        build.forward(linear, ("y",), linear_forward, cases=build.forward_cases(linear), level=1, minutes=10,
                      notebook="01_linear",
                      task="Write the forward of a linear layer, y = x @ weight + bias. x is (..., I) with any axes in front, "
                           "weight (I, O), bias (O,) or None. Return y (..., O) (and a cache, if you like: it is not looked at).",
                      mistakes=of_linear.LINEAR_FORWARD,
                      hints=("weight is stored (in, out): its first axis fits x's last.",
                             "NumPy's @ takes any axes in front: (..., I) @ (I, O) is (..., O).",
                             "bias (O,) broadcasts over the axes in front by itself. If it is None, add nothing.")),
        build.backward(linear, ("dx", "dweight", "dbias"), linear_backward, level=1, minutes=20, notebook="01_linear",
                       task="Write the backward of a linear layer, y = x @ weight + bias. The cache is (x, weight, has_bias): x "
                            "(..., I) with any axes in front, weight (I, O), has_bias a bool. dy is (..., O). Return dx, "
                            "dweight, dbias, shaped like x, weight and bias; dbias is None where has_bias is False.",
                       mistakes=of_linear.LINEAR_BACKWARD,
                       hints=("Write one number of y out: y_no = sum_i x_ni weight_io + bias_o. Where does x_ni occur, where "
                              "weight_io, where bias_o?",
                              "x_ni occurs in row n alone, in all its outputs. weight_io and bias_o occur in every row, so their "
                              "gradients are sums over all rows.",
                              "Bring x and dy to rows first: x.reshape(-1, I) and dy.reshape(-1, O). The shapes then leave only "
                              "one way to multiply.",
                              "dx = dy @ weight.T, dweight = rows_x.T @ rows_dy, dbias = rows_dy.sum(axis=0) if has_bias else "
                              "None.")),
        build.forward(embedding, ("y",), embedding_forward, cases=build.forward_cases(embedding), level=1, minutes=5,
                      notebook="04_embedding",
                      task="Write the forward of an embedding: for each token id its row of the table. ids are whole numbers of "
                           "any shape (...), weight is (V, C). Return y (..., C) (and a cache, if you like: it is not looked "
                           "at).",
                      mistakes=of_embedding.EMBEDDING_FORWARD,
                      hints=("It is a lookup: token id v gets row v.", "NumPy takes an array of whole numbers as an index.",
                             "y = weight[ids]: the axes of ids, then the row's C channels.")),
        build.backward(embedding, ("dweight",), embedding_backward, level=1, minutes=15, notebook="04_embedding",
                       cases=embedding_cases,
                       task="Write the backward of an embedding, y = weight[ids]. The cache is (ids, V): ids whole numbers of "
                            "any shape (...), V the number of rows of the table. dy is (..., C). Return dweight (V, C), the "
                            "gradient of the table: ids have none.",
                       mistakes=of_embedding.EMBEDDING_BACKWARD,
                       hints=("Which numbers of y does row v of the table move? All those at places where the id is v.",
                              "So row v of dweight is the sum of dy at these places, and zero if there are none.",
                              "Start with zeros (V, C) and go through the places: dweight[id] += dy of that place.",
                              "dweight[ids] += dy adds only once where an id repeats. np.add.at(dweight, ids, dy) adds every "
                              "time.")),
        tied(),
        build.forward(positions, ("y",), positions_forward, cases=build.forward_cases(positions), level=1, minutes=10,
                      notebook="04_embedding",
                      task="Write the forward of learned positions. x is (..., T, C) with any axes in front, weight (rows, C); "
                           "the first token of x stands at position offset. Add to each token the row of its position, y_t = x_t "
                           "+ weight[offset + t]. Return y (and a cache, if you like: it is not looked at).",
                      mistakes=of_positions.POSITIONS_FORWARD,
                      hints=("Which rows of the table are used? As many as x has tokens, from offset on.",
                             "T is the last axis but one of x.", "weight[offset:offset + T] is (T, C) and broadcasts over the "
                                                                 "axes in front.")),
        build.backward(positions, ("dx", "dweight"), positions_backward, level=1, minutes=15, notebook="04_embedding",
                       cases=positions_cases,
                       task="Write the backward of learned positions, y = x + weight[offset:offset + T]. The cache is (rows, "
                            "offset): rows the number of rows of weight, offset the position of the first token. dy is (..., T, "
                            "C), perhaps with no axes in front, perhaps with several. Return dx and dweight, shaped like x and "
                            "weight (rows, C).",
                       mistakes=of_positions.POSITIONS_BACKWARD,
                       hints=("y is a sum of two: what does a sum hand back to each of them?", "dx is dy.",
                              "Every sequence of the batch added the same row, so row offset + t collects dy_t of all of them.",
                              "dweight = zeros (rows, C); dweight[offset:offset + T] = dy.reshape(-1, T, C).sum(axis=0).")),
        sinusoidal(),
    ]
