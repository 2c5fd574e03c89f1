"""Answers to the variants of RMS norm. Each function takes the student's numbers n and returns the answer."""
import numpy as np
from collected import built


# ---------------------------------------------------------------------------------------- power_norm.backward
@built("power_norm.backward")
def closed_form(n):
    def backward(dy, cache):
        x, w, rstd = cache
        p, C = n["power"], x.shape[-1]
        up = dy * np.power(w, p)
        dx = rstd * up - rstd**3 / C * x * np.einsum("...c,...c->...", up, x)[..., None]
        return dx, np.einsum("nc,nc->c", dy.reshape(-1, C), (x * rstd).reshape(-1, C)) * p * np.power(w, p - 1)
    return backward


@built("power_norm.backward")
def in_loops(n):
    def backward(dy, cache):
        x, w, rstd = cache
        p, C = n["power"], x.shape[-1]
        dx, dw = np.zeros(x.shape), [0.0] * C
        for i in np.ndindex(x.shape[:-1]):
            m = x[i] * rstd[i]
            d = [dy[i][c] * w[c]**p for c in range(C)]
            mean = sum(a * b for a, b in zip(d, m)) / C
            for c in range(C):
                dx[i][c] = rstd[i][0] * (d[c] - m[c] * mean)
                dw[c] += dy[i][c] * m[c] * p * w[c] ** (p - 1)
        return dx, np.array(dw)
    return backward


@built("power_norm.backward")
def by_the_graph(n):
    def backward(dy, cache):
        x, w, rstd = cache
        gain = np.exp(n["power"] * np.log(w))
        dgain = np.sum((dy * x * rstd).reshape(-1, len(w)), axis=0)
        dn = dy * gain
        drstd = np.sum(dn * x, axis=-1, keepdims=True)
        dmean = drstd * (-0.5) * rstd**3
        return dn * rstd + dmean * 2 * x / x.shape[-1], dgain * n["power"] * gain / w
    return backward


@built("power_norm.backward", "library_gain", wrong=True)
def rms_norm(n):
    def backward(dy, cache):
        x, w, rstd = cache
        m = x * rstd
        g = dy * w
        return rstd * (g - m * (g * m).mean(-1, keepdims=True)), (dy * m).reshape(-1, x.shape[-1]).sum(0)
    return backward


@built("power_norm.backward", "power_not_lowered", wrong=True)
def power_stays(n):
    def backward(dy, cache):
        x, w, rstd = cache
        p, m = n["power"], x * rstd
        g = dy * w**p
        dx = (g - np.sum(g * m, axis=-1)[..., None] * m / x.shape[-1]) * rstd
        return dx, sum(row for row in (dy * m * p * w**p).reshape(-1, len(w)))
    return backward


@built("power_norm.backward", "second_term_missing", "factor_forgotten", wrong=True)
def two_mistakes(n):
    def backward(dy, cache):
        x, w, rstd = cache
        return dy * w ** n["power"] * rstd, (dy * x * rstd * w ** (n["power"] - 1)).reshape(-1, len(w)).sum(0)
    return backward


@built("power_norm.backward", "another_number", wrong=True)
def a_friends_power(n):
    """Right but for the number, which is a friend's."""
    def backward(dy, cache):
        x, w, rstd = cache
        p, m = 2.5 if n["power"] != 2.5 else 2.6, x * rstd
        g = dy * w**p
        return rstd * (g - m * np.mean(g * m, axis=-1, keepdims=True)), (dy * m * p * w ** (p - 1)).reshape(-1, len(w)).sum(0)
    return backward


# ---------------------------------------------------------------------------------------- learned_eps.backward
@built("learned_eps.backward")
def de_from_dx(n):
    def backward(dy, cache):
        x, w, e, rstd = cache
        m, k = x * rstd, n["eps_rate"]
        dn = dy * w
        inner = (dn * m).sum(axis=-1, keepdims=True)
        return (rstd * (dn - m * inner / x.shape[-1]), (dy * m).reshape(-1, len(w)).sum(axis=0),
                -k / 2 * np.exp(k * e) * (inner * rstd**2).sum())
    return backward


