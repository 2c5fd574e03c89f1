"""The bug zoo, attention: forwards that are wrong, with backwards that would agree with them. No gradient check finds them.

Tested    tests/grading/test_bugs.py, tests/grading/test_zoo.py.
"""
from nanolm.grading.exercises.zoo_animal import Animal

SCALE = Animal(
    name="scale",
    task="One of the heads of causal self-attention; there are C / D of them, with D channels each.",
    code='''\
import numpy as np

from nanolm.layers import masks, softmax


def head(x, w_q, w_k, w_v):
    # x (B, T, C); w_q, w_k, w_v (C, D). Return (B, T, D).
    B, T, C = x.shape
    q, k, v = x @ w_q, x @ w_k, x @ w_v
    scores = q @ k.swapaxes(-1, -2) * C ** -0.5           # (B, T, T)
    scores = np.where(masks.causal(T), scores, -np.inf)
    shares, _ = softmax.forward(scores)
    return shares @ v
''',
    lines=(10,),
    repair="    scores = q @ k.swapaxes(-1, -2) * q.shape[-1] ** -0.5",
    right="The scores are divided by the root of the wrong size: too flat a softmax as soon as there is more than one head.",
    others=("A token may attend to later ones: -inf is put where the mask allows.",
            "The first token may attend to nothing, and gets NaN.",
            "The shares of one query do not add up to one, because the softmax runs over the queries.",
            "The keys are turned over the wrong axes, so that one text meets the keys of another.",
            "The mask has no axis for the batch and so covers the first text only.",
            "The scores should be multiplied by the root, not divided by it."),
    story="Andrej Karpathy's lecture code for `Let's build GPT`, January 2023: wei = q @ k.transpose(-2,-1) * C**-0.5, "
          "where C is the width of x and not of the head (karpathy/ng-video-lecture pull request 6; he answered: `you're "
          "right :( ty`). The Colab beside the video still had it in August 2023 (issue 28), and a copy in a university "
          "course in August 2026 (Graylab/DL4Proteins-notebooks issue 12). With one head D = C, and all is right. With 6 "
          "heads the scores are 2.4 times too small. It trains: the weights grow until it fits. No gradient check can see "
          "it, because the derivative of the wrong function is right. A comparison with another implementation does, or the "
          "variance of the scores: it should be near 1.",
    level=1, notebook="07_attention",
    hints=("Compare with nanolm.layers.attention, for D = C and for D < C.",
           "What is the variance of q . k if q and k have D channels of variance 1?",
           "Which letter is the width of q?"))

GROUPS = Animal(
    name="groups",
    task="Grouped-query attention, on published weights: of H heads of queries, each H / G that stand side by side share "
         "one of G heads of keys and values.",
    code='''\
import numpy as np

from nanolm.layers import attention, masks, rotary


def shared(a, H):
    # a (B, G, T, D). Return (B, H, T, D): a head of keys or values for each head of queries.
    B, G, T, D = a.shape
    return np.tile(a, (1, H // G, 1, 1))


def grouped(q, k, v):
    # q (B, H, T, D); k, v (B, G, T, D). Return (B, H, T, D).
    H, T = q.shape[1], q.shape[2]
    q, _ = rotary.forward(q)
    k, _ = rotary.forward(k)
    y, _ = attention.forward(q, shared(k, H), shared(v, H), masks.causal(T))
    return y
''',
    lines=(9,),
    repair="    return np.repeat(a, H // G, axis=1)",
    right="The G heads come in the order 0 1 0 1 in place of 0 0 1 1: most queries meet the keys of another group.",
    others=("The values should be turned by their positions too.",
            "The keys are turned after they were shared, so that equal heads get different angles.",
            "Each head is shared by G heads of queries in place of H / G.",
            "Keys and values are shared in different orders: a query finds by one group's keys the values of another.",
            "The mask lets a query see later keys.",
            "The gradient of a shared head should be a mean of those of its users, so forward must divide by H / G."),
    story="The ONNX standard's operator Attention, 2025: its definition repeated keys and values with Tile, heads 0 1 0 1; "
          "PyTorch and published weights mean 0 0 1 1 (onnx/onnx pull request 7274, September 2025). jax-js had the same "
          "(ekzhang/jax-js pull request 180, August 2026: `GQA was not tested well enough`), and Apple's axlearn turned to "
          "it by accident and back again (pull request 842, November 2024). It hides where G = 1 or G = H, as both orders "
          "are the same then. And a model trained with the other order is as good as any, its derivative right: no gradient "
          "check complains. Only weights that others trained show it, or a comparison with H = 4, G = 2.",
    level=2, notebook="20_after_gpt2",
    hints=("Compare with nanolm.layers.grouped.shared, for G = 1, G = H and G = 2 of H = 4.",
           "Print shared(a, 4)[0, :, 0, 0] for a head of zeros and a head of ones.",
           "np.tile, or np.repeat?"))

