"""Exercises on the optimizers: how a gradient moves the weights. They work in place, so what they did is in their arguments.

Gradients come in all sizes from 1e-8 to 1e3, because a misplaced eps shows only where they are small; some are zero, so
that decay is seen alone; several parameters have one shape; and most states have a history, t > 0.
"""
import numpy as np

from nanolm.grading.exercise import Call, Exercise, Term, library
from nanolm.grading.exercises import build
from nanolm.grading.mistakes import adam as of_adam, steps as of_steps
from nanolm.training.groups import Group
from nanolm.training.optimizers import adam, adamw, momentum, sgd

NAMES = ("wte.weight", "h.0.weight", "h.1.weight", "ln_f.weight", "ln_f.bias")
SIZES = (1.0, 1.0, 1e-6, 0.0, 1e3, 1e-8, 1e-3)      # of the gradients of one parameter


def model(draw):
    """Return the parameters, their gradients, and how large these are, {name: size}. Two of three matrices have one shape."""
    one, two = (draw.whole(1, 4), draw.whole(1, 3)), (draw.whole(1, 3), draw.whole(1, 4))
    shapes = dict(zip(NAMES, (one, one, two, two[1:], two[1:])))
    params, grads, sizes = {}, {}, {}
    for name in NAMES[:draw.whole(1, 5)]:
        sizes[name] = draw.choice(*SIZES)
        params[name] = build.as_it_may_lie(draw, draw.array(*shapes[name]))
        grads[name] = build.as_it_may_lie(draw, sizes[name] * draw.array(*shapes[name]))
    return params, grads, sizes


def history(draw, params, sizes, letters):
    """Return the state: {"t": 0} and zeros, or some steps later. letters: "u", or "mv"; v is an average of squares."""
    t = draw.choice(0, draw.whole(1, 5), draw.whole(1, 5), draw.whole(100, 2000))
    state = {"t": t}
    for name, w in params.items():
        for letter in letters:
            kept = sizes[name] * draw.array(*w.shape)
            state[f"{letter}.{name}"] = 0 * kept if t == 0 else kept * kept if letter == "v" else kept
    return state


def call(params, grads, state, lr, **kwargs):
    """Return the Call, with all arrays under the names that the report gives them."""
    shown = {f'{word}["{name}"]': a for word, part in (("params", params), ("grads", grads), ("state", state))
             for name, a in part.items()}
    numbers = {"n": len(params), "N": sum(w.size for w in params.values())}
    return Call((params, grads, state, lr), kwargs, {**shown, "lr": lr, **kwargs}, numbers)


def rate(draw):
    return draw.share(0.1, 0.01, 0.003)


def sgd_arguments(draw):
    params, grads, sizes = model(draw)
    return call(params, grads, history(draw, params, sizes, ""), rate(draw))


def momentum_arguments(draw):
    params, grads, sizes = model(draw)
    kwargs = {**draw.choice({}, {"momentum": 0.8}, {"momentum": 0.5}), **draw.choice({}, {"nesterov": True}, {"nesterov": False})}
    return call(params, grads, history(draw, params, sizes, "u"), rate(draw), **kwargs)


def betas(draw):
    return {**draw.choice({}, {"beta1": 0.8, "beta2": 0.95}, {"beta2": 0.99}, {"beta1": 0.0}), **draw.choice({}, {},
                                                                                                             {"eps": 1e-6})}


def adam_arguments(draw):
    params, grads, sizes = model(draw)
    return call(params, grads, history(draw, params, sizes, "mv"), rate(draw), **betas(draw))


def adamw_arguments(draw):
    params, grads, sizes = model(draw)
    kwargs = {**betas(draw), **draw.choice({}, {"weight_decay": 0.1}, {"weight_decay": 0.5}, {"weight_decay": 0.0})}
    if draw.choice(False, False, True):
        kwargs["groups"] = {name: Group(draw.choice(1.0, 0.5, 2.0), draw.choice(0.0, 1.0, 0.3))
                            for name in params if draw.choice(True, False)}
    return call(params, grads, history(draw, params, sizes, "mv"), rate(draw), **kwargs)


