"""Answers to the exercises on clipping and on the schedule, as students write them, right and wrong."""
import math

import numpy as np
from collected import right, wrong


def distinct(grads):
    found = []
    for g in grads.values():
        if not any(g is other for other in found):
            found.append(g)
    return found


# ---------------------------------------------------------------------------------------- clipping.global_norm
@right("clipping.global_norm")
def one_long_vector(grads):
    once = {id(g): g for g in grads.values()}
    return np.linalg.norm(np.concatenate([g.ravel() for g in once.values()]))


@right("clipping.global_norm")
def norms_of_norms(grads):
    return math.hypot(*(np.linalg.norm(g) for g in distinct(grads)))


@right("clipping.global_norm")
def square_by_square(grads):
    total, seen = 0.0, set()
    for g in grads.values():
        if id(g) not in seen:
            seen.add(id(g))
            for number in g.flat:
                total += number**2
    return total**0.5


@wrong("clipping.global_norm", "tied_counted_twice")
def straight_through(grads):
    return np.sqrt(sum(np.sum(np.square(g)) for g in grads.values()))


@wrong("clipping.global_norm", "sum_of_norms")
def added_up(grads):
    return sum(np.linalg.norm(g) for g in distinct(grads))


@wrong("clipping.global_norm", "root_forgotten", "tied_counted_twice")
def dot_products(grads):
    total = 0
    for name in grads:
        flat = grads[name].flatten()
        total += flat @ flat
    return total


@wrong("clipping.global_norm", "last_array_only")
def assigned_in_the_loop(grads):
    for g in distinct(grads):
        total = np.einsum("i,i", g.reshape(-1), g.reshape(-1))
    return math.sqrt(total)


# ---------------------------------------------------------------------------------------- clipping.clip
@right("clipping.clip")
def by_hand(grads, max_norm):
    own = distinct(grads)
    norm = math.sqrt(sum(float(np.sum(g**2)) for g in own))
    if not math.isfinite(norm) or norm <= max_norm:
        return norm
    for g in own:
        g *= max_norm / norm
    return norm


@right("clipping.clip")
def factor_of_one(gradients, limit):
    """Always multiplied, by one where nothing is to be done."""
    arrays = list({id(g): g for g in gradients.values()}.values())
    norm = np.linalg.norm(np.concatenate([g.ravel() for g in arrays]))
    factor = min(1.0, limit / norm) if np.isfinite(norm) and norm > 0 else 1.0
    for g in arrays:
        g[...] = g * factor
    return float(norm)


@right("clipping.clip")
def by_multiply(grads, max_norm):
    """np.multiply with out= writes into the array, and so does np.copyto."""
    once = distinct(grads)
    norm = float(np.sqrt(sum(np.vdot(g, g) for g in once)))
    if np.isfinite(norm) and norm > max_norm:
        for g in once:
            np.multiply(g, max_norm / norm, out=g)
    return norm


@wrong("clipping.clip", "arrays_replaced")
def new_arrays_in_the_dict(grads, max_norm):
    """The dict is the caller's, but the arrays that the caller holds are as long as before."""
    norm = float(np.sqrt(sum((g * g).sum() for g in distinct(grads))))
    if np.isfinite(norm) and norm > max_norm:
        for name in grads:
            grads[name] = grads[name] / norm * max_norm
    return norm


@wrong("clipping.clip", "tied_counted_and_scaled_twice")
def as_everywhere(grads, max_norm):
    norm = np.sqrt(sum((g**2).sum() for g in grads.values()))
    if norm > max_norm and np.isfinite(norm):
        for name in grads:
            grads[name] *= max_norm / norm
    return norm


@wrong("clipping.clip", "infinite_norm_scaled", "eps_in_factor")
def as_in_torch(grads, max_norm):
    own = distinct(grads)
    norm = np.linalg.norm([np.linalg.norm(g) for g in own])
    coefficient = max_norm / (norm + 1e-6)
    if coefficient < 1:
        for g in own:
            g *= coefficient
    return norm


@wrong("clipping.clip", "clipped_per_array")
def one_by_one(grads, max_norm):
    whole = math.sqrt(sum(float((g * g).sum()) for g in distinct(grads)))
    if not math.isfinite(whole):
        return whole
    for g in distinct(grads):
        n = np.linalg.norm(g)
        if n > max_norm:
            g *= max_norm / n
    return whole


@wrong("clipping.clip", "scaled_always", "infinite_norm_scaled")
def never_asks(grads, max_norm):
    once = distinct(grads)
    norm = math.sqrt(sum(float((g * g).sum()) for g in once))
    for g in once:
        if norm:
            g *= max_norm / norm
    return norm


@wrong("clipping.clip", "nothing_returned")
def returns_nothing(grads, max_norm):
    once = distinct(grads)
    norm = math.sqrt(sum(float((g * g).sum()) for g in once))
    if max_norm < norm < math.inf:
        for g in once:
            g *= max_norm / norm


@wrong("clipping.clip", "norm_after_returned")
def smaller_of_both(grads, max_norm):
    once = distinct(grads)
    norm = math.sqrt(sum(float((g * g).sum()) for g in once))
    if max_norm < norm < math.inf:
        for g in once:
            g *= max_norm / norm
        norm = max_norm
    return norm


# ---------------------------------------------------------------------------------------- schedules.cosine
@right("schedules.cosine")
def in_numpy(step, peak, total, warmup=0, final=0.0):
    u = np.clip((step - warmup) / (total - warmup), 0, 1)
    return np.where(step < warmup, peak * (step + 1) / max(warmup, 1),
                    0.5 * (peak + final) + 0.5 * (peak - final) * np.cos(np.pi * u))[()]


@right("schedules.cosine")
def square_of_a_cosine(step, peak, total, warmup=0, final=0.0):
    if step >= total:
        return final
    if step < warmup:
        return peak / warmup * (1 + step)
    return final + (peak - final) * math.cos(math.pi / 2 * (step - warmup) / (total - warmup))**2


@right("schedules.cosine")
def weighted(step, peak, total, warmup=0, final=0.0):
    if warmup > step:
        return (step + 1) * peak / warmup
    share = (math.cos(min((step - warmup) * math.pi / (total - warmup), math.pi)) + 1) / 2
    return share * peak + (1 - share) * final


@wrong("schedules.cosine", "warmup_from_zero")
def begins_at_nothing(step, peak, total, warmup=0, final=0.0):
    if step < warmup:
        return step / warmup * peak
    return final + 0.5 * (peak - final) * (1 + math.cos(math.pi * min(1, (step - warmup) / (total - warmup))))


@wrong("schedules.cosine", "rises_again")
def not_cut(step, peak, total, warmup=0, final=0.0):
    if step < warmup:
        return peak * (step + 1) / warmup
    angle = math.pi * (step - warmup) / (total - warmup)
    return (peak + final) / 2 + (peak - final) / 2 * math.cos(angle)


@wrong("schedules.cosine", "final_not_subtracted", "warmup_in_progress")
def two_of_them(step, peak, total, warmup=0, final=0.0):
    if step < warmup:
        return peak * (step + 1) / warmup
    return final + peak * (1 + np.cos(np.pi * min(step, total) / total)) / 2


@wrong("schedules.cosine", "warmup_one_step_too_many", "half_forgotten")
def off_by_one_and_a_half(step, peak, total, warmup=0, final=0.0):
    if warmup and step <= warmup:
        return peak * (step + 1) / warmup
    return final + (peak - final) * (1 + math.cos(math.pi * min(1, (step - warmup) / (total - warmup))))
