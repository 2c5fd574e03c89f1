"""Answers to the exercises on LoRA and on BERT's masking, as students write them: right ones in other styles, and wrong ones."""
import copy

import numpy as np
from collected import right, wrong

from nanolm import params


# ---------------------------------------------------------------------------------------- lora.merged
@right("lora.merged")
def flat_and_back(p, adapters, alpha=16.0):
    flat = {name: w.copy() for name, w in params.flatten(p).items()}
    for name, w in flat.items():
        if name + ".lora_a" in adapters:
            a, b = adapters[name + ".lora_a"], adapters[name + ".lora_b"]
            w += np.einsum("ir,ro->io", a, b) * alpha / len(b)
    return params.unflatten(flat)


@right("lora.merged")
def walks_down_the_tree(p, adapters, alpha=16.0, path=""):
    found = {}
    for key, value in p.items():
        name = f"{path}.{key}" if path else key
        if isinstance(value, dict):
            found[key] = walks_down_the_tree(value, adapters, alpha, name)
        elif f"{name}.lora_a" in adapters:
            a, b = adapters[f"{name}.lora_a"], adapters[f"{name}.lora_b"]
            found[key] = value + sum(np.outer(a[:, k], b[k]) for k in range(len(b))) * (alpha / len(b))
        else:
            found[key] = value
    return found


@right("lora.merged")
def deep_copy(p, adapters, alpha=16.0):
    p = copy.deepcopy(p)
    for name in adapters:
        if name.endswith(".lora_a"):
            *path, last = name[:-len(".lora_a")].split(".")
            node = p
            for key in path:
                node = node[key]
            a, b = adapters[name], adapters[name[:-1] + "b"]
            node[last] += alpha / a.shape[1] * a.dot(b)
    return p


@wrong("lora.merged", "changes_arguments")
def into_the_model(p, adapters, alpha=16.0):
    flat = params.flatten(p)
    for name in [name[:-7] for name in adapters if name.endswith(".lora_a")]:
        a, b = adapters[name + ".lora_a"], adapters[name + ".lora_b"]
        flat[name] += (alpha / a.shape[1]) * (a @ b)
    return p


@wrong("lora.merged", "r_forgotten")
def alpha_alone(p, adapters, alpha=16.0):
    flat = dict(params.flatten(p))
    for name in list(flat):
        if name + ".lora_b" in adapters:
            flat[name] = flat[name] + alpha * adapters[name + ".lora_a"].dot(adapters[name + ".lora_b"])
    return params.unflatten(flat)


@wrong("lora.merged", "weight_replaced")
def product_only(p, adapters, alpha=16.0):
    flat = {}
    for name, w in params.flatten(p).items():
        a, b = adapters.get(name + ".lora_a"), adapters.get(name + ".lora_b")
        flat[name] = w if a is None else a @ b * alpha / len(b)
    return params.unflatten(flat)


@wrong("lora.merged", "alpha_fixed")
def sixteen(p, adapters, alpha=16.0):
    flat = dict(params.flatten(p))
    for name in list(flat):
        if name + ".lora_a" in adapters:
            a, b = adapters[name + ".lora_a"], adapters[name + ".lora_b"]
            flat[name] = flat[name] + 16 / len(b) * (a @ b)
    return params.unflatten(flat)


# ---------------------------------------------------------------------------------------- lora.backward
@right("lora.backward")
def by_einsum(dp, adapters, alpha=16.0):
    flat, found = params.flatten(dp), {}
    for name, value in adapters.items():
        if name.endswith("lora_a"):
            found[name] = np.einsum("io,ro->ir", flat[name[:-7]], adapters[name[:-1] + "b"]) * alpha / value.shape[1]
        else:
            found[name] = np.einsum("io,ir->ro", flat[name[:-7]], adapters[name[:-1] + "a"]) * alpha / value.shape[0]
    return found


