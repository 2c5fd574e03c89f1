"""Wrong answers to optimizers and variants that were written after the catalogue, without looking at it: does it know them?

Where no name is expected the answer must only be rejected.
"""
import math

import numpy as np
from collected import built, wrong

from nanolm.training import groups as grouping


@wrong("adam.step")
def eps_too_large(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, groups=None):
    state["t"] += 1
    for k, w in params.items():
        m, v = state["m." + k], state["v." + k]
        m += (1 - beta1) * (grads[k] - m)
        v += (1 - beta2) * (grads[k]**2 - v)
        w -= lr * m / (1 - beta1 ** state["t"]) / (np.sqrt(v / (1 - beta2 ** state["t"])) + 100 * eps)


@wrong("adam.step", "eps_behind_quotient")
def no_brackets(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, groups=None):
    state["t"] = state["t"] + 1
    for k in params:
        state["m." + k] = beta1 * state["m." + k] + (1 - beta1) * grads[k]
        state["v." + k] = beta2 * state["v." + k] + (1 - beta2) * grads[k] ** 2
        mhat = state["m." + k] / (1 - beta1 ** state["t"])
        vhat = state["v." + k] / (1 - beta2 ** state["t"])
        params[k] -= lr * (mhat / np.sqrt(vhat) + eps)


@wrong("adam.step", "g_for_its_square", "absolute_for_square", "new_v_factor")
def forgot_to_square_and_wrapped(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, groups=None):
    state["t"] += 1
    for k, w in params.items():
        m, v = state["m." + k], state["v." + k]
        np.add(beta1 * m, (1 - beta1) * grads[k], out=m)
        np.add(beta2 * v, (1 - beta2) * np.sqrt(grads[k]**2), out=v)
        w -= lr * m / (1 - beta1 ** state["t"]) / (np.sqrt(v / (1 - beta2 ** state["t"])) + eps)


@wrong("adamw.step", "decay_after_step", "counted_per_parameter")
def two_at_once(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01, groups=None):
    for k, w in params.items():
        state["t"] += 1
        group = grouping.of(k, groups)
        m, v = state["m." + k], state["v." + k]
        m[...] = m * beta1 + grads[k] * (1 - beta1)
        v[...] = v * beta2 + grads[k] * grads[k] * (1 - beta2)
        w -= group.lr * lr * m / (1 - beta1 ** state["t"]) / (np.sqrt(v / (1 - beta2 ** state["t"])) + eps)
        w *= 1 - group.lr * lr * group.decay * weight_decay


@wrong("adamw.step", "decay_missing", "eps_inside_root")
def adam_with_eps_inside(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01, groups=None):
    state["t"] += 1
    for k, w in params.items():
        rate = lr * grouping.of(k, groups).lr
        m, v = state["m." + k], state["v." + k]
        m[...] = beta1 * m + (1 - beta1) * grads[k]
        v[...] = beta2 * v + (1 - beta2) * np.square(grads[k])
        w[...] = w - rate * (m / (1 - beta1 ** state["t"])) * (v / (1 - beta2 ** state["t"]) + eps)**-0.5


@wrong("momentum.step", "momentum_on_gradient_too")
def factor_outside(params, grads, state, lr, momentum=0.9, nesterov=False, groups=None):
    state["t"] += 1
    for k in params:
        u = state["u." + k]
        u += grads[k]
        u *= momentum
        params[k] -= lr * (grads[k] + momentum * u if nesterov else u)


@wrong("momentum.step", "velocity_by_shape")
def one_velocity_a_shape(params, grads, state, lr, momentum=0.9, nesterov=False, groups=None):
    state["t"] += 1
    by_shape = {}
    for k, w in params.items():
        u = by_shape.setdefault(w.shape, state["u." + k])
        u[...] = momentum * u + grads[k]
        w -= lr * (grads[k] + momentum * u) if nesterov else lr * u


@wrong("sgd.step", "gradient_made_length_one")
def normalised(params, grads, state, lr, groups=None):
    state["t"] += 1
    norm = np.linalg.norm(np.concatenate([g.ravel() for g in grads.values()]))
    for k in params:
        params[k] -= lr * grads[k] / (norm if norm else 1)


