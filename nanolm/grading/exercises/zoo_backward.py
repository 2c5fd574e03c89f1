"""The bug zoo, backwards: gradients that were wrong and trained all the same. A gradient check finds each of them.

Tested    tests/grading/test_bugs.py, tests/grading/test_zoo.py.
"""
from nanolm.grading.exercises.zoo_animal import Animal

CONTEXT = Animal(
    name="context",
    task="This layer guesses a word from the words around it: forward averages their vectors, backward gives the table's "
         "gradient.",
    code='''\
import numpy as np


def forward(ids, weight):
    # ids (N, S): the S words around each of N gaps. weight (V, C), a row a word. y (N, C).
    y = weight[ids].mean(axis=1)
    return y, (ids, weight.shape)


def backward(dy, cache):
    ids, shape = cache
    N, S = ids.shape
    dweight = np.zeros(shape, dtype=dy.dtype)
    dwords = np.repeat(dy[:, None, :], S, axis=1)         # (N, S, C); y = words.mean(axis=1)
    for n in range(N):
        for s in range(S):
            dweight[ids[n, s]] += dwords[n, s]            # words = weight[ids]
    return dweight
''',
    lines=(14,),
    repair="    dwords = np.repeat(dy[:, None, :] / S, S, axis=1)",
    right="Each word has a share of 1 / S in the average, but it gets the whole gradient: all vectors move S times too far.",
    others=("A word that stands in two places gets only the gradient of the last of them.",
            "The new axis of dy is in the wrong place: the words around one gap get the gradient of another gap.",
            "The average is taken over the C channels in place of the S words.",
            "The gradient of a table is a mean over the N gaps, but here it is a sum over them.",
            "dwords[n, s] belongs to word s of another gap than ids[n, s] does.",
            "dweight is float64 even where dy is float32, because np.zeros makes float64."),
    story="word2vec, 2013: its mode CBOW averages the context's vectors, but adds the whole error to each of them "
          "(word2vec.c, under the comment `hidden -> in`). Gensim had it too. It hid well: every vector moves in the right "
          "direction, only S times as far, so the loss falls and the vectors look sensible; CBOW was merely said to be "
          "worse than skip-gram. Irsoy, Benton and Stratos showed in December 2020 that with the factor 1 / S the two are "
          "equally good (arXiv:2012.15332). A gradient check with S > 1 shows it at once; a falling loss never will.",
    checkable=True, level=2, notebook="04_embedding",
    hints=("Take S = 1, then S = 2, and compare with central differences. What changes?",
           "y is a mean. By how much does y change when one of the S vectors grows by 1?",
           "dy_n / S should arrive at each word around gap n. What does arrive?"))

LOOKUP = Animal(
    name="lookup",
    task="The embedding: forward looks up a vector for each token, backward gives the gradient of the table.",
    code='''\
import numpy as np


def forward(ids, weight):
    # ids (B, T): whole numbers below V. weight (V, C). y (B, T, C).
    return weight[ids], (ids, weight.shape[0])


def backward(dy, cache):
    ids, V = cache
    C = dy.shape[-1]
    rows = dy.reshape(-1, C)                              # (N, C), one for each token
    dweight = np.zeros((V, C), dtype=dy.dtype)
    dweight[ids.reshape(-1)] += rows                      # y = weight[ids]
    return dweight
''',
    lines=(14,),
    repair="    np.add.at(dweight, ids.reshape(-1), rows)",
    right="A token that stands in several places gets the gradient of only one of them; it should be their sum.",
    others=("Tokens that do not stand in the batch get a gradient that is not zero.",
            "dy.reshape(-1, C) mixes the channels of different tokens.",
            "dweight holds too few rows if the highest token of the table is not in the batch.",
            "dy is written to: += changes the array that rows is a view of.",
            "The gradients should be divided by the number of tokens, B T.",
            "A second call of backward adds its gradient to that of the first."),
    story="PyTorch 0.1.11 and 0.1.12, May 2017: the gradient of an index with repeated entries kept only the last copy "
          "(pytorch/pytorch issue 1528). The report has two lines: take y[[0, 0]], send a gradient into the first copy, and "
          "nothing arrives. a[i] += b reads all a[i], adds, and then writes: of equal entries the last write stays. It "
          "hides in tests with few tokens, all different; text repeats itself. A gradient check finds it if an id repeats, "
          "and only then: see to it that one does (nanolm's own looks at that case by itself).",
    checkable=True, level=1, notebook="04_embedding",
    hints=("Try ids = [[0, 0]].",
           "What does a[[1, 1]] += [10, 20] do to an array of zeros?",
           "NumPy reads all the old values before it writes any. np.add.at does it one by one."))

