"""The bug zoo by numbers: the code that is shown has its bug, and the repaired code has not."""
import numpy as np
import pytest

from nanolm import gradcheck, params
from nanolm.generation import sampling
from nanolm.grading.exercises import zoo
from nanolm.layers import attention, block, embedding, grouped, layernorm, masks, rmsnorm, rotary
from nanolm.models import gpt2
from nanolm.text import merging
from nanolm.training import step as training
from nanolm.training.optimizers import adam, adamw

BY_NAME = {animal.name: animal for animal in zoo.ANIMALS}


def run(name, repaired):
    """Return what the code of an animal defines, as it is shown or repaired."""
    space = {}
    exec(compile(BY_NAME[name].repaired() if repaired else BY_NAME[name].code, name, "exec"), space)
    return space


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


# ------------------------------------------------------------------- is the bug there, and gone when repaired? True: right
def context(code):
    ids = np.array([[0, 1, 1], [2, 0, 4]])
    report = gradcheck.check(gradcheck.pair(code["forward"], code["backward"]), ids, draw(5, 4), float32=False)
    alone = gradcheck.check(gradcheck.pair(code["forward"], code["backward"]), ids[:, :1], draw(5, 4), float32=False)
    assert alone.passed                                                     # a window of one word never shows it
    return report.passed


def lookup(code):
    def right(ids):
        weight, dy = draw(5, 4), draw(*ids.shape, 4, seed=1)
        got = code["backward"](dy, code["forward"](ids, weight)[1])
        return np.allclose(got, embedding.backward(dy, embedding.forward(ids, weight)[1]))
    unlike, repeated = np.array([[0, 3], [2, 1]]), np.array([[0, 3], [0, 1]])
    assert right(unlike)                                                    # ids that are all different never show it
    report = gradcheck.check(gradcheck.pair(code["forward"], code["backward"]), repeated, draw(5, 4), float32=False)
    assert report.passed == right(repeated)
    return report.passed


def in_place(code):
    x, weight, dy = draw(3, 4), draw(4, seed=1), draw(3, 4, seed=2)
    cache = rmsnorm.forward(x, weight)[1]
    for got, expected in zip(code["norm_backward"](dy.copy(), cache), rmsnorm.backward(dy, cache), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)               # the norm alone is right, in both
    return gradcheck.check(gradcheck.pair(code["forward"], code["backward"]), x, weight, float32=False).passed


def recomputed(code):
    def pair(rate):
        return gradcheck.pair(lambda x: code["forward"](x, rate, np.random.default_rng(3)), code["backward"])
    assert gradcheck.check(pair(0.0), draw(5, 6), float32=False).passed
    x, rng = draw(5, 6), np.random.default_rng(3)
    _, cache = code["forward"](x, 0.4, rng)
    after = rng.bit_generator.state
    code["backward"](x, cache)
    assert rng.bit_generator.state == after                                 # whoever draws next does not notice
    return gradcheck.check(pair(0.4), x, float32=False).passed


def scale(code):
    def differs(D):
        x, (wq, wk, wv) = draw(2, 5, 8), draw(3, 8, D, seed=1)
        expected, _ = attention.forward(x @ wq, x @ wk, x @ wv, masks.causal(5))
        return float(np.abs(code["head"](x, wq, wk, wv) - expected).max())
    assert differs(8) < 1e-12                                               # one head: C is D
    return differs(2) < 1e-12


def cache(code):
    q, k, v = draw(3, 2, 2, 6, 4)
    expected, _ = attention.forward(q, k, v, masks.causal(6))
    none = code["attend"](q, k, v, k[:, :, :0], v[:, :, :0])
    np.testing.assert_allclose(none, expected, rtol=1e-12, atol=1e-14)      # an empty cache never shows it
    new = code["attend"](q[:, :, 4:], k[:, :, 4:], v[:, :, 4:], k[:, :, :4], v[:, :, :4])
    return np.allclose(new, expected[:, :, 4:])


def groups(code):
    def right(G):
        q, k, v = draw(2, 4, 5, 6), draw(2, G, 5, 6, seed=1), draw(2, G, 5, 6, seed=2)
        turned_q, turned_k = rotary.forward(q)[0], rotary.forward(k)[0]
        expected, _ = attention.forward(turned_q, grouped.shared(turned_k, 4), grouped.shared(v, 4), masks.causal(5))
        return np.allclose(code["grouped"](q, k, v), expected)
    assert right(1) and right(4)
    return right(2)


