"""The bug zoo, training: batches and their sums. Every layer is right, so no gradient check of a layer finds them.

Tested    tests/grading/test_bugs.py, tests/grading/test_zoo.py.
"""
from nanolm.grading.exercises.zoo_animal import Animal

ACCUMULATED = Animal(
    name="accumulated",
    task="A batch that does not fit into the memory is run in parts of whole rows, and their gradients are added up. The "
         "result must be that of the whole batch at once: the mean over all targets that count.",
    code='''\
import numpy as np

from nanolm import params


def loss_and_gradients(model, p, ids, targets, config, parts):
    # ids, targets (B, T); targets of -100 do not count. Return the loss and {name: gradient}.
    loss, grads = 0.0, {}
    for rows, wanted in zip(np.array_split(ids, parts), np.array_split(targets, parts)):
        part_loss, cache = model.forward(p, rows, wanted, config)     # their targets' mean
        share = 1 / parts
        loss += share * float(part_loss)
        for name, d in params.flatten(model.backward(cache)).items():
            grads[name] = grads.get(name, 0) + share * d
    return loss, grads
''',
    lines=(11,),
    repair="        share = (wanted != -100).sum() / (targets != -100).sum()",
    right="A part with few targets counts as much as one with many: a mean of means is not the mean.",
    others=("The gradients of a part overwrite those of the part before.",
            "The loss is divided by parts twice.",
            "The sum is parts times too large, as if the learning rate were.",
            "Filling counts in the loss, because -100 is a number like others.",
            "With parts = 1 the result differs from that of the whole batch too.",
            "Rows are lost where parts does not divide B."),
    story="Hugging Face's Trainer and others, until October 2024: each part's loss was a mean over its own tokens, and the "
          "parts were averaged. It had been noticed in 2021 and was found again by Benjamin Marie; Unsloth's article (`Bugs "
          "in LLM training: gradient accumulation fix`) made it known, and transformers repaired it in pull request 34191. "
          "OpenNMT-py had a cousin of it in January 2018 (pull request 526). It hides in every test whose rows have one "
          "length, as then all means weigh the same. Where texts differ in length, the tokens of short ones count too much, "
          "and the loss depends on how the batch is cut. That was how it was seen: 16 parts of 1 are not 1 part of 16. "
          "Every part's gradient is right by itself, so no gradient check of the model shows it. The property does: cutting "
          "changes nothing.",
    level=2, notebook="14_training",
    hints=("Compare parts = 1 and parts = 2, with rows of one length, and then with filling.",
           "One part has 1 target that counts, the other 9. What share of the loss should each target have?",
           "nanolm.training.step has the sum in its docstring."))

WORKERS = Animal(
    name="workers",
    task="Four workers prepare batches side by side; each cuts its own pieces of T + 1 tokens out of a long text, at random "
         "places.",
    code='''\
import copy

import numpy as np


def worker(ids, T, B, rng):
    # Batches (B, T + 1), without an end.
    while True:
        starts = rng.integers(len(ids) - T, size=B)
        yield np.stack([ids[start:start + T + 1] for start in starts])


def batches(ids, T, B, seed, workers=4):
    # The workers' batches in turn: one of the first, one of the second, ...
    rng = np.random.default_rng(seed)
    rngs = [copy.deepcopy(rng) for _ in range(workers)]           # a generator for each
    crew = [worker(ids, T, B, one) for one in rngs]
    while True:
        for one in crew:
            yield next(one)
''',
    lines=(16,),
    repair="    rngs = [np.random.default_rng([seed, number]) for number in range(workers)]",
    right="All workers cut the same pieces: each batch comes four times in a row.",
    others=("The last token of the text is never part of a batch.",
            "A batch may hold pieces that are shorter than T + 1, at the end of the text.",
            "The pieces of one batch all begin at the same place.",
            "Each worker returns the same batch again and again.",
            "Two runs with the same seed get different batches.",
            "The workers share one generator, so that what they draw depends on who asks first."),
    story="PyTorch's DataLoader, up to version 1.8.1 of 2021: its workers are forks of one process, and each inherits the "
          "same state of NumPy's random numbers. pytorch/pytorch issue 5059, February 2018, shows the same numbers coming "
          "from all four; pull request 56488 of April 2021 gives them seeds of their own. The blog tanelp.github.io (`Using "
          "PyTorch + NumPy? You're making a mistake.`) looked through a hundred thousand repositories: of those that use "
          "NumPy's random numbers in several workers and could be analysed, over 95 % had it, PyTorch's tutorial and code "
          "of OpenAI and NVIDIA among them. Nothing fails; there is only less variety than one thinks, and the model is a "
          "little worse. No gradient check sees data. Look at it: print the first numbers that each worker draws.",
    level=1, notebook="14_training",
    hints=("Print the first eight batches.",
           "Two generators in the same state: what do they draw?",
           "A copy has the state of what it is a copy of. A seed of its own does not."))

ANIMALS = (ACCUMULATED, WORKERS)