CACHE = Animal(
    name="cache",
    task="Attention with a key-value cache: T new tokens come after P old ones, whose keys and values are kept.",
    code='''\
import numpy as np

from nanolm.layers import attention


def attend(q, k, v, old_k, old_v):
    # q, k, v (B, H, T, D) of the new tokens; old_k, old_v (B, H, P, D). Return (B, H, T, D).
    k = np.concatenate([old_k, k], axis=2)                # (B, H, S, D), S = P + T
    v = np.concatenate([old_v, v], axis=2)
    T, S = q.shape[2], k.shape[2]
    mask = np.tril(np.ones((T, S), dtype=bool))           # a query sees no later key
    y, _ = attention.forward(q, k, v, mask)
    return y
''',
    lines=(11,),
    repair="    mask = np.tril(np.ones((T, S), dtype=bool), S - T)",
    right="The first new token sees only the first key of all: the queries are taken for the first T of the S positions.",
    others=("The new tokens see each other, and so the future.",
            "Old and new keys are joined along the channels in place of the positions.",
            "With an empty cache, P = 0, the answer is wrong too.",
            "The old keys are put after the new ones.",
            "The values are not joined, so that there are more keys than values.",
            "All queries see the same keys, because the mask has no axis for them."),
    story="PyTorch's scaled_dot_product_attention(is_causal=True), version 2.0, 2023: with fewer queries than keys it puts "
          "the mask's corner at the top left, so that a single new query sees the first key alone. It was a choice, but "
          "whoever used it with a cache had this bug (pytorch/pytorch issues 103082, 108108 and 144858, the last of January "
          "2025: `repeatedly producing the same vector`). FlashAttention had the same corner and moved it to the bottom "
          "right in August 2023 (Dao-AILab/flash-attention issue 402, pull request 436). Training never shows it: there T = "
          "S, and both corners agree. Nor does a gradient check, as the mask is no function of the weights. The property "
          "does: text written with a cache must be the text written without.",
    level=2, notebook="16_generation",
    hints=("Compare with attention over the whole text at once, its last T rows.",
           "Print the mask for T = 1, S = 4.",
           "The new queries stand at the positions P ... P + T - 1. Which keys may they see?"))

PADDED = Animal(
    name="padded",
    task="Several prompts of different length go through a GPT-2 at once: the short ones are filled up on the left. This is "
         "what the blocks get.",
    code='''\
import numpy as np

from nanolm.layers import masks


def inputs(prompts, wte, wpe):
    # prompts: B lists of ids; wte (V, C), wpe (places, C): the tables of tokens and places.
    # Return x (B, T, C) and the mask (B, 1, T, T). The text goes on at x[:, -1].
    T = max(len(one) for one in prompts)
    ids = np.array([[0] * (T - len(one)) + one for one in prompts])           # (B, T)
    real = np.array([[False] * (T - len(one)) + [True] * len(one) for one in prompts])
    places = np.arange(T)[None, :]
    x = wte[ids] + wpe[places]                                                # (B, T, C)
    mask = masks.causal(T) & real[:, None, None, :]                           # (B, 1, T, T)
    return x, mask
''',
    lines=(12,),
    repair="    places = np.maximum(np.cumsum(real, axis=1) - 1, 0)",
    right="The filling counts as text: the first token of a short prompt is told that it stands further on.",
    others=("The tokens of a prompt attend to the filling before it.",
            "x[:, -1] is filling in the short prompts, not their last token.",
            "A row of the mask that is all False makes NaN, which spreads to the real tokens.",
            "The longest prompt gets wrong numbers too.",
            "Prompts in one batch attend to each other, because real has no axis for the heads.",
            "A query may see later tokens of its own prompt, because `&` keeps what either of two masks allows."),
    story="GPT-2 in Hugging Face's transformers: with a batch of prompts of different length the attention mask hid the "
          "filling, but the positions went on counting it (issues 3021 and 3167, early in 2020). Repaired for the writing "
          "of text in October 2020 (pull request 7552: positions are the running sum of the mask, less one); who asked the "
          "model itself still met it in 2023 (issue 21080), and Unsloth's fast path did it again, with rotary positions "
          "(unslothai/unsloth pull requests 3795 of December 2025 and 4078). The text stays fluent, only worse, and only "
          "that of the shorter prompts. No gradient check sees it. The property does: what stands beside a prompt in its "
          "batch must not change its logits.",
    level=2, notebook="16_generation",
    hints=("Ask with one prompt, then with the same prompt beside a longer one.",
           "Which row of wpe is added to the first token of the short prompt?",
           "np.cumsum(real, axis=1) counts the real tokens."))

ANIMALS = (SCALE, CACHE, GROUPS, PADDED)
