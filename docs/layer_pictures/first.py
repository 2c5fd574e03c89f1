"""Pictures of linear, gelu, softmax, embedding and positions."""
import numpy as np

from layer_pictures import columns
from layer_pictures.columns import Column
from layer_pictures.draw import BACK, FORTH, GREY, INK, LINE, Picture, number
from nanolm.layers import embedding, gelu, linear, positions, softmax


def drawn(seed, *shape, decimals=1):
    """Return random numbers, rounded so that a reader can check what is made of them."""
    return np.random.default_rng(seed).standard_normal(shape).round(decimals)


def linear_picture():
    x, weight, bias, dy = drawn(1, 3, 2), drawn(2, 2, 3), drawn(3, 3), drawn(4, 3, 3)
    y, cache = linear.forward(x, weight, bias)
    dx, dweight, dbias = linear.backward(dy, cache)
    picture = Picture("linear", "Linear layer", "nanolm/layers/linear.py",
                      "Each gradient has its array's shape; all T tokens use one weight, so its gradient is a sum over them.")
    picture.head("y = x W + b          y_{to} = Σ_{i} x_{ti} W_{io} + b_{o}")
    columns.draw(picture, [
        Column("x", "(T, C)", x, dx, "= dy W^{T}"), "@",
        Column("weight W", "(C, F)", weight, dweight, "= x^{T} dy", True, label="dweight"),
        "+", Column("bias b", "(F)", bias, dbias, "= Σ_{t} dy_{t}", True, label="dbias"),
        "=", Column("y", "(T, F)", y, dy, "is given")],
        calls=("y, cache = linear.forward(x, weight, bias)", "dx, dweight, dbias = linear.backward(dy, cache)"))
    return picture


def gelu_picture():
    x = np.array([-3, -1, -0.5, 0.5, 1, 3.0])
    dy = np.ones(6)
    y, cache = gelu.forward(x)
    dx = gelu.backward(dy, cache)
    picture = Picture("gelu", "GELU", "nanolm/layers/gelu.py",
                      "A bend without a corner: large numbers pass, negative ones are stopped; where the curve is flat, "
                      "no gradient comes back.")
    picture.head("y = x · share,     share = (1 + tanh u) / 2,     u = √(2/π) (x + 0.044715 x^{3})")
    curves(picture)
    for at, name, values, colour, row in ((300, "x", x, FORTH, 1), (400, "y", y, FORTH, 2), (610, "dx", dx, BACK, 2),
                                          (710, "dy", dy, BACK, 0)):
        picture.text(890, at + 34, name, 36, colour, "end", bold=True)
        picture.array(910, at, values, colour, (104, 48), name=name, decimals=row)
    picture.text(910, 284, "six numbers of x (..., C), one by one", 30)
    picture.arrow([(1222, 352), (1222, 396)], FORTH)
    picture.arrow([(1222, 706), (1222, 662)], BACK)
    picture.formula(910, 582, "dx = dy (share + x share′)", BACK)
    return picture


def curves(picture):
    """Draw GELU and its derivative, from the layer's own two functions."""
    x = np.linspace(-4, 3, 71)
    y, cache = gelu.forward(x)
    slope = gelu.backward(np.ones_like(x), cache)
    at = lambda u, v: (400 + 88 * u, 640 - 130 * v)                                 # noqa: E731
    picture.arrow([at(-4, 0), at(3.6, 0)], LINE, 2)
    picture.arrow([at(0, -0.5), at(0, 3.4)], LINE, 2)
    for value in (-3, -2, -1, 1, 2, 3):
        picture.arrow([at(value, -0.05), at(value, 0.05)], LINE, 2, head=False)
        picture.text(at(value, 0)[0], 700, f"{value}".replace("-", "−"), 28, GREY, "middle")
    for value in (1, 2, 3):
        picture.arrow([(394, at(0, value)[1]), (406, at(0, value)[1])], LINE, 2, head=False)
        picture.text(386, at(0, value)[1] + 10, f"{value}", 28, GREY, "end")
    picture.arrow([at(*point) for point in zip(x, y)], FORTH, 6, head=False)
    picture.arrow([at(*point) for point in zip(x, slope)], BACK, 5, head=False)
    picture.formula(560, 300, "y", FORTH, "middle")
    picture.formula(690, 480, "dy/dx", BACK, "middle")


