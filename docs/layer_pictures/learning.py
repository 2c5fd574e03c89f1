"""Pictures of what changes weights: adamw and lora."""
import numpy as np

from layer_pictures import columns
from layer_pictures.columns import Column
from layer_pictures.draw import BACK, FORTH, GREY, Picture, number
from layer_pictures.first import drawn
from nanolm.training import lora
from nanolm.training.optimizers import adamw

RATE = 0.1


def adamw_picture():
    gradients = np.array([[8.0, 0.02], [10.0, 0.01], [-6.0, 0.03], [9.0, 0.02]])
    p = {"w": np.array([1.0, 1.0])}
    state, kept = adamw.init(p), {"w": [], "m": [], "v": []}
    for g in gradients:
        adamw.step(p, {"w": g}, state, RATE, weight_decay=0.1)
        for name, value in (("w", p["w"].copy()), ("m", state["m.w"] / (1 - 0.9 ** state["t"])),
                            ("v", np.sqrt(state["v.w"] / (1 - 0.999 ** state["t"])))):
            kept[name].append(value)
    w, m, v = (np.array(kept[name]) for name in "wmv")
    picture = Picture("adamw", "AdamW", "nanolm/training/optimizers/adamw.py",
                      "The gradients differ several hundred times, the steps hardly: "
                      "each number is divided by its own typical size.")
    picture.head("m ← β_{1} m + (1 − β_{1}) g,     v ← β_{2} v + (1 − β_{2}) g^{2}")
    picture.formula(40, 212, "w ← w − lr λ w − lr m^ / (√v^ + ε),     m^ = m / (1 − β_{1}^{t}),     v^ = v / (1 − β_{2}^{t})",
                    FORTH)
    for x, name, says, values, colour, decimals in (
            (130, "g", "the gradient", gradients, BACK, 2), (500, "m^", "its average", m, FORTH, 3),
            (880, "√v^", "its size", v, FORTH, 3), (1290, "w", "the weights", w, FORTH, 3)):
        cell = (130, 48)
        picture.text(x + 130, 286, f"{name}: {says}", 30, colour, "middle", bold=True)
        for j in (0, 1):
            picture.text(x + 65 + 130 * j, 324, f"w{j}", 28, GREY, "middle")
        for j in (0, 1):
            picture.array(x + 130 * j, 338, values[:, j:j + 1], colour, cell, decimals, f"{name}{j}", thick=name == "w")
    for t in range(4):
        picture.text(40, 372 + 48 * t, f"t = {t + 1}", 28)
    for a, b in ((394, 494), (764, 874), (1144, 1284)):
        picture.arrow([(a, 434), (b, 434)])
    moves(picture, w)
    return picture


def moves(picture, w):
    """Draw the way of both weights, from 1 on, each on a line of its own."""
    at = lambda value: 330 + (value - 0.55) * 2660                                   # noqa: E731
    for j in (0, 1):
        y, places = 610 + 96 * j, [1.0, *w[:, j]]
        picture.text(40, y + 10, f"w{j} on its way", 30, bold=True)
        picture.arrow([(at(0.55), y), (at(1.01), y)], GREY, 2, head=False)
        for before, after in zip(places, places[1:]):
            picture.arrow([(at(before), y - 14), (at(after), y - 14)], FORTH, 4)
        for value in places:
            picture.arrow([(at(value), y - 6), (at(value), y + 6)], GREY, 3, head=False)
        picture.text(at(1.0), y + 38, "1", 28, GREY, "middle")
        picture.text(at(places[-1]), y + 38, number(places[-1], 3), 28, GREY, "middle")
    picture.text(1560, 568, "lr = 0.1, λ = 0.1, β = 0.9 and 0.999", 28, GREY, "end")


def lora_picture():
    p, dw = {"w": drawn(70, 3, 4)}, drawn(71, 3, 4)
    adapters = lora.init(p, "w", 1, np.random.default_rng(72))
    adapters = {"w.lora_a": adapters["w.lora_a"].round(1), "w.lora_b": drawn(73, 1, 4)}
    merged = lora.merged(p, adapters, alpha=0.5)["w"]
    gradients = lora.backward({"w": dw}, adapters, alpha=0.5)
    size = {"w": np.zeros((768, 768), np.float32)}
    thin = sum(array.size for array in lora.init(size, "w", 8, np.random.default_rng(0)).values())
    picture = Picture("lora", "LoRA", "nanolm/training/lora.py",
                      "The large matrix stays as it was published; two thin ones learn, "
                      "and they get their gradients from that of W′.")
    picture.head("W′ = W + s A B,     s = alpha / r", "dA = s dW′ B^{T},     dB = s A^{T} dW′")
    columns.draw(picture, [
        Column("W", "(C, F), frozen", p["w"], decimals=1, colour=GREY), "+ s",
        Column("A", "(C, r)", adapters["w.lora_a"], gradients["w.lora_a"], learned=True, decimals=1, back=2),
        "@", Column("B", "(r, F)", adapters["w.lora_b"], gradients["w.lora_b"], learned=True, decimals=1, back=2), "=",
        Column("W′", "(C, F)", merged, dw, back=1)], cell=(96, 44),
        calls=("lora.merged(p, adapters, alpha)", "gradients = lora.backward(dp, adapters, alpha)"))
    for i, line in enumerate(("here r = 1, s = 0.5", f"768 × 768: {number(768 * 768, 0)}", f"A and B, r = 8: {number(thin, 0)}")):
        picture.text(40, 606 + 44 * i, line, 30)
    return picture