def cases(letters, *options):
    """Return a function that gives Calls made by hand: one number, a first step with tiny gradients, no gradient, a late step."""
    def made():
        def state(params, t, m, v):
            values = {"u": m, "m": m, "v": v}
            return {"t": t, **{f"{x}.{name}": np.full_like(w, values[x]) for name, w in params.items() for x in letters}}

        one, two = {"w": np.array([1.0])}, {"a.weight": np.array([[3.0, -0.2]]), "b.weight": np.array([[-1.0, 2.0]])}
        for kwargs in options:
            yield call(one, {"w": np.array([0.5])}, state(one, 0, 0.0, 0.0), 0.1, **kwargs)
            yield call(two, {name: 1e-6 * (1 + w * w) for name, w in two.items()}, state(two, 0, 0.0, 0.0), 0.1, **kwargs)
            yield call(two, {name: 0 * w for name, w in two.items()}, state(two, 0, 0.0, 0.0), 0.1, **kwargs)
            yield call(two, {name: 0.3 * w for name, w in two.items()}, state(two, 3, 0.2, 0.5), 0.1, **kwargs)
    return made


def sgd_terms(params, grads, state, lr):
    return {f'params["{name}"]': [Term("weight", "w itself, in w - lr g,", w), Term("step", "the step, -lr g,",
                                                                                    -lr * grads[name])]
            for name, w in params.items()}


def momentum_terms(params, grads, state, lr, momentum=0.9, nesterov=False):
    found = {}
    for name, w in params.items():
        u = momentum * state["u." + name] + grads[name]
        step = -lr * (grads[name] + momentum * u if nesterov else u)
        found[f'params["{name}"]'] = [Term("weight", "w itself", w), Term("step", "the step along the velocity", step)]
        found[f'state["u.{name}"]'] = [Term("old_velocity", "the old velocity, momentum u,", momentum * state["u." + name]),
                                       Term("gradient", "the gradient g in the new velocity", grads[name])]
    return found


def adam_terms(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0, groups=None):
    found = {}
    for name, w in params.items():
        g, m, v = grads[name], state["m." + name], state["v." + name]
        found[f'state["m.{name}"]'] = [Term("old_m", "beta1 m in the new m", beta1 * m),
                                       Term("new_m", "(1 - beta1) g in the new m", (1 - beta1) * g)]
        found[f'state["v.{name}"]'] = [Term("old_v", "beta2 v in the new v", beta2 * v),
                                       Term("new_v", "(1 - beta2) g^2 in the new v", (1 - beta2) * g * g)]
        t, (rate, decay) = state["t"] + 1, (groups or {}).get(name, Group())
        m_hat = (beta1 * m + (1 - beta1) * g) / (1 - beta1**t)
        v_hat = (beta2 * v + (1 - beta2) * g * g) / (1 - beta2**t)
        found[f'params["{name}"]'] = [Term("weight", "w, less its decay if there is "
                                                     "any,", w * (1 - lr * rate * weight_decay * decay)),
                                      Term("step", "the step, -lr m^ / (sqrt(v^) + "
                                                   "eps),", -lr * rate * m_hat / (np.sqrt(v_hat) + eps))]
    return found


DICTS = ("params and grads are flat dicts {name: array}, with the same names and shapes. Change the arrays of params in place, "
         "because the model holds them: w -= ... or params[name][...] = ..., not params[name] = .... grads is only read. Return "
         "nothing. ")


def optimizer(module, letters, task, inputs, options, also=(), imports="import numpy as np", **more):
    """Return the Exercise of writing module.step. also: modules whose step would be the answer, or most of it."""
    signature, docstring = library(module, "step")
    return Exercise(f"{module.__name__.rsplit('.', 1)[-1]}.step", "optimizer", task, ("params", "state"), build.own(module,
                                                                                                                    "step"),
                    inputs, cases=cases(letters, *options), signature=signature, docstring=docstring, changes=("params", "",
                                                                                                               "state"),
                    held=("params",), own=sum((build.twins(one, "step") for one in (module, *also)), ()),
                    notebook="13_optimizers",
                    imports=imports, where=(module, "step"), **more)


