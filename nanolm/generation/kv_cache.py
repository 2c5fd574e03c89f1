"""The key-value cache: run only the new tokens through GPT-2, and get the logits of running them all.

Why this is allowed. Let x^l_t (C,) be the vector at position t after l blocks. Claim: x^l_t depends on ids[0..t] alone.

    l = 0       x^0_t = wte[id_t] + wpe[t]: true.                                                                (GN6)
    l -> l+1    layernorm, linear and mlp work on one position at a time. Attention alone mixes positions:
                    y_t = sum_{s <= t} a_ts v_s,      a_ts = softmax over s <= t of (q_t . k_s / sqrt(D))        (GN7)
                q_t is a function of x^l_t, and k_s, v_s are functions of x^l_s, s <= t: of ids[0..t], by assumption.

So a later token changes nothing at an earlier position: old keys and values are final. And all that a new position asks
of the old ones is their k_s and v_s, in every block; their queries, MLPs and logits are not needed again. Keep k, v:

    memory      2 L C numbers a token (GPT-2 small in float32: 73,728 bytes a token, 75 MB for its 1,024 tokens) (GN8)
                the arrays double their room when they are full: room that no token ever uses would be cleared by the
                operating system too, and for 8 texts of GPT-2 small that is 0.6 GB
    work        one token costs about 2 P + 4 L C n operations (P parameters in the matrix products, n tokens so far),
                where the full forward costs n times 2 P, and more                                               (GN9)

Without the causal mask (BERT) x_s would hear of t > s, and nothing could be kept. The same holds when positions shift:
wpe[t] is inside x^0_t, so a token that moves from position t to t - 1 has other keys and values. See window.py.

    ids (B, T) new tokens     keys, values (L, B, H, S, D), the first `length` of the S positions are filled

Tested    tests/test_kv_cache.py, tests/test_gpt.py, against gpt2.logits at every position.
"""
from dataclasses import dataclass

import numpy as np

from nanolm.layers import attention, embedding, layernorm, linear, masks, mlp, multihead, positions

LEAST = 64                                              # positions: so many at first


@dataclass
class KVCache:
    """Room for the keys and values of S positions; `length` of them are filled. extend writes into these arrays, and puts
    larger ones in their place when they are full (make_room).

    Setting length to a smaller number forgets the tokens after it.
    """
    keys: np.ndarray        # (L, B, H, S, D)
    values: np.ndarray      # (L, B, H, S, D)
    length: int = 0