@right("lora.backward")
def entry_by_entry(dp, adapters, alpha=16.0):
    flat = params.flatten(dp)
    found = {name: np.zeros_like(w) for name, w in adapters.items()}
    for name in [name.removesuffix(".lora_a") for name in adapters if name.endswith(".lora_a")]:
        a, b = adapters[name + ".lora_a"], adapters[name + ".lora_b"]
        for i, o in np.ndindex(*flat[name].shape):
            for k in range(len(b)):
                found[name + ".lora_a"][i, k] += alpha / len(b) * flat[name][i, o] * b[k, o]
                found[name + ".lora_b"][k, o] += alpha / len(b) * flat[name][i, o] * a[i, k]
    return found


@right("lora.backward")
def scaled_first(dp, adapters, alpha=16.0):
    flat, of_a, of_b = params.flatten(dp), {}, {}
    for name in adapters:
        if name.endswith(".lora_b"):
            continue
        a, b = adapters[name], adapters[name[:-1] + "b"]
        dw = flat[name.rpartition(".")[0]] * (alpha / a.shape[-1])
        of_a[name], of_b[name[:-1] + "b"] = (b @ dw.T).T, (dw.T @ a).T
    return {**of_a, **of_b}


@wrong("lora.backward", "scale_forgotten")
def no_scale(dp, adapters, alpha=16.0):
    flat, found = params.flatten(dp), {}
    for name, value in adapters.items():
        dw = flat[name[:-7]]
        found[name] = dw.dot(adapters[name[:-1] + "b"].T) if name.endswith("a") else adapters[name[:-1] + "a"].T.dot(dw)
    return found


@wrong("lora.backward", "scale_missing_in_b")
def scale_on_a_only(dp, adapters, alpha=16.0):
    flat, found = params.flatten(dp), {}
    for name, value in adapters.items():
        dw = flat[name[:-7]]
        if name.endswith("lora_a"):
            found[name] = np.einsum("io,ro->ir", dw, adapters[name[:-1] + "b"]) * (alpha / value.shape[1])
        else:
            found[name] = np.einsum("io,ir->ro", dw, adapters[name[:-1] + "a"])
    return found


@wrong("lora.backward", "db_from_da")
def name_used_twice(dp, adapters, alpha=16.0):
    flat, found = params.flatten(dp), {}
    for name in [name[:-7] for name in adapters if name.endswith(".lora_a")]:
        a, b = adapters[name + ".lora_a"], adapters[name + ".lora_b"]
        a = alpha / len(b) * np.matmul(flat[name], b.T)
        b = alpha / len(b) * np.matmul(a.T, flat[name])
        found[name + ".lora_a"], found[name + ".lora_b"] = a, b
    return found


@wrong("lora.backward", "da_turned", "db_turned")
def both_turned(dp, adapters, alpha=16.0):
    flat, found = params.flatten(dp), {}
    for name in [name[:-7] for name in adapters if name.endswith(".lora_a")]:
        a, b = adapters[name + ".lora_a"], adapters[name + ".lora_b"]
        s = alpha / len(b)
        found[name + ".lora_a"], found[name + ".lora_b"] = s * b @ flat[name].T, s * flat[name].T @ a
    return found


@wrong("lora.backward", "last_matrix_only")
def dict_in_the_loop(dp, adapters, alpha=16.0):
    flat = params.flatten(dp)
    for name in [name[:-7] for name in adapters if name.endswith(".lora_a")]:
        a, b = adapters[name + ".lora_a"], adapters[name + ".lora_b"]
        grads = {name + ".lora_a": alpha / len(b) * flat[name] @ b.T, name + ".lora_b": alpha / len(b) * a.T @ flat[name]}
    return grads


@wrong("lora.backward", "r_forgotten", "da_sign", "db_sign")
def a_step_and_not_a_gradient(dp, adapters, alpha=16.0):
    flat, found = params.flatten(dp), {}
    for name in adapters:
        other = adapters[name[:-1] + ("b" if name.endswith("a") else "a")]
        dw = -alpha * flat[name[:-7]]
        found[name] = dw @ other.T if name.endswith("a") else other.T @ dw
    return found


# ---------------------------------------------------------------------------------------- masking.masked
def _draws(ids, vocab_size, rng):
    return rng.random(ids.shape), rng.random(ids.shape), rng.integers(0, vocab_size, ids.shape, dtype=ids.dtype)