@wrong("clipping.clip", "norm_made_anew_in_loop", "clipped_per_array")
def shrinks_as_it_goes(grads, max_norm):
    first = None
    for g in list({id(g): g for g in grads.values()}.values()):
        norm = math.sqrt(sum(float((h * h).sum()) for h in {id(h): h for h in grads.values()}.values()))
        first = norm if first is None else first
        if math.isfinite(norm) and norm > max_norm:
            g *= max_norm / norm
    return first


@wrong("clipping.clip", "tied_found_by_value")
def ties_by_value(grads, max_norm):
    once = []
    for g in grads.values():
        if not any(g.shape == h.shape and (g == h).all() for h in once):
            once.append(g)
    norm = math.sqrt(sum(float((g * g).sum()) for g in once))
    if math.isfinite(norm) and norm > max_norm:
        for g in {id(g): g for g in grads.values()}.values():
            g *= max_norm / norm
    return norm


@wrong("schedules.cosine", "brackets_forgotten")
def divides_too_early(step, peak, total, warmup=0, final=0.0):
    if step < warmup:
        return peak * (step + 1) / warmup
    u = min(1, (step - warmup) / total - warmup)
    return final + 0.5 * (peak - final) * (1 + math.cos(math.pi * u))


@wrong("schedules.cosine", "final_one_step_early", "warmup_from_zero")
def off_by_one_twice(step, peak, total, warmup=0, final=0.0):
    if step < warmup:
        return peak * step / warmup
    u = min(1, (step - warmup) / max(1, total - 1 - warmup))
    return final + 0.5 * (peak - final) * (1 + math.cos(math.pi * u))


@built("power_norm.backward", "gain_forgotten", "dweight_of_library", wrong=True)
def no_gain_anywhere(n):
    def backward(dy, cache):
        x, w, rstd = cache
        m = x * rstd
        return rstd * (dy - m * (dy * m).mean(-1, keepdims=True)), (dy * m).reshape(-1, len(w)).sum(0)
    return backward


@built("power_norm.backward", wrong=True)
def power_on_everything(n):
    """(n weight)^p in place of n weight^p, where that is a number."""
    def backward(dy, cache):
        x, w, rstd = cache
        p, m = n["power"], x * rstd
        g = dy * p * np.abs(m * w) ** (p - 1) * w
        return (rstd * (g - m * (g * m).mean(-1, keepdims=True)),
                (dy * p * np.abs(m * w) ** (p - 1) * m).reshape(-1, len(w)).sum(0))
    return backward


@built("learned_eps.backward", "rate_of_one", wrong=True)
def without_the_number(n):
    def backward(dy, cache):
        x, w, e, rstd = cache
        dr = (dy * w * x).sum(-1, keepdims=True)
        dv = -0.5 * rstd**3 * dr
        return dy * w * rstd + 2 * x * dv / x.shape[-1], (dy * x * rstd).reshape(-1, len(w)).sum(0), np.exp(e) * dv.sum()
    return backward


@built("group_rms.backward", "averaged_over_all_channels", wrong=True)
def wrong_count(n):
    def backward(dy, cache):
        x, w, rstd = cache
        shape = (*rstd.shape, n["group"])
        r, m, d = rstd[..., None], x.reshape(shape) * rstd[..., None], (dy * w).reshape(shape)
        dx = r * (d - m * (d * m).sum(-1, keepdims=True) / x.shape[-1])
        return dx.reshape(x.shape), (dy * m.reshape(x.shape)).reshape(-1, len(w)).sum(0)
    return backward


@built("sloped_attention.backward", "distance_signed", "dk_not_scaled", wrong=True)
def signed_distance(n):
    def backward(dy, cache):
        q, k, v, slopes, P = cache
        dP = dy @ v.swapaxes(-1, -2)
        dS = P * (dP - (P * dP).sum(-1, keepdims=True))
        far = np.arange(P.shape[2])[:, None] - np.arange(P.shape[3])[None]
        return (dS @ k / math.sqrt(q.shape[-1]), dS.swapaxes(-1, -2) @ q, P.swapaxes(-1, -2) @ dy,
                -n["slope"] * (dS * far).sum((0, 2, 3)))
    return backward


