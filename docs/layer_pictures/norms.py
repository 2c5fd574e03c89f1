"""Pictures of layernorm, rmsnorm, dropout and cross_entropy."""
import numpy as np

from layer_pictures import columns
from layer_pictures.columns import Column
from layer_pictures.draw import BACK, FORTH, GREY, Picture, number
from layer_pictures.first import drawn
from nanolm.layers import cross_entropy, dropout, layernorm, rmsnorm, softmax


def layernorm_picture():
    x, dy = np.array([[1.0, 2.0, 6.0], [-4.0, 0.0, 1.0]]), drawn(14, 2, 3)
    weight, bias = np.array([1.5, 0.5, -1.0]), np.array([0.0, 1.0, 2.0])
    n, _ = layernorm.forward(x, np.ones(3), np.zeros(3))
    y, cache = layernorm.forward(x, weight, bias)
    dx, dweight, dbias = layernorm.backward(dy, cache)
    picture = Picture("layernorm", "Layer normalisation", "nanolm/layers/layernorm.py",
                      "Each token alone gets mean 0 and variance 1; a shift of all its channels is lost, "
                      "so its row of dx adds up to 0.")
    picture.head("n = (x − mean) rstd,     rstd = 1 / √(var + ε),     y = n · weight + bias")
    left = columns.draw(picture, [
        Column("x", "(T, C)", x, dx, decimals=1, back=2), "→", Column("n", "(T, C)", n), "→",
        Column("weight, bias", "(C) each", np.stack([weight, bias]), np.stack([dweight, dbias]),
               learned=True, label="dweight, dbias"),
        "→", Column("y", "(T, C)", y, dy)],
        calls=("y, cache = layernorm.forward(x, weight, bias)", "dx, dweight, dbias = layernorm.backward(dy, cache)"))
    facts(picture, left, n, dx)
    picture.formula(40, 772, "dx = rstd (dn − average(dn) − n average(dn n)),     dn = dy · weight", BACK)
    return picture


def facts(picture, left, n, dx):
    """Write beneath n and dx what is true of each of their rows."""
    mean, square = (number(abs(values.mean(axis=-1)).max()) for values in (n, n * n))
    picture.text(left["n"] + 150, 370, f"mean {mean}, of squares {square}", 28, FORTH, "middle")
    picture.text(left["x"] + 150, 700, f"sums of rows: {number(abs(dx.sum(axis=-1)).max())}", 28, BACK, "middle")
    picture.text(left["weight, bias"] + 150, 700, "= Σ dy n,  Σ dy", 30, BACK, "middle")


def rmsnorm_picture():
    x, weight, dy = np.array([[1.0, 2.0, 6.0], [-4.0, 0.0, 1.0]]), np.array([1.5, 0.5, -1.0]), drawn(14, 2, 3)
    n, _ = rmsnorm.forward(x, np.ones(3))
    y, cache = rmsnorm.forward(x, weight)
    dx, dweight = rmsnorm.backward(dy, cache)
    picture = Picture("rmsnorm", "RMS norm", "nanolm/layers/rmsnorm.py",
                      "Layer norm without the mean and the bias: only the length of a token's vector is set, to √C.")
    picture.head("n = x rstd,     rstd = 1 / √(average(x^{2}) + ε),     y = n · weight")
    left = columns.draw(picture, [
        Column("x", "(T, C)", x, dx, decimals=1, back=2), "→", Column("n", "(T, C)", n), "→",
        Column("weight", "(C)", weight, dweight, "= Σ_{t} dy n", True), "→", Column("y", "(T, C)", y, dy)],
        calls=("y, cache = rmsnorm.forward(x, weight)", "dx, dweight = rmsnorm.backward(dy, cache)"))
    square = number((n * n).mean(axis=-1).max())
    picture.text(left["n"] + 150, 370, f"mean of squares {square}", 28, FORTH, "middle")
    picture.formula(40, 772, "dx = rstd (dn − n average(dn n)),     dn = dy · weight", BACK)
    return picture


def dropout_picture():
    x, dy = drawn(15, 3, 4), drawn(16, 3, 4)
    y, cache = dropout.forward(x, 0.5, np.random.default_rng(1))
    dx = dropout.backward(dy, cache)
    keep, _ = dropout.forward(np.ones((3, 4)), 0.5, np.random.default_rng(1))
    picture = Picture("dropout", "Dropout", "nanolm/layers/dropout.py",
                      "What is dropped on the way forth is dropped at the same places on the way back; the rest is "
                      "doubled (rate 0.5).")
    picture.head("y = x keep / (1 − rate)", "dx = dy keep / (1 − rate)")
    left = columns.draw(picture, [Column("x", "(T, C)", x, dx, decimals=1), "×",
                                  Column("keep", "(T, C), drawn by rng", keep > 0, colour=GREY),
                                  "→", Column("y", "(T, C)", y, dy, decimals=1)],
                        calls=("y, cache = dropout.forward(x, 0.5, rng)", "dx = dropout.backward(dy, cache)"))
    picture.text(left["keep"] + 200, 566, "keep", 30, anchor="middle", bold=True)
    picture.array(left["keep"], 578, keep > 0, GREY, (100, 44), name="keep")
    picture.arrow([(left["y"] - 20, 644), (left["keep"] + 420, 644)], BACK)
    picture.arrow([(left["keep"] - 20, 644), (left["x"] + 420, 644)], BACK)
    return picture


def cross_entropy_picture():
    logits, targets = np.array([[2.0, 1.0, 0.0, -1.0], [0.0, 3.0, 0.5, 0.0], [1.0, 0.0, -2.0, 1.0]]), np.array([0, 2, 3])
    loss, cache = cross_entropy.forward(logits, targets)
    dlogits = cross_entropy.backward(1.0, cache)
    nll = np.array([cross_entropy.forward(logits[t:t + 1], targets[t:t + 1])[0] for t in range(3)])
    aims = tuple((t, int(v)) for t, v in enumerate(targets))
    picture = Picture("cross_entropy", "Cross-entropy", "nanolm/layers/cross_entropy.py",
                      "Pull up the token that came (framed), push down what was believed: the less it was expected, the harder.")
    picture.head("nll_{t} = −ln p_{t, target},     p = softmax(logits),     loss = average of nll")
    left = columns.draw(picture, [
        Column("logits", "(T, V)", logits, dlogits, decimals=1, back=2, framed=aims), "→",
        Column("p", "(T, V)", softmax.forward(logits)[0], framed=aims),
        Column("target", "(T)", targets[:, None], colour=GREY, decimals=0), "→", Column("nll", "(T)", nll[:, None]), "→",
        Column("loss", "one", loss, np.array(1.0), decimals=2)], cell=(104, 44),
        calls=("loss, cache = cross_entropy.forward(logits, targets)", "dlogits = cross_entropy.backward(dloss, cache)"))
    picture.formula(left["p"], 632, "dlogits = (p − [v = target]) dloss / T", BACK)
    picture.arrow([(left["loss"] - 12, 660), (left["logits"] + 430, 660)], BACK)
    return picture