def exercises(constants):
    return [
        optimizer(sgd, "", "Write a step of stochastic gradient descent: w <- w - lr g for every "
                           "parameter. " + DICTS + 'state is '
                  '{"t": n}, the number of steps made so far: count this one, once. groups is always None here.',
                  sgd_arguments, ({},), level=1, minutes=10, mistakes=of_steps.SGD, terms=sgd_terms,
                  hints=("A loop over params.items() gives a name and its array; its gradient has the same name.",
                         "w = w - ... makes a new array, and the model keeps the old one. w -= ... changes the array itself.",
                         'for name, w in params.items(): w -= lr * grads[name]; and once, outside the loop, state["t"] += 1.')),
        optimizer(momentum, "u", "Write a step of gradient descent with momentum. The velocity becomes u <- momentum u + g, and "
                  "the weight w <- w - lr u; with nesterov, w <- w - lr (g + momentum u), with the new u. " + DICTS + 'state is '
                  '{"t": n, "u." + name: array}: the number of steps made so far (count this one, once) and a velocity for each '
                  "parameter. groups is always None here.",
                  momentum_arguments, ({}, {"nesterov": True}), level=1, minutes=15, mistakes=of_steps.MOMENTUM,
                  terms=momentum_terms,
                  hints=('Get the velocity by u = state["u." + name], and change it before the weight.',
                         "u *= momentum; u += g writes into the array that state holds.",
                         "The direction is u, or g + momentum * u with nesterov, u being the new one in both.",
                         "w -= lr * direction. lr stands outside of u.")),
        optimizer(adam, "mv", "Write a step of Adam. t <- t + 1; m <- beta1 m + (1 - beta1) g; v <- beta2 v + (1 - beta2) g^2; "
                  "m^ = m / (1 - beta1^t), v^ = v / (1 - beta2^t); w <- w - lr m^ / (sqrt(v^) + eps). " + DICTS + 'state is '
                  '{"t": n, "m." + name: array, "v." + name: array}: the number of steps made so far and two averages for each '
                  "parameter. Change it too: m and v stay uncorrected in it. groups is always None here.",
                  adam_arguments, ({}, {"beta1": 0.8, "beta2": 0.95, "eps": 1e-6}), also=(adamw,), level=2, minutes=25,
                  mistakes=of_adam.ADAM, terms=adam_terms,
                  hints=("t goes up once a step, before it is used: at the first step it is 1.",
                         "m and v in state are the plain averages. m^ and v^ are made of them anew each step, and not kept.",
                         "m *= beta1; m += (1 - beta1) * g writes into the array that state holds. The same with v and g * g.",
                         "eps stands outside the root: w -= lr * m_hat / (np.sqrt(v_hat) + eps).")),
        optimizer(adamw, "mv", "Write a step of AdamW: first every weight decays, w <- w - lr weight_decay w, then comes Adam's "
                  "step: t <- t + 1; m <- beta1 m + (1 - beta1) g; v <- beta2 v + (1 - beta2) g^2; m^ = m / (1 - beta1^t), v^ = "
                  "v / (1 - beta2^t); w <- w - lr m^ / (sqrt(v^) + eps). " + DICTS + 'state is {"t": n, "m." + name: array, '
                  '"v." + name: array}; change it too. groups is None, or {name: Group}: the learning rate of a parameter is lr '
                  "group.lr, and its decay weight_decay group.decay. group = grouping.of(name, groups) gives the Group of a "
                  "name, with the factors 1 and 1 where there is none.",
                  adamw_arguments, ({"weight_decay": 0.5}, {"groups": {"a.weight": Group(0.5, 0.0), "w": Group(2.0, 0.3)}}),
                  also=(adam,), level=2, minutes=30, mistakes=of_adam.ADAMW, terms=adam_terms,
                  imports="import numpy as np\n\nfrom nanolm.training import groups as grouping",
                  hints=("The decay is not part of the gradient: m and v never see it.",
                         "Decay first: w *= 1 - rate * weight_decay * group.decay with rate = lr * group.lr.",
                         "Then Adam's step with the same rate. t goes up once a step, not once a parameter.",
                         "w -= rate * m_hat / (np.sqrt(v_hat) + eps), with m_hat = m / (1 - beta1 ** t).")),
    ]