@built("sloped_attention.forward", "distance_squared", wrong=True)
def gaussian(n):
    def forward(q, k, v, slopes):
        far = np.subtract.outer(np.arange(q.shape[2]), np.arange(k.shape[2]))**2
        z = np.einsum("bhtd,bhsd->bhts", q, k) / q.shape[-1]**0.5 - n["slope"] * slopes[:, None, None] * far
        e = np.exp(z - z.max(-1, keepdims=True))
        return np.einsum("bhts,bhsd->bhtd", e / e.sum(-1, keepdims=True), v)
    return forward


@built("smoothed_loss.backward", "spread_over_others", wrong=True)
def others_share(n):
    def backward(dloss, cache):
        logits, targets = cache
        V, s = logits.shape[-1], n["smoothing"]
        dz = np.zeros(logits.shape)
        counts = np.argwhere(targets != -100)
        for i in map(tuple, counts):
            lse = np.logaddexp.reduce(logits[i])
            p = np.exp(logits[i] - lse)
            q = np.full(V, s / (V - 1))
            q[targets[i]] = 1 - s
            dz[i] = dloss * (p - q + 2 * n["zeta"] * lse * p) / len(counts)
        return dz
    return backward


@built("smoothed_loss.forward", "price_on_logits", wrong=True)
def large_logits(n):
    def forward(logits, targets):
        rows = targets != -100
        z, ids = logits[rows], targets[rows]
        if not len(ids):
            return 0.0
        lse = np.logaddexp.reduce(z, axis=-1)
        s = n["smoothing"]
        return np.mean(lse - (1 - s) * z[np.arange(len(ids)), ids] - s * z.mean(1) + n["zeta"] * (z**2).sum(1))
    return forward


@built("tempered_softmax.backward", "sum_without_y", wrong=True)
def plain_sum(n):
    def backward(dy, cache):
        return cache[0] / n["tau"] * (dy - dy.sum(-1, keepdims=True))
    return backward


@built("gated_logistic.backward", "rate_squared", "du_keeps_u", wrong=True)
def twice_the_rate(n):
    def backward(dy, cache):
        x, s = cache
        g, u = np.split(x, 2, -1)
        ds = n["a"]**2 * s * (1 - s)
        return np.concatenate([dy * u * s + dy * u * g * ds, dy * u * g * s], -1)
    return backward


@built("leaky_square.backward", "h_forgotten", wrong=True)
def only_the_slope(n):
    def backward(dy, cache):
        x, w = cache
        dh = 2 * dy * np.where(x * w > 0, 1, n["leak"]**2)
        return dh * w, (dh * x).reshape(-1, len(w)).sum(0)
    return backward


@built("scaled_residual.backward", "tanh_twice", wrong=True)
def tanh_of_t(n):
    def backward(dy, cache):
        x, w, t = cache
        dh = n["branch"] * dy / np.cosh(t)**2
        return dy + dh @ w.T, x.reshape(-1, len(w)).T @ dh.reshape(-1, len(w))
    return backward


@built("split_dropout.backward", "training_turned", wrong=True)
def lowers_what_is_kept(n):
    def backward(dy, cache):
        keep, rate = cache
        return dy * (1 - rate)**(1 - n["split"]) if keep is None else np.where(keep, dy, 0) * (1 - rate)**n["split"]
    return backward


@built("partial_rotary.forward", "exponent_of_all_channels", wrong=True)
def all_in_the_exponent(n):
    def forward(x, offset=0):
        m, (T, D) = n["pairs"], x.shape[-2:]
        z = (x[..., :m] + 1j * x[..., m:2 * m]) * np.exp(1j * np.outer(offset + np.arange(T), n["base"]**(-2 * np.arange(m) / D)))
        return np.concatenate([z.real, z.imag, x[..., 2 * m:]], -1)
    return forward
