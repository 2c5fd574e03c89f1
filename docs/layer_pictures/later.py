"""Pictures of what came after GPT-2, and of writing with a model: rotary, grouped and kv_cache."""
import numpy as np

from layer_pictures.draw import BACK, FORTH, GREY, INK, LINE, Picture, number
from layer_pictures.first import drawn
from nanolm.generation import kv_cache
from nanolm.layers import attention, grouped, rotary
from nanolm.models import gpt2


def rotary_picture():
    T = 4
    q, k, dy = np.tile([1.0, 0.2], (T, 1)), np.tile([0.8, -0.4], (T, 1)), drawn(30, T, 2)
    (q_turned, cache), (k_turned, _) = rotary.forward(q), rotary.forward(k)
    dx = rotary.backward(dy, cache)
    picture = Picture("rotary", "Rotary positions", "nanolm/layers/rotary.py",
                      "One query and one key, the same at every place: their product is equal along each diagonal, so only "
                      "the distance t − s counts.")
    picture.head("y_{t} = R(t w) x_{t}: turned by t w (w = 1)", "dx_{t} = R(−t w) dy_{t}: turned back")
    circle(picture, 240, 360, q_turned)
    picture.text(430, 214, "y (T, D)", 30, FORTH, bold=True)
    picture.array(430, 230, q_turned, FORTH, (100, 44), name="y")
    picture.arrow([(660, 318), (920, 318)])
    picture.formula(790, 296, "q_{t} · k_{s}", FORTH, "middle")
    picture.text(1130, 214, "scores (T, S)", 30, FORTH, "middle", bold=True)
    picture.array(940, 230, q_turned @ k_turned.T, FORTH, (100, 44), name="scores")
    for t in range(T):
        picture.text(1352, 262 + 44 * t, f"t = {t}", 28, GREY)
    picture.road(506, "y, cache = rotary.forward(x)", "dx = rotary.backward(dy, cache)")
    for x, name, values in ((430, "dx (T, D)", dx), (940, "dy (T, D)", dy)):
        picture.text(x + 100, 592, name, 30, BACK, "middle", bold=True)
        picture.array(x, 606, values, BACK, (100, 44), name=name[:2], decimals=2 if values is dx else 1)
    picture.arrow([(920, 694), (650, 694)], BACK)
    picture.text(785, 672, "turn back", 28, BACK, "middle")
    return picture


def circle(picture, x, y, turned):
    """Draw the plane of one pair of channels, and the one vector of all places, turned."""
    picture.parts.append(f'<circle cx="{x}" cy="{y}" r="100" fill="none" stroke="{LINE}" stroke-width="2"/>')
    for t, (a, b) in enumerate(turned):
        picture.arrow([(x, y), (x + 100 * a, y - 100 * b)], FORTH, 5)
        picture.text(x + 132 * a, y - 132 * b + 10, f"{t}", 28, GREY, "middle", bold=True)
    picture.text(40, 214, "at places 0 … 3", 28)


def grouped_picture():
    H, G, T, D = 4, 2, 2, 2
    q, k, v, dy = drawn(31, 1, H, T, D), drawn(32, 1, G, T, D), drawn(33, 1, G, T, D), drawn(34, 1, H, T, D)
    _, cache = attention.forward(q, grouped.shared(k, H), grouped.shared(v, H))
    _, dk_heads, _ = attention.backward(dy, cache)
    picture = Picture("grouped", "Grouped-query attention", "nanolm/layers/grouped.py",
                      "Two heads of queries use one head of keys, so the key gets the sum of their gradients; "
                      "the cache is half as large.")
    picture.head("head h uses k and v of group h // (H / G)", "dk_{g} = Σ dk_{h} over the group's heads")
    rows = ((230, "k", k, "head", grouped.shared(k, H), FORTH), (596, "dk", grouped.summed(dk_heads, G), "head", dk_heads, BACK))
    for top, name, groups, each, heads, colour in rows:
        for g in range(G):
            left = 60 + 270 * g
            picture.text(left + 95, top - 14, f"{name}, group {g}", 30, colour, "middle", bold=True)
            picture.array(left, top, groups[0, g], colour, (95, 44), name=f"{name}{g}", decimals=1 if colour == FORTH else 2)
        for h in range(H):
            left = 660 + 232 * h
            picture.text(left + 95, top - 14, f"{name}, {each} {h}", 30, colour, "middle", bold=True)
            picture.array(left, top, heads[0, h], colour, (95, 44), name=f"{name} head {h}", decimals=1 if colour == FORTH else 2)
        ways(picture, top + 88, colour, H, G)
    picture.text(60, 410, "k, v (B, G, T, D)", 28, GREY)
    picture.text(1540, 410, "q, and so the answer: (B, H, T, D)", 28, GREY, "end")
    picture.road(484, "grouped.shared(k, n_head)", "grouped.summed(dk, n_kv_head)")
    return picture