def softmax_picture():
    x, dy = np.array([[2.0, 1.0, 0.0, -1.0], [0.5, 0.5, -np.inf, 0.5]]), drawn(6, 2, 4)
    y, cache = softmax.forward(x)
    dx = softmax.backward(dy, cache)
    picture = Picture("softmax", "Softmax", "nanolm/layers/softmax.py",
                      "Every row of y adds up to 1 and every row of dx to 0: what one share wins, the others lose; "
                      "a score of −∞ gets nothing.")
    picture.head("y_{i} = exp(x_{i}) / Σ_{j} exp(x_{j})", "dx_{j} = y_{j} (dy_{j} − Σ_{i} dy_{i} y_{i})")
    left = columns.draw(picture, [Column("x", "(T, S), scores", x, dx), Column("y", "(T, S), shares", y, dy)], top=240, below=620,
                        cell=(112, 48), road=490, calls=("y, cache = softmax.forward(x)", "dx = softmax.backward(dy, cache)"))
    bars(picture, 600, y)
    picture.arrow([(506, 288), (584, 288)], FORTH)
    picture.arrow([(1018, 288), (left["y"] - 10, 288)], FORTH)
    picture.arrow([(left["y"] - 10, 668), (506, 668)], BACK)
    for name, values, at, colour in (("x", dx, 756, BACK), ("y", y, 376, FORTH)):
        sums = ",  ".join(number(total) for total in values.sum(axis=-1))
        picture.text(left[name] + 224, at, f"sums of rows: {sums}", 30, colour, "middle")
    return picture


def bars(picture, x, y):
    """Draw each row of shares as one bar of length 1, cut into its parts."""
    for t, row in enumerate(y):
        at = x
        for share in row:
            picture.rect(at, 246 + 48 * t, 400 * share, 36, "#8fc4f0", INK, 2) if share else None
            at += 400 * share
    picture.text(x + 200, 226, "each row: one whole, cut up", 28, anchor="middle")


def embedding_picture():
    ids, weight, dy = np.array([2, 0, 2, 4]), drawn(7, 5, 3), drawn(8, 4, 3)
    y, cache = embedding.forward(ids, weight)
    dweight = embedding.backward(dy, cache)
    picture = Picture("embedding", "Embedding", "nanolm/layers/embedding.py",
                      "Row 2 was looked up twice, so its gradient is the sum of two; "
                      "nobody asked for rows 1 and 3: theirs is zero.")
    picture.head("y_{t} = W[id_{t}]", "dW_{v} = Σ dy_{t} over all t with id_{t} = v", 150)
    for top, name, table, right, rows, colour in ((206, "weight W (V, C)", weight, "y (T, C)", y, FORTH),
                                                  (560, "dweight (V, C)", dweight, "dy (T, C)", dy, BACK)):
        picture.text(290, top - 8, name, 30, colour, "middle", bold=True)
        picture.text(1350, top - 8, right, 30, colour, "middle", bold=True)
        picture.text(790, top - 8, "ids (T)", 30, anchor="middle", bold=True)
        picture.array(140, top, table, colour, (100, 42), 1, name.split()[0], thick=colour == FORTH)
        picture.array(1200, top + 21, rows, colour, (100, 42), 1, right.split()[0])
        picture.array(760, top + 21, ids[:, None], GREY, (60, 42), 0, "ids")
        for v in range(5):
            picture.text(126, top + 31 + 42 * v, f"{v}", 28, GREY, "end", mono=True)
        for t, v in enumerate(ids):
            lines = [[(450, top + 21 + 42 * v), (752, top + 42 + 42 * t)], [(828, top + 42 + 42 * t), (1190, top + 42 + 42 * t)]]
            for line in lines if colour == FORTH else [line[::-1] for line in lines]:
                picture.arrow(line, colour, 3)
    picture.road(464, "y, cache = embedding.forward(ids, weight)", "dweight = embedding.backward(dy, cache)")
    return picture


def positions_picture():
    x, weight, dy = drawn(9, 2, 3, 2), drawn(10, 4, 2), drawn(11, 2, 3, 2)
    y, cache = positions.forward(x, weight)
    dx, dweight = positions.backward(dy, cache)
    picture = Picture("positions", "Positions", "nanolm/layers/positions.py",
                      "Every sequence adds the same row at the same place, so a row's gradient is the sum over the batch; "
                      "row 3 was not used.")
    picture.head("y_{bt} = x_{bt} + W_{t}", "dx = dy,     dW_{t} = Σ_{b} dy_{bt}")
    columns.draw(picture, [
        Column("x[0]", "(T, C)", x[0], dx[0], decimals=1, label="dx[0] = dy[0]"),
        Column("x[1]", "(T, C)", x[1], dx[1], decimals=1, label="dx[1] = dy[1]"), "+",
        Column("weight W", "(rows, C)", weight, dweight, learned=True, decimals=1, label="dweight"), "=",
        Column("y[0]", "(T, C)", y[0], dy[0], decimals=1), Column("y[1]", "(T, C)", y[1], dy[1], decimals=1)],
        calls=("y, cache = positions.forward(x, weight)", "dx, dweight = positions.backward(dy, cache)"))
    return picture
