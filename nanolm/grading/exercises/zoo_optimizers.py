"""The bug zoo, optimizers: steps that are not the step that was meant. The gradients are right, so no gradient check finds them.

Tested    tests/grading/test_bugs.py, tests/grading/test_zoo.py.
"""
from nanolm.grading.exercises.zoo_animal import Animal

DECAY = Animal(
    name="decay",
    task="Adam with weight decay: a step takes the share lr * decay of every weight, and then moves it by Adam's step.",
    code='''\
from nanolm.training.optimizers import adam


def step(params, grads, state, lr, decay=0.01):
    # params, grads: {name: array}. state: what adam.init gives. params and state change.
    total = {}
    for name, w in params.items():
        total[name] = grads[name] + decay * w             # of the loss + decay / 2 w^2
    adam.step(params, total, state, lr)
''',
    lines=(8,),
    repair="        w *= 1 - lr * decay\n        total[name] = grads[name]",
    right="Adam divides the decay by the size of the gradients: weights with large gradients hardly decay.",
    others=("The gradients in grads are changed by the decay and are wrong for whoever reads them next.",
            "Adam counts a step for each parameter in place of one for all.",
            "The decay has the wrong sign: it makes large weights larger.",
            "All numbers of an array get the decay of the first of them.",
            "total holds the arrays of grads, so that Adam adds the decay twice.",
            "With decay = 0 the step is not Adam's either."),
    story="Adam's weight_decay was a penalty on the loss in the common libraries, until Loshchilov and Hutter showed that "
          "for Adam this is no decay (arXiv:1711.05101, November 2017, first named `Fixing Weight Decay Regularization in "
          "Adam`). PyTorch was offered AdamW that month (pytorch/pytorch pull request 3740) and took it in July 2019 (told "
          "in 22163); its Adam still does it the old way unless told otherwise, for those who rely on it. It hid because "
          "for plain gradient descent the two are the same: the formula was right, and then the optimizer changed. All "
          "gradients are right, so no gradient check can see it. Try g = 0: AdamW moves w by lr * decay * w, a penalty in "
          "Adam by about lr, whatever the decay is.",
    level=2, notebook="13_optimizers",
    hints=("Compare with nanolm.training.optimizers.adamw, one step with gradients of very different size.",
           "Take a gradient of zero and w = 1. By how much does w move for decay = 0.01, and for 0.1?",
           "What does Adam do with decay * w, on its way from total to w?"))

FIRST_STEPS = Animal(
    name="first_steps",
    task="Adam with decoupled weight decay, as it is meant to be. m and v are zeros before the first step.",
    code='''\
import numpy as np


def step(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-6, decay=0.01):
    # params, grads: {name: array}. state: t, m and v. params and state change.
    state["t"] += 1
    t = state["t"]                                        # 1 in the first step
    for name, w in params.items():
        g, m, v = grads[name], state["m." + name], state["v." + name]
        m *= beta1
        m += (1 - beta1) * g
        v *= beta2
        v += (1 - beta2) * g * g
        update = m / (np.sqrt(v) + eps)
        w -= lr * (update + decay * w)
''',
    lines=(14,),
    repair="        update = m / (1 - beta1 ** t) / (np.sqrt(v / (1 - beta2 ** t)) + eps)",
    right="m and v begin at zero and are still too small in the first steps: the first one is about three times too long.",
    others=("The decay goes into m and v and is then divided by the root of v.",
            "The state is shared by all parameters, so that the second one meets the first one's m.",
            "beta1 and beta2 are exchanged: m forgets slowly and v quickly.",
            "The decay has the wrong sign: the weights grow.",
            "v holds the square of the mean and not the mean of the squares.",
            "The step does not depend on the sign of the gradient."),
    story="BERT's own optimizer (google-research/bert, optimization.py, 2018) leaves out Adam's two corrections, and its "
          "copies did too (BERTAdam). With BERT's betas the first step is 0.1 / sqrt(0.001) = 3.2 times too long, the tenth "
          "6.5 times, the thousandth still 1.3 times. Warmup hid it, where the rate grows from zero. Fine-tuning on a small "
          "data set is over after some hundred steps, and there some runs failed, as it seemed by the seed. Zhang and "
          "others found this reason in June 2020 (arXiv:2006.05987). The gradients are right, so no gradient check sees it. "
          "Look at the length of the first step: for a single weight, Adam's is lr, whatever the gradient.",
    level=2, notebook="13_optimizers",
    hints=("Make one step with decay = 0 and one weight. How far does it move, in units of lr?",
           "What is m after the first step, if g = 1? And v?",
           "What is t for?"))

ANIMALS = (DECAY, FIRST_STEPS)
