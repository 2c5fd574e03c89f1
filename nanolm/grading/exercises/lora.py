"""Exercises on adapting a model: LoRA's two thin matrices, and the tokens that BERT's training hides."""
import numpy as np

from nanolm.data import masking
from nanolm.grading.exercise import Call, Exercise, library
from nanolm.grading.exercises import build
from nanolm.grading.mistakes import lora as of_lora, masking as of_masking
from nanolm.params import unflatten
from nanolm.training import lora


def model(draw):
    """Return the arrays of a small model, flat, the adapters of one to three of its matrices, and the sizes of the first."""
    flat, adapters, sizes = {}, {}, {}
    for name in ("wte.weight", "h.0.attn.weight", "h.1.attn.weight")[:draw.whole(1, 3)]:
        n_in, r = draw.whole(1, 5), draw.whole(1, 3)
        n_out = n_in if draw.choice(False, False, True) else draw.whole(1, 5)
        flat[name] = draw.array(n_in, n_out)
        adapters |= {f"{name}.lora_a": draw.array(n_in, r), f"{name}.lora_b": draw.array(r, n_out)}
        sizes = sizes or {"I": n_in, "O": n_out, "r": r}
    return {**flat, "ln_f.weight": draw.array(2), "head.weight": draw.array(2, 3)}, adapters, sizes


def alpha_of(draw):
    """Return the options of a call: alpha, or none, which means 16."""
    alpha = draw.share(None, 2.0, 1.0, 8.0, 32.0)
    return {} if alpha is None else {"alpha": alpha}


def merged_arguments(draw):
    flat, adapters, sizes = model(draw)
    p, kwargs = unflatten(flat), alpha_of(draw)
    return Call((p, adapters), kwargs, shown={**flat, **adapters, **kwargs}, sizes=sizes)


def backward_arguments(draw):
    flat, adapters, sizes = model(draw)
    kwargs = alpha_of(draw)
    dp = {name: draw.upstream(*a.shape) for name, a in flat.items()}
    shown = {**adapters, **{f"dp, {name}": a for name, a in dp.items()}, **kwargs}
    return Call((unflatten(dp), adapters), kwargs, shown=shown, sizes=sizes)


def backward_cases():
    """Return the very first step, in which B is zero (so dA is zero, and dB is not), and two in which all sides are equal."""
    rng = np.random.default_rng(3)
    found = []
    for shape, r, b in (((4, 3), 2, 0.0), ((3, 3), 3, 1.0), ((2, 2), 2, 1.0)):
        dp = {"wte": {"weight": rng.standard_normal(shape)}, "ln_f": {"weight": rng.standard_normal(3)}}
        adapters = {"wte.weight.lora_a": rng.standard_normal((shape[0], r)),
                    "wte.weight.lora_b": b * rng.standard_normal((r, shape[1]))}
        found.append(Call((dp, adapters), {"alpha": 4.0}, {**adapters, "dp, wte.weight": dp["wte"]["weight"], "alpha": 4.0}))
    return found


def masked_arguments(draw):
    shape = [draw.whole(1, 3), draw.whole(1, 12)][draw.choice(0, 0, 1):]
    vocab_size = draw.whole(6, 30)
    ids = draw.ids(tuple(shape), vocab_size)
    tokens = None if draw.choice(True, False) else draw.booleans(*shape)
    kwargs = {"share": draw.share(0.5, 0.15, 1.0), **({} if tokens is None else {"tokens": tokens})}
    sizes = {"V": vocab_size}
    call = build.forward_call(masking, ids, vocab_size, 4, (0, 2, 3), draw.generator(), name="masked", sizes=sizes, **kwargs)
    call.shown.pop("rng", None)
    return call