def ways(picture, y, colour, H, G):
    """Draw the lines between groups and heads: forth they fork, back they meet."""
    for g in range(G):
        low, left, heads = y + 24 + 26 * g, 155 + 270 * g, [755 + 232 * h for h in range(H) if h // (H // G) == g]
        near, far = [(heads[0], low), (heads[0], y + 4)], [(left, y + 4), (left, low), (heads[-1], low), (heads[-1], y + 4)]
        for line in (near, far):
            picture.arrow(line if colour == FORTH else line[::-1], colour, head=colour == FORTH or line is far)


def kv_cache_picture():
    config = gpt2.Config(vocab_size=6, block_size=8, n_layer=2, n_head=2, n_embd=8)
    p = gpt2.init(config, np.random.default_rng(35), np.float64)
    p["wte"]["weight"] *= 30
    ids, kv = np.array([[3, 1, 4, 1, 5]]), kv_cache.empty(p, config)
    steps = [kv_cache.extend(p, ids[:, t:t + 1], kv, config)[0, 0] for t in range(5)]
    full = gpt2.logits(p, ids, config)[0]
    small = gpt2.PRESETS["gpt2"]
    one = kv_cache.empty({"wte": {"weight": np.zeros((1, 1), np.float32)}}, small)
    kv_cache.make_room(one, 1, 1)
    a_token = one.keys.nbytes + one.values.nbytes
    picture = Picture("kv_cache", "Key-value cache", "nanolm/generation/kv_cache.py",
                      "Old keys and values never change, because no token sees the future: "
                      "keep them, and run only the new token.")
    picture.head("y_{t} = Σ_{s ≤ t} P_{ts} v_{s}: of the past, k and v are enough", "no way back: only for writing")
    for t in range(5):
        growing(picture, t, int(ids[0, t]))
    picture.arrow([(40, 486), (1560, 486)])
    picture.text(40, 534, "logits (T, V) of all tokens at once", 30, FORTH, bold=True)
    picture.array(40, 550, full, FORTH, (100, 42), name="full")
    picture.text(700, 668, "=", 52, INK, "middle", bold=True)
    picture.text(1560, 534, "token by token, with the cache", 30, FORTH, "end", bold=True)
    picture.array(760, 550, np.array(steps), FORTH, (100, 42), name="steps")
    for i, line in enumerate(("GPT-2 small", "keeps", f"{number(a_token, 0)}", "bytes", "a token")):
        picture.text(1560, 588 + 38 * i, line, 28, anchor="end")
    return picture


def growing(picture, t, token):
    """Draw the cache at step t: the keys kept so far pale, the new one dark, and the one query that asks them."""
    x, y = 40 + 312 * t, 200
    picture.text(x, y + 24, f"token {token}", 28, bold=True)
    for s in range(5):
        for row, name in enumerate("kv"):
            fill = "#ffffff" if s > t else "#cfe6fa" if s < t else "#8fc4f0"
            picture.rect(x + 30 + 42 * s, y + 110 + 58 * row, 42, 44, fill, INK if s <= t else "#d0d0d0", 4 if s == t else 2)
            if s <= t:
                picture.text(x + 51 + 42 * s, y + 142 + 58 * row, f"{s}", 28, GREY if s < t else INK, "middle", bold=s == t)
    for row, name in enumerate("kv"):
        picture.text(x, y + 142 + 58 * row, name, 28)
    picture.text(x + 150, y + 24, f"q {t}", 28, FORTH, bold=True)
    picture.arrow([(x + 32, y + 98), (x + 70 + 42 * t, y + 98)], FORTH, 4, head=False)
    picture.arrow([(x + 168, y + 36), (x + 51 + 21 * t, y + 94)], FORTH, 3)
    picture.text(x + 30, y + 256, f"S = {t + 1}", 28, GREY)