@built("learned_eps.backward")
def token_by_token(n):
    def backward(dy, cache):
        x, w, e, rstd = cache
        k = n["eps_rate"]
        dx, dw, deps = np.empty_like(x), np.zeros_like(w), 0.0
        for i in np.ndindex(x.shape[:-1]):
            r = float(rstd[i][0])
            g = dy[i] * w
            dot = g @ x[i]
            dx[i] = r * g - r**3 * dot / len(w) * x[i]
            dw += dy[i] * x[i] * r
            deps -= 0.5 * r**3 * dot
        return dx, dw, np.array(deps * k * np.exp(k * e))
    return backward


@built("learned_eps.backward")
def through_the_variance(n):
    def backward(dy, cache):
        x, w, e, rstd = cache
        drstd = np.sum(dy * w * x, -1, keepdims=True)
        dvar = -0.5 * drstd * rstd**3
        dx = dy * w * rstd + dvar * 2 * x / x.shape[-1]
        axes = tuple(range(x.ndim - 1))
        return [dx, np.sum(dy * x * rstd, axis=axes), dvar.sum() * n["eps_rate"] * np.exp(n["eps_rate"] * float(e))]
    return backward


@built("learned_eps.backward", "eps_itself_learned", wrong=True)
def stops_at_eps(n):
    def backward(dy, cache):
        x, w, e, rstd = cache
        drstd = np.sum(dy * w * x, -1, keepdims=True)
        dvar = -0.5 * drstd * rstd**3
        return dy * w * rstd + dvar * 2 * x / x.shape[-1], np.sum(dy * x * rstd, axis=tuple(range(x.ndim - 1))), dvar.sum()
    return backward


@built("learned_eps.backward", "inner_factor_forgotten", "second_term_half", wrong=True)
def two_factors_lost(n):
    def backward(dy, cache):
        x, w, e, rstd = cache
        dvar = -0.5 * np.sum(dy * w * x, -1, keepdims=True) * rstd**3
        return (dy * w * rstd + dvar * x / x.shape[-1], (dy * x * rstd).reshape(-1, len(w)).sum(0),
                dvar.sum() * np.exp(n["eps_rate"] * e))
    return backward


@built("learned_eps.backward", "de_averaged_over_tokens", wrong=True)
def mean_of_tokens(n):
    def backward(dy, cache):
        x, w, e, rstd = cache
        k, m = n["eps_rate"], x * rstd
        g = dy * w
        dot = (g * m).mean(-1, keepdims=True)
        return rstd * (g - m * dot), (dy * m).reshape(-1,
                                                      len(w)).sum(0), np.mean(dot * len(w) * rstd**2) * -0.5 * k * np.exp(k * e)
    return backward


@built("learned_eps.backward", "de_rstd_squared", wrong=True)
def power_minus_one(n):
    def backward(dy, cache):
        x, w, e, rstd = cache
        k, m = n["eps_rate"], x * rstd
        g = dy * w
        each = [-0.5 * r**2 * (a * b).sum() for r, a, b in zip(rstd.ravel(), g.reshape(-1, len(w)), x.reshape(-1, len(w)))]
        return rstd * (g - m * (g * m).mean(-1, keepdims=True)), (dy * m).reshape(-1,
                                                                                  len(w)).sum(0), k * np.exp(k * e) * sum(each)
    return backward


# ---------------------------------------------------------------------------------------- group_rms
@built("group_rms.forward")
def reshaped(n):
    def forward(x, weight, eps=1e-5):
        parts = x.reshape(*x.shape[:-1], -1, n["group"])
        parts = parts / np.sqrt(np.mean(parts**2, axis=-1, keepdims=True) + eps)
        return parts.reshape(x.shape) * weight
    return forward


@built("group_rms.forward")
def slices(n):
    def forward(x, weight, eps=1e-5):
        y, g = np.empty_like(x), n["group"]
        for i in range(0, x.shape[-1], g):
            part = x[..., i:i + g]
            y[..., i:i + g] = part * weight[i:i + g] / np.sqrt((part * part).sum(-1)[..., None] / g + eps)
        return y, None
    return forward


