"""Answers to the exercises on SGD, momentum, Adam and AdamW, as students write them. They work in place and return nothing."""
import math

import numpy as np
from collected import right, wrong

from nanolm.training import groups as grouping


# ---------------------------------------------------------------------------------------- sgd.step
@right("sgd.step")
def minus_equals(params, grads, state, lr, groups=None):
    state["t"] += 1
    for name in params:
        params[name] -= lr * grads[name]


@right("sgd.step")
def written_into(weights, gradients, memory, rate, groups=None):
    """With names of one's own."""
    for (name, w), g in zip(sorted(weights.items()), [gradients[name] for name in sorted(gradients)]):
        w[...] = w - rate * g
    memory.update(t=memory["t"] + 1)
    return weights


@right("sgd.step")
def number_by_number(params, grads, state, lr, groups=None):
    for name, w in params.items():
        for i in np.ndindex(w.shape):
            w[i] -= lr * grads[name][i]
    state["t"] = state["t"] + 1


@wrong("sgd.step", "nothing_moves")
def a_new_dict(params, grads, state, lr, groups=None):
    state["t"] += 1
    return {name: params[name] - lr * grads[name] for name in params}


@wrong("sgd.step", "arrays_replaced")
def entries_replaced(params, grads, state, lr, groups=None):
    for name in params:
        params[name] = params[name] - lr * grads[name]
    state["t"] += 1


@wrong("sgd.step", "changes_arguments")
def gradients_scaled(params, grads, state, lr, groups=None):
    for w, g in zip(params.values(), grads.values()):
        g *= lr
        w -= g
    state["t"] += 1


@wrong("sgd.step", "changes_arguments")
def gradients_zeroed(params, grads, state, lr, groups=None):
    for name in params:
        np.subtract(params[name], lr * grads[name], out=params[name])
        grads[name].fill(0.0)
    state["t"] += 1


@wrong("sgd.step", "counted_per_parameter")
def count_inside(params, grads, state, lr, groups=None):
    for name in params.keys():
        state["t"] += 1
        params[name][...] += -lr * grads[name]


@wrong("sgd.step", "uphill", "steps_not_counted")
def ascent_without_count(params, grads, state, lr, groups=None):
    for name in grads:
        params[name] += lr * grads[name]


@wrong("sgd.step", "first_parameter_only")
def returns_early(params, grads, state, lr, groups=None):
    state["t"] += 1
    for name in params:
        params[name] -= lr * grads[name]
        return None


# ---------------------------------------------------------------------------------------- momentum.step
@right("momentum.step")
def in_place(params, grads, state, lr, momentum=0.9, nesterov=False, groups=None):
    state["t"] += 1
    for name, w in params.items():
        u = state["u." + name]
        u *= momentum
        u += grads[name]
        w -= lr * (grads[name] + momentum * u) if nesterov else lr * u


@right("momentum.step")
def new_velocities(params, grads, state, lr, momentum=0.9, nesterov=False, groups=None):
    """A new array for the velocity in state, which is whose business it is alone."""
    for name in params:
        g = grads[name]
        state[f"u.{name}"] = momentum * state[f"u.{name}"] + g
        d = state[f"u.{name}"]
        if nesterov:
            d = momentum * d + g
        params[name] -= d * lr
    state["t"] += 1


@right("momentum.step")
def written_out(params, grads, state, lr, momentum=0.9, nesterov=False, groups=None):
    t, mu = state["t"], momentum
    for name in reversed(list(params)):
        old, g, w = state["u." + name].copy(), grads[name], params[name]
        w[...] = w - lr * ((1 + mu) * g + mu**2 * old if nesterov else g + mu * old)
        state["u." + name][...] = np.add(mu * old, g)
    state["t"] = t + 1


@wrong("momentum.step", "gradient_damped")
def exponential_average(params, grads, state, lr, momentum=0.9, nesterov=False, groups=None):
    state["t"] += 1
    for k in params:
        v = state["u." + k]
        v[...] = momentum * v + (1.0 - momentum) * grads[k]
        params[k] -= lr * (grads[k] + momentum * v if nesterov else v)


@wrong("momentum.step", "velocity_not_kept", "nesterov_ignored")
def local_velocity(params, grads, state, lr, momentum=0.9, nesterov=False, groups=None):
    for k, w in params.items():
        u = momentum * state["u." + k] + grads[k]
        w -= lr * u
    state["t"] += 1


@wrong("momentum.step", "minus_lr_inside_velocity")
def as_in_the_paper(params, grads, state, lr, momentum=0.9, nesterov=False, groups=None):
    for k, w in params.items():
        v = state["u." + k]
        v[...] = momentum * v - lr * grads[k]
        w += momentum * v - lr * grads[k] if nesterov else v
    state["t"] += 1


@wrong("momentum.step", "arrays_replaced")
def weights_replaced(params, grads, state, lr, momentum=0.9, nesterov=False, groups=None):
    state["t"] += 1
    for k in params:
        state["u." + k] = momentum * state["u." + k] + grads[k]
        params[k] = params[k] - lr * (grads[k] + momentum * state["u." + k] if nesterov else state["u." + k])