def padded(code):
    config = gpt2.Config(vocab_size=11, block_size=8, n_layer=2, n_head=2, n_embd=8)
    p = gpt2.init(config, np.random.default_rng(0), np.float64)
    p = params.unflatten({name: draw(*a.shape, seed=i) for i, (name, a) in enumerate(params.flatten(p).items())})
    prompts = [[3, 1, 4], [1, 5, 9, 2, 6], [7]]
    alone = np.stack([gpt2.logits(p, np.array([one]), config)[0, -1] for one in prompts])
    x, mask = code["inputs"](prompts, p["wte"]["weight"], p["wpe"]["weight"])
    for i in range(config.n_layer):
        x, _ = block.forward(x, p["h"][str(i)], config.n_head, mask)
    together = layernorm.forward(x[:, -1], **p["ln_f"])[0] @ p["wte"]["weight"].T
    np.testing.assert_allclose(together[1], alone[1], rtol=1e-9)            # the longest is right, in both
    return np.allclose(together, alone)


def steps_of(code, decay, **eps):
    """Return the weights after some steps of the code and of nanolm's AdamW."""
    ours, theirs = ({"a": draw(3, 4), "b": draw(5, seed=1)} for _ in range(2))
    states = [adam.init(ours), adam.init(theirs)]
    for i in range(3):
        g = {"a": draw(3, 4, seed=2 + i) * 10 ** np.linspace(-3, 3, 4), "b": draw(5, seed=9 + i)}
        code["step"](ours, g, states[0], 0.01, decay=decay)
        adamw.step(theirs, g, states[1], 0.01, weight_decay=decay, **eps)
    return ours, theirs


def decay(code):
    ours, theirs = steps_of(code, 0.0)
    assert all(np.allclose(ours[name], theirs[name]) for name in ours)      # without decay it is Adam
    ours, theirs = steps_of(code, 0.1)
    return all(np.allclose(ours[name], theirs[name], rtol=1e-9) for name in ours)


def first_steps(code):
    ours, theirs = steps_of(code, 0.1, eps=1e-6)
    return all(np.allclose(ours[name], theirs[name], rtol=1e-9) for name in ours)


def accumulated(code):
    config = gpt2.Config(vocab_size=11, block_size=6, n_layer=1, n_head=2, n_embd=8)
    p = gpt2.init(config, np.random.default_rng(0), np.float64)
    ids = np.random.default_rng(1).integers(0, 11, (4, 6))
    targets = np.roll(ids, -1, axis=1)

    def right(parts):
        loss, grads = code["loss_and_gradients"](gpt2, p, ids, targets, config, parts)
        expected, dp = training.loss_and_gradients(gpt2, p, ids, targets, config)
        return abs(loss - expected) < 1e-9 and all(np.allclose(grads[name], dp[name], atol=1e-12) for name in dp)
    assert right(1) and right(2) and right(4)                               # all rows of one length never show it
    targets[0, 2:] = targets[3, 1:] = -100
    assert right(1)
    return right(2) and right(3)


def workers(code):
    def first():
        stream = code["batches"](np.arange(200), 7, 3, 5)
        return [next(stream) for _ in range(8)]
    assert all(np.array_equal(a, b) for a, b in zip(first(), first()))      # a seed gives the same batches
    assert all(one.shape == (3, 8) and (np.diff(one) == 1).all() for one in first())
    assert not np.array_equal(first()[0], first()[4])                       # a worker's next batch is another one
    return len({one.tobytes() for one in first()}) == 8


def penalty(code):
    shares = np.exp(z := draw(9) - 1) / np.exp(z).sum()
    assert np.allclose(code["chances"](z, [], 1.3), shares) and np.allclose(code["chances"](z, [2, 5], 1.0), shares)
    assert z.min() < 0 < z.max()
    everywhere = [code["chances"](z, [i, i], 1.3)[i] < shares[i] for i in range(9)]
    same = all(np.allclose(code["chances"](z, ids, 1.3), sampling.distribution(z, ids, repetition_penalty=1.3))
               for ids in ([0, 3], [4]))
    assert all(everywhere) == same
    return same


