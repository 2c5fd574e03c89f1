"""The bug zoo, text: tokenizers and samplers. There is no gradient here that a check could see.

Tested    tests/grading/test_bugs.py, tests/grading/test_zoo.py.
"""
from nanolm.grading.exercises.zoo_animal import Animal

PENALTY = Animal(
    name="penalty",
    task="The chances of the next token, where tokens that already stand in the text are made less likely: a penalty above "
         "1 discourages repetition.",
    code='''\
import numpy as np

from nanolm.layers import softmax


def chances(logits, ids, penalty, temperature=1.0):
    # logits (V,), ids: the text so far. Return V shares that add up to one.
    z = np.array(logits, dtype=np.float64)                # a copy
    seen = list(set(ids))
    z[seen] = z[seen] / penalty
    shares, _ = softmax.forward(z / temperature)
    return shares
''',
    lines=(10,),
    repair="    z[seen] = np.where(z[seen] > 0, z[seen] / penalty, z[seen] * penalty)",
    right="A negative score gets larger when it is divided: the token is made more likely.",
    others=("A token that occurs twice is penalised twice.",
            "The logits that were given are changed, and the next call penalises them again.",
            "The temperature undoes the penalty, because it comes after it.",
            "The shares do not add up to one, because some scores were changed.",
            "A penalty of 1 changes the shares.",
            "The temperature sharpens only the scores that were penalised."),
    story="CTRL, September 2019: the paper (arXiv:1909.05858) divides the scores of tokens that were seen, and so does its "
          "code (salesforce/ctrl, generation.py: /= penalty). transformers took the rule over for all its models. The "
          "scores of distilgpt2 are negative, and its answer to `The dog` with a penalty of 1.5 was dog dog dog dog "
          "(huggingface/transformers issue 2302, December 2019; repaired in pull request 2303). It came back in NVIDIA's "
          "NeMo (issue 8194, January 2024). It hides as long as the scores are positive: softmax does not care where their "
          "zero is, this rule does. No gradient check can see a sampler. Try the rule on numbers of both signs, and ask "
          "whether the chance has become smaller.",
    level=1, notebook="16_generation",
    hints=("Try logits [2, 1] and logits [-1, -2], ids [0], penalty 2.",
           "What is -1 / 2, and is it larger or smaller than -1?",
           "The usual repair treats positive and negative scores differently."))

NUCLEUS = Animal(
    name="nucleus",
    task="Top-p, or nucleus, sampling: keep the fewest tokens, likeliest first, whose shares add up to at least p, and put "
         "the scores of all others to -inf.",
    code='''\
import numpy as np

from nanolm.layers import softmax


def keep_top_p(logits, p):
    # logits (B, V), 0 < p < 1. Return logits (B, V).
    order = np.argsort(-logits, axis=-1, kind="stable")          # likeliest first
    shares, _ = softmax.forward(np.take_along_axis(logits, order, axis=-1))
    total = np.cumsum(shares, axis=-1)                           # of the first 1, 2, 3, ...
    keep = total <= p
    keep[:, 0] = True                                            # at least one
    kept = np.zeros_like(keep)
    np.put_along_axis(kept, order, keep, axis=-1)                # in the logits' order again
    return np.where(kept, logits, -np.inf)
''',
    lines=(11,),
    repair="    keep = total - shares < p",
    right="The token with which the sum reaches p is thrown away: mostly one token too few is kept.",
    others=("The tokens that are kept are those with the smallest shares.",
            "keep is put back into the wrong order: other tokens are kept than those that were counted.",
            "A p that is smaller than the largest share keeps nothing.",
            "The shares are computed after sorting and so differ from the shares of the logits.",
            "All rows keep the same number of tokens.",
            "The scores of the tokens that are kept are changed."),
    story="Sebastian Raschka's `reasoning-from-scratch`, February 2026: keep = cumprobas <= top_p "
          "(rasbt/reasoning-from-scratch issue 164). With shares of 0.5, 0.41 and 0.09 and p = 0.9 it keeps one token of "
          "the two that are meant. The same was found in fish-speech (fishaudio/fish-speech pull request 1171, March 2026) "
          "and in the protein model ESM (Biohub/esm pull request 360, July 2026). Holtzman and others (arXiv:1904.09751) "
          "mean the smallest set that reaches p. It hides well: `<= p` reads like the definition, and the text is a little "
          "safer and duller, never broken. There is no gradient to check. Add up the shares that are kept: the sum must "
          "reach p, and without the last one it must not.",
    level=1, notebook="16_generation",
    hints=("Try shares of 0.5, 0.41 and 0.09 (the logits are their logarithms), and p = 0.9.",
           "Add up the shares of what is kept. Is it at least p?",
           "A token stays if the sum of those before it is still below p."))

MERGES = Animal(
    name="merges",
    task="Byte-pair encoding: cut a word into tokens by the merges that training learned. ranks says in which order it "
         "learned them.",
    code='''\
def encode(word, ranks):
    # ranks: {("e", "s"): 0, ("es", "t"): 1, ...}. Return the tokens, a list of strings.
    parts = list(word)
    while True:
        known = [i for i in range(len(parts) - 1) if (parts[i], parts[i + 1]) in ranks]
        if not known:
            return parts
        i = known[0]
        parts[i:i + 2] = [parts[i] + parts[i + 1]]
''',
    lines=(8,),
    repair="        i = min(known, key=lambda i: ranks[parts[i], parts[i + 1]])",
    right="The leftmost merge is taken first, not the one that was learned first: many words are cut in another way.",
    others=("A merge is applied at one place only, though the word may hold its pair twice.",
            "After a merge the part behind it is lost.",
            "The last two parts are never looked at.",
            "The loop does not end if the word holds the same letter twice.",
            "Merges of more than two letters are never found, because parts holds single letters.",
            "The tokens put together are no longer the word."),
    story="fastllm, August 2026: from GGUF files it applied merges left to right, and 55 of 100 English words were cut in "
          "another way than GPT-2 cuts them (ztxz16/fastllm pull request 715; with Qwen2's merges `brutalist` became bru "
          "tal ist in place of br ut alist). llama.cpp had a near relation in its first weeks, March 2023: `This` became "
          "another token than the one that the model had learned with (issue 167). It hides "
          "because decoding gives the text back, however it was cut: a test of `decode(encode(text)) == text` is content. "
          "The model meets words cut as it has hardly ever seen them, and is only a bit more stupid. There is no gradient "
          "to check. Compare the ids with those of the tokenizer that made the model, on many words.",
    level=1, notebook="15_tokenizers",
    hints=("Try ranks {('b', 'c'): 0, ('a', 'b'): 1} and the word abc.",
           "The code uses the keys of ranks. Where does it use the values?",
           "Of all pairs that are known, which one did training join first?"))

ANIMALS = (PENALTY, NUCLEUS, MERGES)