@built("group_rms.forward")
def by_a_matrix(n):
    def forward(x, weight, eps=1e-5):
        C, g = x.shape[-1], n["group"]
        same = np.kron(np.eye(C // g), np.ones((g, g))) / g
        return x * weight / ((x * x) @ same + eps)**0.5
    return forward


@built("group_rms.forward", "one_group", wrong=True)
def no_groups(n):
    def forward(x, weight, eps=1e-5):
        return x / np.sqrt(np.square(x).mean(-1, keepdims=True) + eps) * weight
    return forward


@built("group_rms.forward", "strided_groups", wrong=True)
def modulo(n):
    def forward(x, weight, eps=1e-5):
        y, G = np.empty_like(x), x.shape[-1] // n["group"]
        for i in range(G):
            y[..., i::G] = x[..., i::G] / np.sqrt((x[..., i::G]**2).mean(-1, keepdims=True) + eps)
        return y * weight
    return forward


@built("group_rms.backward")
def groups_as_rows(n):
    def backward(dy, cache):
        x, weight, rstd = cache
        g = n["group"]
        rows, ups, r = x.reshape(-1, g), (dy * weight).reshape(-1, g), rstd.reshape(-1, 1)
        m = rows * r
        dx = r * (ups - m * (ups * m).sum(axis=1, keepdims=True) / g)
        return dx.reshape(x.shape), (dy.reshape(-1, g) * m).reshape(-1, x.shape[-1]).sum(axis=0)
    return backward


@built("group_rms.backward")
def group_after_group(n):
    def backward(dy, cache):
        x, weight, rstd = cache
        g, dx, dweight = n["group"], np.zeros(x.shape), np.zeros(weight.shape)
        for j in range(rstd.shape[-1]):
            part, r = slice(j * g, (j + 1) * g), rstd[..., j:j + 1]
            d = dy[..., part] * weight[part]
            dx[..., part] = r * d - r**3 * x[..., part] * np.mean(d * x[..., part], axis=-1, keepdims=True)
            dweight[part] = (dy[..., part] * x[..., part] * r).reshape(-1, g).sum(0)
        return dx, dweight
    return backward


@built("group_rms.backward")
def with_a_mixing_matrix(n):
    def backward(dy, cache):
        x, weight, rstd = cache
        C, g = x.shape[-1], n["group"]
        r = np.repeat(rstd, g, axis=-1)
        same = np.kron(np.eye(C // g), np.full((g, g), 1 / g))
        m = x * r
        return r * (dy * weight - m * ((dy * weight * m) @ same)), np.einsum("nc,nc->c", dy.reshape(-1, C), m.reshape(-1, C))
    return backward


@built("group_rms.backward", "one_group", wrong=True)
def average_over_all(n):
    def backward(dy, cache):
        x, weight, rstd = cache
        r = np.repeat(rstd, n["group"], axis=-1)
        d = dy * weight
        dx = r * d - r * (x * r) * np.sum(d * x * r, axis=-1)[..., None] / x.shape[-1]
        return dx, (dy * x * r).reshape(-1, len(weight)).sum(0)
    return backward


@built("group_rms.backward", "rstd_tiled", wrong=True)
def tiled(n):
    def backward(dy, cache):
        x, weight, rstd = cache
        g = n["group"]
        r = np.concatenate([rstd] * g, axis=-1)
        m, d = x * r, dy * weight
        mean = np.repeat((m * d).reshape(*rstd.shape, g).mean(-1), g, axis=-1)
        return r * (d - m * mean), (dy * m).reshape(-1, len(weight)).sum(0)
    return backward


@built("group_rms.backward", "second_term_sum", "averaged_over_tokens", wrong=True)
def sums_and_means(n):
    def backward(dy, cache):
        x, weight, rstd = cache
        shape = (*rstd.shape, n["group"])
        m = x.reshape(shape) * rstd[..., None]
        d = (dy * weight).reshape(shape)
        dx = rstd[..., None] * (d - m * np.einsum("...g,...g->...", d, m)[..., None])
        return dx.reshape(x.shape), (dy * m.reshape(x.shape)).reshape(-1, len(weight)).mean(axis=0)
    return backward


@built("group_rms.backward", "mean_term_of_layer_norm", wrong=True)
def layer_norm_in_groups(n):
    def backward(dy, cache):
        x, weight, rstd = cache
        shape = (*rstd.shape, n["group"])
        r = rstd[..., None]
        m, d = x.reshape(shape) * r, (dy * weight).reshape(shape)
        dx = r * (d - d.mean(-1, keepdims=True) - m * (d * m).mean(-1, keepdims=True))
        return dx.reshape(x.shape), np.sum(dy.reshape(-1, len(weight)) * m.reshape(-1, len(weight)), axis=0)
    return backward