@right("masking.masked")
def token_by_token(ids, vocab_size, mask_id, special, rng, tokens=None, share=0.15):
    u, coin, other = _draws(ids, vocab_size, rng)
    inputs, targets = ids.copy(), np.full(ids.shape, -100)
    for n in np.ndindex(*ids.shape):
        if ids[n] in special or tokens is not None and not tokens[n] or u[n] >= share:
            continue
        targets[n] = ids[n]
        if coin[n] < 0.8:
            inputs[n] = mask_id
        elif coin[n] < 0.9:
            inputs[n] = other[n]
    return inputs, targets


@right("masking.masked")
def by_select(ids, vocab_size, mask_id, special, rng, tokens=None, share=0.15):
    u, coin, other = _draws(ids, vocab_size, rng)
    chosen = (u < share) & ~np.isin(ids, list(special)) & (True if tokens is None else tokens)
    return np.select([~chosen, coin < 0.8, coin < 0.9], [ids, mask_id, other], ids), np.where(chosen, ids, -100)


@right("masking.masked")
def by_index(ids, vocab_size, mask_id, special, rng, tokens=None, share=0.15):
    u, coin, other = _draws(ids, vocab_size, rng)
    chosen = u < share
    for one in special:
        chosen[ids == one] = False
    if tokens is not None:
        chosen[~tokens] = False
    inputs, targets = np.array(ids), np.array(ids)
    targets[~chosen] = -100
    hide = chosen & (coin < 0.8)
    swap = chosen & ~hide & (coin < 0.9)
    inputs[hide] = mask_id
    inputs[swap] = other[swap]
    return [inputs, targets]


@wrong("masking.masked", "always_mask")
def masks_all(ids, vocab_size, mask_id, special, rng, tokens=None, share=0.15):
    u, coin, other = _draws(ids, vocab_size, rng)
    inputs, targets = ids.copy(), np.full(ids.shape, -100)
    for n in np.ndindex(*ids.shape):
        if ids[n] not in special and (tokens is None or tokens[n]) and u[n] < share:
            inputs[n], targets[n] = mask_id, ids[n]
    return inputs, targets


@wrong("masking.masked", "padding_chosen")
def forgets_padding(ids, vocab_size, mask_id, special, rng, tokens=None, share=0.15):
    u, coin, other = _draws(ids, vocab_size, rng)
    chosen = np.array([[i not in special for i in row] for row in np.atleast_2d(ids)]).reshape(ids.shape) & (u < share)
    return np.select([~chosen, coin < 0.8, coin < 0.9], [ids, mask_id, other], ids), np.where(chosen, ids, -100)


@wrong("masking.masked", "targets_from_inputs")
def targets_after_masking(ids, vocab_size, mask_id, special, rng, tokens=None, share=0.15):
    u, coin, other = _draws(ids, vocab_size, rng)
    chosen = (u < share) & ~np.isin(ids, list(special)) & (True if tokens is None else tokens)
    inputs = ids.copy()
    inputs[chosen & (coin < 0.8)] = mask_id
    inputs[chosen & (coin >= 0.8) & (coin < 0.9)] = other[chosen & (coin >= 0.8) & (coin < 0.9)]
    targets = np.full_like(ids, -100)
    targets[chosen] = inputs[chosen]
    return inputs, targets


@wrong("masking.masked", "changes_arguments")
def into_ids(ids, vocab_size, mask_id, special, rng, tokens=None, share=0.15):
    u, coin, other = _draws(ids, vocab_size, rng)
    chosen = (u < share) & ~np.isin(ids, list(special)) & (True if tokens is None else tokens)
    targets = np.where(chosen, ids, -100)
    ids[chosen & (coin < 0.8)] = mask_id
    swap = chosen & (coin >= 0.8) & (coin < 0.9)
    ids[swap] = other[swap]
    return ids, targets


@wrong("masking.masked", "none_random", "zero_for_ignored")
def simple_and_zero(ids, vocab_size, mask_id, special, rng, tokens=None, share=0.15):
    u, coin, other = _draws(ids, vocab_size, rng)
    chosen = (u < share) & ~np.isin(ids, list(special)) & (True if tokens is None else tokens)
    return np.where(chosen & (coin < 0.8), mask_id, ids), chosen * ids