@wrong("momentum.step", "changes_arguments")
def velocity_added_to_gradient(params, grads, state, lr, momentum=0.9, nesterov=False, groups=None):
    state["t"] += 1
    for k in params:
        if nesterov:
            u = state["u." + k] = momentum * state["u." + k] + grads[k]
            params[k] -= lr * (grads[k] + momentum * u)
        else:
            grads[k] += momentum * state["u." + k]
            state["u." + k][...] = grads[k]
            params[k] -= lr * grads[k]


# ---------------------------------------------------------------------------------------- adam.step
def averages(state, name, g, beta1, beta2):
    m, v = state["m." + name], state["v." + name]
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * g**2
    return m, v


@right("adam.step")
def as_in_the_paper_adam(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, groups=None):
    state["t"] += 1
    for name in params:
        m, v = averages(state, name, grads[name], beta1, beta2)
        m_hat, v_hat = m / (1 - beta1**state["t"]), v / (1 - beta2**state["t"])
        params[name] -= lr * m_hat / (np.sqrt(v_hat) + eps)


@right("adam.step")
def corrections_in_the_rate(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, groups=None):
    """The efficient form of the paper's section 2, with eps brought along."""
    t = state["t"] = state["t"] + 1
    root = math.sqrt(1 - beta2**t)
    for name, w in params.items():
        m = state["m." + name] = beta1 * state["m." + name] + (1 - beta1) * grads[name]
        v = state["v." + name] = beta2 * state["v." + name] + (1 - beta2) * np.square(grads[name])
        w[...] = w - lr * root / (1 - beta1**t) * m / (np.sqrt(v) + eps * root)


@right("adam.step")
def one_weight_after_the_other(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, groups=None):
    t = state["t"] + 1
    for name, w in params.items():
        m, v, g = state["m." + name], state["v." + name], grads[name]
        for i in np.ndindex(w.shape):
            m[i] += (1 - beta1) * (g[i] - m[i])
            v[i] += (1 - beta2) * (g[i] * g[i] - v[i])
            w[i] -= lr * (m[i] / (1 - beta1**t)) / (math.sqrt(v[i] / (1 - beta2**t)) + eps)
    state["t"] = t


@wrong("adam.step", "eps_before_correction")
def efficient_without_eps(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, groups=None):
    """The same as corrections_in_the_rate, but eps as it is."""
    t = state["t"] = state["t"] + 1
    alpha = lr * math.sqrt(1 - beta2**t) / (1 - beta1**t)
    for name, w in params.items():
        m, v = averages(state, name, grads[name], beta1, beta2)
        w -= alpha * m / (v**0.5 + eps)


@wrong("adam.step", "eps_inside_root")
def power_minus_half(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, groups=None):
    state["t"] += 1
    for name, w in params.items():
        m, v = averages(state, name, grads[name], beta1, beta2)
        w -= lr * m / (1 - beta1 ** state["t"]) * (v / (1 - beta2 ** state["t"]) + eps) ** -0.5


@wrong("adam.step", "counted_per_parameter")
def count_in_the_loop(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, groups=None):
    for name, w in params.items():
        state["t"] += 1
        m, v = averages(state, name, grads[name], beta1, beta2)
        w -= lr * (m / (1 - beta1 ** state["t"])) / (eps + np.sqrt(v / (1 - beta2 ** state["t"])))


@wrong("adam.step", "corrected_ones_kept")
def corrects_in_place(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, groups=None):
    state["t"] += 1
    for name, w in params.items():
        m, v = averages(state, name, grads[name], beta1, beta2)
        m /= 1 - beta1 ** state["t"]
        v /= 1 - beta2 ** state["t"]
        w -= lr * m / (np.sqrt(v) + eps)


@wrong("adam.step", "bias_not_corrected", "g_for_its_square")
def no_bias_and_no_square(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, groups=None):
    state["t"] += 1
    for k in params:
        state["m." + k] = beta1 * state["m." + k] + (1 - beta1) * grads[k]
        state["v." + k] = beta2 * state["v." + k] + (1 - beta2) * grads[k]
        params[k] -= lr * state["m." + k] / (np.sqrt(state["v." + k]) + eps)


@wrong("adam.step", "state_by_shape")
def averages_by_shape(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, groups=None):
    state["t"] += 1
    first = {}
    for k, w in params.items():
        first.setdefault(w.shape, k)
        m, v = averages(state, first[w.shape], grads[k], beta1, beta2)
        w -= lr * (m / (1 - beta1 ** state["t"])) / (np.sqrt(v / (1 - beta2 ** state["t"])) + eps)


@wrong("adam.step", "arrays_replaced")
def params_reassigned(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, groups=None):
    state["t"] += 1
    for k in params:
        m, v = averages(state, k, grads[k], beta1, beta2)
        params[k] = params[k] - lr * (m / (1 - beta1 ** state["t"])) / (np.sqrt(v / (1 - beta2 ** state["t"])) + eps)