def empty(p, config, batch_size=1):
    """Return a KVCache for batch_size rows, in p's dtype; extend gives it room, for config.block_size tokens at most."""
    shape = (config.n_layer, batch_size, config.n_head, 0, config.n_embd // config.n_head)
    dtype = p["wte"]["weight"].dtype
    return KVCache(np.empty(shape, dtype), np.empty(shape, dtype))


def make_room(kv, n, most):
    """Let the arrays of kv hold n positions: the double of what they held if that is more, but never more than `most`."""
    L, B, H, S, D = kv.keys.shape
    if n <= S:
        return
    shape, filled = (L, B, H, min(most, max(n, 2 * S, LEAST)), D), kv.length
    keys, values = np.empty(shape, kv.keys.dtype), np.empty(shape, kv.values.dtype)
    keys[:, :, :, :filled] = kv.keys[:, :, :, :filled]
    values[:, :, :, :filled] = kv.values[:, :, :, :filled]
    kv.keys, kv.values = keys, values


def places(ids, kv, config):
    """Return the first and the last-plus-one position of the new tokens ids (B, T), for which kv has room from here on.

    Raises ValueError if ids is not (B, T) with kv's B and at least one token, or if the T tokens do not fit any more.
    """
    ids = np.asarray(ids)
    batch_size, room = kv.keys.shape[1], config.block_size - kv.length
    if ids.ndim != 2 or ids.shape[0] != batch_size or ids.shape[1] == 0:
        raise ValueError(f"ids must have the shape ({batch_size}, T): one row for each row of the cache, and at least "
                         f"one token, but has {ids.shape}.")
    T = ids.shape[1]
    if T > room:
        raise ValueError(f"{T} new tokens do not fit: the cache holds {kv.length} of {kv.length + room} positions, and "
                         f"the model has no more. nanolm.generation.window says what can be done then.")
    make_room(kv, kv.length + T, config.block_size)
    return kv.length, kv.length + T


def extend(p, ids, kv, config, last=False):
    """Append ids (B, T) to the tokens that kv holds; return the logits (B, T, V) of the T new positions.

    last=True returns the logits of the last position only, (B, 1, V): enough to choose the next token, and the product
    with the vocabulary, the widest of all, is then done for one position and not for a whole prompt.

    Raises ValueError if ids is not (B, T) with kv's B and at least one token, or if the T tokens do not fit any more.
    """
    ids = np.asarray(ids)
    start, stop = places(ids, kv, config)
    T = stop - start
    mask = masks.causal(T, stop) if T > 1 else None                     # a single new token may attend to everything

    x, _ = embedding.forward(ids, p["wte"]["weight"])                   # (B, T, C)
    x, _ = positions.forward(x, p["wpe"]["weight"], offset=start)
    for l in range(config.n_layer):
        p_l = p["h"][str(l)]                                            # block.forward, line by line
        n = before(x, p_l["ln_1"], config)
        x = x + attend(n, p_l["attn"], kv.keys[l], kv.values[l], start, config.n_head, mask)
        x = after(x, p_l["ln_1"], config)
        m, _ = mlp.forward(before(x, p_l["ln_2"], config), p_l["mlp"], config.form)
        x = after(x + m, p_l["ln_2"], config)
    kv.length = stop                                                    # last: an error on the way leaves kv as it was

    if last:
        x = x[:, -1:]
    if config.norm == "pre":
        x, _ = layernorm.forward(x, **p["ln_f"], eps=config.eps)
    logits, _ = linear.forward(x, p["wte"]["weight"].T)                 # (B, T, V), the tied embedding
    return logits


def before(x, p, config):
    """Return what goes into a branch of a block: x, layer-normed if the block norms first (config.norm "pre")."""
    return layernorm.forward(x, **p, eps=config.eps)[0] if config.norm == "pre" else x


def after(x, p, config):
    """Return what x, with a branch's answer added, goes on as: layer-normed if the block norms last ("post")."""
    return x if config.norm == "pre" else layernorm.forward(x, **p, eps=config.eps)[0]


def attend(x, p, keys, values, start, n_head, mask):
    """multihead.forward for x (B, T, C), with the keys and values of the tokens before `start` taken from the cache."""
    stop = start + x.shape[1]
    packed, _ = linear.forward(x, **p["c_attn"])                        # (B, T, 3C)
    q, k, v = (multihead.split(part, n_head) for part in np.split(packed, 3, axis=-1))     # (B, H, T, D) each
    keys[:, :, start:stop] = k
    values[:, :, start:stop] = v
    heads, _ = attention.forward(q, keys[:, :, :stop], values[:, :, :stop], mask)
    y, _ = linear.forward(multihead.merge(heads), **p["c_proj"])        # (B, T, C)
    return y


def select(kv, rows, spare=None):
    """Return a new KVCache whose row i is row rows[i] of kv: rows may repeat, be dropped and change places.

    spare: a KVCache that nobody needs any more. If it has as many rows, its arrays are written over and used again: fresh
    ones are cleared by the operating system first, which costs more than the copy (GPT-2 small, 4 rows: 15 ms).
    """
    L, _, H, S, D = kv.keys.shape
    shape, n = (L, len(rows), H, S, D), kv.length
    if spare is None or spare.keys.shape != shape:
        spare = KVCache(np.empty(shape, kv.keys.dtype), np.empty(shape, kv.values.dtype))
    for i, row in enumerate(rows):                                      # what is not filled is not worth copying
        spare.keys[:, i, :, :n] = kv.keys[:, row, :, :n]
        spare.values[:, i, :, :n] = kv.values[:, row, :, :n]
    return KVCache(spare.keys, spare.values, n)