def nucleus(code):
    z = np.log(np.array([[0.5, 0.41, 0.09], [0.09, 0.3, 0.61], [0.95, 0.03, 0.02]]))
    one = code["keep_top_p"](z[2:], 0.9)
    assert np.isfinite(one).tolist() == [[True, False, False]]              # a single token is enough: right in both
    return np.array_equal(code["keep_top_p"](z, 0.9), sampling.keep_top_p(z, 0.9)) and all(
        np.array_equal(code["keep_top_p"](draw(9, 12, seed=i), p), sampling.keep_top_p(draw(9, 12, seed=i), p))
        for i, p in enumerate((0.05, 0.3, 0.6, 0.8, 0.9, 0.99)))


def merges(code):
    learned = [("b", "c"), ("a", "b"), ("ab", "ab"), ("d", "e")]
    names = {name: i for i, name in enumerate("abcde")}
    for pair in learned:
        names["".join(pair)] = len(names)
    by_id = {(names[a], names[b]): names[a + b] for a, b in learned}
    spelled = {i: name for name, i in names.items()}
    words = ["abc", "ababcde", "dede", "aaa"]
    got = [code["encode"](word, {pair: i for i, pair in enumerate(learned)}) for word in words]
    assert ["".join(one) for one in got] == words and got[2] == ["de", "de"]            # decoding gives the text back, in both
    return got == [[spelled[i] for i in merging.merge([names[c] for c in word], by_id)] for word in words]


PROOFS = {name: globals()[name] for name in BY_NAME}


@pytest.mark.parametrize("animal", zoo.ANIMALS, ids=list(BY_NAME))
def test_the_code_has_the_bug_and_the_repair_removes_it(animal):
    assert PROOFS[animal.name](run(animal.name, False)) is False
    assert PROOFS[animal.name](run(animal.name, True)) is True


def test_what_the_stories_say_in_numbers():
    code = run("first_steps", False)["step"]
    def factor(t):                              # how much too long is step t, of one weight with gradient 1?
        w, state = {"w": np.zeros(1)}, adam.init({"w": np.zeros(1)})
        for _ in range(t):
            before = w["w"].copy()
            code(w, {"w": np.ones(1)}, state, 1.0, decay=0.0)
        return float(before[0] - w["w"][0])
    assert [round(factor(t), 1) for t in (1, 10, 1000)] == [3.2, 6.5, 1.3]
    code = run("decay", False)["step"]
    for share in (0.01, 0.1):                   # a gradient of zero: the penalty moves w by lr, whatever the decay is
        w = {"w": np.ones(1)}
        code(w, {"w": np.zeros(1)}, adam.init(w), 0.5, decay=share)
        assert abs(w["w"][0] - 0.5) < 1e-5
    assert round(6 ** 0.5, 1) == 2.4


@pytest.mark.parametrize("width", ["C", "q.shape[-1]"])
def test_no_gradient_check_sees_the_wrong_scale(width):
    """A backward that agrees with the wrong forward passes as the right one does."""
    space = {}
    exec(BY_NAME["scale"].code.replace("* C **", f"* {width} **"), space)

    def forward(x, w_q, w_k, w_v):
        factor = 1.0 if width != "C" else (w_q.shape[1] / x.shape[-1]) ** 0.5          # attention.forward divides by sqrt(D)
        y, c = attention.forward(x @ w_q * factor, x @ w_k, x @ w_v, masks.causal(x.shape[1]))
        if y.dtype == np.float64:
            np.testing.assert_allclose(y, space["head"](x, w_q, w_k, w_v), rtol=1e-9)
        return y, (x, w_q, w_k, w_v, factor, c)

    def backward(dy, cache):
        x, w_q, w_k, w_v, factor, c = cache
        dq, dk, dv = attention.backward(dy, c)
        dx = factor * dq @ w_q.T + dk @ w_k.T + dv @ w_v.T
        return dx, *(np.einsum("btc,btd->cd", x, d) for d in (factor * dq, dk, dv))

    forward(draw(2, 4, 6), *draw(3, 6, 2, seed=1))
    assert gradcheck.check(gradcheck.pair(forward, backward), draw(2, 4, 6), *draw(3, 6, 2, seed=1), float32=False).passed