def lora_backward():
    """Return the exercise of (LR2). It is no layer's backward: it takes a model's dp in place of dy and a cache."""
    signature, docstring = library(lora, "backward")
    return Exercise(
        "lora.backward", "backward",
        "A matrix W (I, O) of a model was replaced by W' = W + (alpha / r) A B, with A (I, r) and B (r, O). dp, nested, holds "
        "the gradients by the merged parameters, dW' among them. adapters is a flat dict: for a matrix of the dotted name n it "
        "holds A under n + \".lora_a\" and B under n + \".lora_b\"; r may differ from matrix to matrix. Return a flat dict with "
        "the names of adapters: the gradients of every A and B. params.flatten(dp) gives a flat dict of dp, with the dotted "
        "names.",
        ("gradients",), lora.backward, backward_arguments, cases=backward_cases, signature=signature, docstring=docstring,
        mistakes=of_lora.BACKWARD,
        own=build.twins(lora, "backward"), level=2, minutes=25, notebook="22_lora", where=(lora, "backward"),
        imports="import numpy as np\n\nfrom nanolm import params",
        hints=("dW' is the gradient by the whole matrix W + s A B, with s = alpha / r. Write one entry of it out: W_io + s sum_k "
               "A_ik B_ko.",
               "A_ik occurs in row i alone, in every column o, with the factor s B_ko. B_ko occurs in column o, in every row i, "
               "with s A_ik.",
               "dA_ik = s sum_o dW_io B_ko is a matrix product: which of the two has to be transposed for the shapes to fit?",
               "dA = s * (dW @ B.T), dB = s * (A.T @ dW), for each matrix that has adapters."))


def exercises(constants):
    return [
        build.forward(lora, ("p",), merged_arguments, name="merged", level=1, minutes=20, notebook="22_lora",
                      imports="import numpy as np\n\nfrom nanolm import params",
                      task="Merge LoRA's adapters into a model: W' = W + (alpha / r) A B for each matrix W (I, O) that has a "
                           "pair A (I, r) and B (r, O). p is a nested dict of arrays; adapters is a flat dict: for a matrix of "
                           "the dotted name n (\"h.0.attn.weight\") it holds A under n + \".lora_a\" and B under n + "
                           "\".lora_b\"; r may differ from matrix to matrix. Return parameters nested as p is; what has no "
                           "adapters stays as it is, and p itself is not changed. params.flatten and params.unflatten go from "
                           "nested to flat and back.",
                      mistakes=of_lora.MERGED,
                      hints=("Begin with flat = dict(params.flatten(p)): a dict of your own, so that p stays as it is.",
                             "The names that end in .lora_a tell which matrices have adapters: name.removesuffix(\".lora_a\").",
                             "r is the number of A's columns. Write a new array into flat: W + ..., not W += ....",
                             "flat[name] = flat[name] + (alpha / a.shape[1]) * (a @ b); at the end params.unflatten(flat).")),
        lora_backward(),
        build.forward(masking, ("inputs", "targets"), masked_arguments, name="masked", level=2, minutes=30, notebook="18_bert",
                      task="Hide some tokens of a text, as BERT's training does. ids are whole numbers of any shape. Each token "
                           "is chosen with the chance share, but never one whose id is in special, nor, where tokens is given, "
                           "one at which tokens is False. Of the chosen, 80 % become mask_id, 10 % a random token, 10 % stay. So "
                           "that your numbers can be compared, draw exactly these three, in this order: u = "
                           "rng.random(ids.shape); coin = rng.random(ids.shape); other = rng.integers(0, vocab_size, ids.shape, "
                           "dtype=ids.dtype). Chosen is where u < share; a chosen token becomes mask_id where coin < 0.8, other "
                           "where 0.8 <= coin < 0.9, and stays from 0.9 on. Return inputs and targets, shaped like ids: targets "
                           "holds the token that stood there where one was chosen, and -100 everywhere else.",
                      mistakes=of_masking.MASKED,
                      hints=("First an array of booleans: which tokens may be chosen at all? np.isin(ids, list(special)) helps.",
                             "chosen = may & (u < share). The rest is two np.where for inputs and one for targets.",
                             "inputs = np.where(chosen & (coin < 0.8), mask_id, ids); then the random ones, from coin 0.8 up to "
                             "0.9.",
                             "targets = np.where(chosen, ids, -100): also where the token became random or stayed.")),
    ]