RECOMPUTED = Animal(
    name="recomputed",
    task="GELU and dropout. To save memory, forward keeps x alone, and backward computes the rest again before it goes "
         "back.",
    code='''\
from nanolm.layers import dropout, gelu

KEEP_STATE = False                                        # one copy less a step


def forward(x, rate, rng):
    # x, y (..., C). rng: a Generator, from which dropout draws what to drop.
    state = rng.bit_generator.state                       # as it is before dropout draws
    a, _ = gelu.forward(x)
    y, _ = dropout.forward(a, rate, rng)
    return y, (x, rate, rng, state)


def backward(dy, cache):
    x, rate, rng, state = cache
    now = rng.bit_generator.state
    rng.bit_generator.state = state if KEEP_STATE else now
    a, c_gelu = gelu.forward(x)                           # forward's lines again
    _, c_dropout = dropout.forward(a, rate, rng)
    rng.bit_generator.state = now                         # as if nothing had been drawn
    da = dropout.backward(dy, c_dropout)                  # y = dropout(a)
    return gelu.backward(da, c_gelu)                      # a = gelu(x)
''',
    lines=(3, 17),
    repair="KEEP_STATE = True",
    right="When backward computes dropout again, it draws other numbers than forward did: the gradient belongs to another "
          "y.",
    others=("The gradient is divided by 1 - rate twice, once in forward and once in backward.",
            "GELU is computed twice, and its second result differs from the first.",
            "state is the state after dropout has drawn: it is read too late.",
            "The layers are taken back in the wrong order: GELU's backward has to come first.",
            "backward draws from rng and so changes what the next layer will draw.",
            "Where rate is 0 the gradient is wrong too."),
    story="Activation checkpointing in PyTorch drew new dropout masks in its second forward until November 2018 "
          "(pytorch/pytorch pull requests 14253 and 14518: preserve_rng_state). That switch can be turned off, and was: "
          "AI2's OLMo-core had preserve_rng_state = False, beside a TODO, harmless as long as none of its models had "
          "dropout. In August 2026 one had it, and after 150 steps its loss stood at 2.50 in place of 2.20 "
          "(allenai/OLMo-core pull request 828). Nothing crashes, and the loss falls. It was found by an experiment: "
          "turning checkpointing off must change nothing, and it did. A gradient check finds it if rng is made anew from "
          "the same seed for each forward, and the rate is above 0.",
    checkable=True, level=3, notebook="10_dropout",
    hints=("Call forward with a fresh default_rng(0), then backward with dy = 1. Where is dx zero, and where is y zero?",
           "Which random numbers does the second dropout.forward draw?",
           "What is the value of `state if KEEP_STATE else now`?"))

IN_PLACE = Animal(
    name="in_place",
    task="A step with RMS norm after the layer, y = x + norm(gelu(x)). norm_backward is the norm's own, backward that of "
         "the step.",
    code='''\
from nanolm.layers import gelu, rmsnorm


def forward(x, weight):
    # x, y (..., C), weight (C,).
    a, c_gelu = gelu.forward(x)
    n, c_norm = rmsnorm.forward(a, weight)
    return x + n, (c_gelu, c_norm)


def norm_backward(dy, cache):
    dx, dweight = rmsnorm.backward(dy, cache)
    dy[...] = dx                                          # one array for both of them
    return dy, dweight


def backward(dy, cache):
    c_gelu, c_norm = cache
    da, dweight = norm_backward(dy, c_norm)
    dx = dy + gelu.backward(da, c_gelu)                   # x went into + and into gelu
    return dx, dweight
''',
    lines=(13,),
    repair="    dy = dx",
    right="An array is changed that another still needs: the gradient that goes past the norm is overwritten.",
    others=("The norm gets gelu's cache, and gelu the norm's.",
            "dweight is computed from dy after dy was overwritten.",
            "x was used twice, but the two gradients are not added.",
            "dy[...] = dx gives dy another shape where x has more than two axes.",
            "The norm's gradient is wrong by itself, whoever calls it: with any dy its dx and dweight are wrong numbers.",
            "gelu.backward gets the gradient of the norm's output in place of that of its input."),
    story="LinkedIn's Liger kernels, 2024: to save memory, RMS norm's backward wrote its result into the array of the "
          "gradient that it was given. In Llama nobody needs that array again. Gemma 2 has a norm after each layer, just "
          "before the sum: there the same gradient also goes past the norm, and it had been overwritten. The norm's own "
          "tests passed, some of them only because the right backward happened to run first (pull request 1305, 2026). "
          "Gemma 2 could not pass the tests of convergence and was left out of them, until somebody asked why "
          "(linkedin/Liger-Kernel issue 370; repaired in pull request 376, November 2024). A gradient check of the norm "
          "alone sees nothing unless it also looks whether dy is still what it was; one of the whole step does. So: never "
          "write to what you were given.",
    checkable=True, level=2, notebook="11_block",
    hints=("Check norm_backward alone, then backward. Which one is wrong?",
           "Print dy before and after norm_backward.",
           "`a[...] = b` changes the array itself, for all who hold it. `a = b` changes what the name stands for."))

ANIMALS = (LOOKUP, CONTEXT, IN_PLACE, RECOMPUTED)