@wrong("adam.step", "raises")
def reads_a_state_of_its_own(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, groups=None):
    for k in params:
        params[k] -= lr * state[k]["m"]


@wrong("adam.step", "new_m_factor", "m_is_a_sum")
def dampened_otherwise(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, groups=None):
    """m takes g times beta1: not in the catalogue."""
    state["t"] += 1
    for k in params:
        m, v = averages(state, k, grads[k], beta1, beta2)
        m += 2 * (1 - beta1) * grads[k]
        params[k] -= lr * (m / (1 - beta1 ** state["t"])) / (np.sqrt(v / (1 - beta2 ** state["t"])) + eps)


# ---------------------------------------------------------------------------------------- adamw.step
@right("adamw.step")
def decay_and_step(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01, groups=None):
    state["t"] += 1
    for name, w in params.items():
        group = grouping.of(name, groups)
        m, v = averages(state, name, grads[name], beta1, beta2)
        rate = lr * group.lr
        w *= 1 - rate * weight_decay * group.decay
        w -= rate * m / (1 - beta1 ** state["t"]) / (np.sqrt(v / (1 - beta2 ** state["t"])) + eps)


@right("adamw.step")
def all_at_once(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01, groups=None):
    """Both are subtracted from the old weight together."""
    t = state["t"] + 1
    for name in params:
        of_lr, of_decay = (groups or {}).get(name, (1.0, 1.0))
        old, g = params[name].copy(), grads[name]
        state["m." + name] = state["m." + name] * beta1 + g * (1 - beta1)
        state["v." + name] = state["v." + name] * beta2 + g * g * (1 - beta2)
        m_hat, v_hat = (state[x + name] / (1 - b**t) for x, b in (("m.", beta1), ("v.", beta2)))
        params[name][...] = old - lr * of_lr * (m_hat / (np.sqrt(v_hat) + eps) + weight_decay * of_decay * old)
    state["t"] = t


@right("adamw.step")
def decays_first_in_a_loop_of_its_own(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01, groups=None):
    state["t"] += 1
    for name, w in params.items():
        group = groups[name] if groups and name in groups else None
        w -= lr * weight_decay * w * (group.lr * group.decay if group else 1)
    for name, w in params.items():
        m, v = averages(state, name, grads[name], beta1, beta2)
        rate = lr * (grouping.of(name, groups)).lr
        step = np.divide(m, 1 - beta1 ** state["t"])
        step /= np.sqrt(v / (1 - beta2 ** state["t"])) + eps
        np.subtract(w, rate * step, out=w)


@wrong("adamw.step", "decay_in_gradient", "changes_arguments")
def classic_l2(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01, groups=None):
    state["t"] += 1
    for k, w in params.items():
        group = grouping.of(k, groups)
        grads[k] += weight_decay * group.decay * w
        m, v = averages(state, k, grads[k], beta1, beta2)
        w -= lr * group.lr * (m / (1 - beta1 ** state["t"])) / (np.sqrt(v / (1 - beta2 ** state["t"])) + eps)


@wrong("adamw.step", "decay_after_step")
def decay_last(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01, groups=None):
    state["t"] += 1
    for k, w in params.items():
        group = grouping.of(k, groups)
        m, v = averages(state, k, grads[k], beta1, beta2)
        w -= lr * group.lr * (m / (1 - beta1 ** state["t"])) / (np.sqrt(v / (1 - beta2 ** state["t"])) + eps)
        w *= 1 - lr * group.lr * weight_decay * group.decay


@wrong("adamw.step", "decay_without_lr", "groups_ignored")
def share_of_everything(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01, groups=None):
    t = state["t"] = state["t"] + 1
    for k, w in params.items():
        m, v = averages(state, k, grads[k], beta1, beta2)
        w *= 1 - weight_decay
        w -= lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)


@wrong("adamw.step", "decay_in_quotient")
def numerator(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01, groups=None):
    t = state["t"] = state["t"] + 1
    for k, w in params.items():
        m, v = averages(state, k, grads[k], beta1, beta2)
        top = m / (1 - beta1**t) + weight_decay * grouping.of(k, groups).decay * w
        w -= lr * grouping.of(k, groups).lr * top / (np.sqrt(v / (1 - beta2**t)) + eps)


@wrong("adamw.step", "count_not_stored", "eps_inside_root")
def t_is_local(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01, groups=None):
    t = state["t"]
    t += 1
    for k, w in params.items():
        group = grouping.of(k, groups)
        m, v = averages(state, k, grads[k], beta1, beta2)
        w -= group.lr * lr * weight_decay * group.decay * w
        w -= lr * group.lr * (m / (1 - beta1**t)) / np.sqrt(v / (1 - beta2**t) + eps)


@wrong("adamw.step", "matrices_decay_always")
def one_dimensional_spared(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01, groups=None):
    t = state["t"] = state["t"] + 1
    for k, w in params.items():
        m, v = averages(state, k, grads[k], beta1, beta2)
        rate = lr * grouping.of(k, groups).lr
        if len(w.shape) >= 2:
            w -= rate * weight_decay * w
        w -= rate * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
