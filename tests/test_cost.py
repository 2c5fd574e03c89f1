"""The cost table against what really happens: init's arrays, counted matrix products, the arrays in the caches."""
import numpy as np
import pytest

from nanolm import params
from nanolm.generation import kv_cache
from nanolm.models import cost, gpt2

CONFIGS = [gpt2.Config(vocab_size=13, block_size=9, n_layer=3, n_head=2, n_embd=8),
           gpt2.Config(vocab_size=40, block_size=7, n_layer=1, n_head=5, n_embd=10),
           gpt2.Config(vocab_size=13, block_size=9, n_layer=2, n_head=2, n_embd=8, dropout=0.2),
           gpt2.Config(vocab_size=13, block_size=9, n_layer=2, n_head=2, n_embd=8, norm="post"),
           gpt2.Config(vocab_size=13, block_size=9, n_layer=2, n_head=2, n_embd=8, n_hidden=12, form="erf")]


@pytest.mark.parametrize("config", CONFIGS)
def test_parameters_of_every_row(config):
    flat = params.flatten(gpt2.init(config, np.random.default_rng(0)))
    table = {row.name: row.parameters for row in cost.rows(config)}
    assert table.pop("head") == 0
    for name, parameters in table.items():
        assert parameters == sum(a.size for key, a in flat.items() if key.startswith(name + ".")), name
    assert sum(table.values()) == sum(a.size for a in flat.values())


def test_parameters_of_the_published_models():
    """The sizes of the published checkpoints' tensors; the paper's own table 2 has smaller numbers (117M to 1542M)."""
    known = {"gpt2": 124_439_808, "gpt2-medium": 354_823_168, "gpt2-large": 774_030_080, "gpt2-xl": 1_557_611_200}
    assert {name: cost.total(cost.rows(gpt2.PRESETS[name])).parameters for name in known} == known


class Counting(np.ndarray):
    """An array that counts the operations of every matrix product it takes part in."""
    flops = 0

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **rest):
        plain = [np.asarray(a) if isinstance(a, Counting) else a for a in inputs]
        if out:
            rest["out"] = tuple(np.asarray(a) for a in out)
        result = getattr(ufunc, method)(*plain, **rest)
        if ufunc is np.matmul:
            Counting.flops += 2 * result.size * plain[0].shape[-1]
        return out[0] if out else result.view(Counting) if isinstance(result, np.ndarray) else result


@pytest.mark.parametrize("config", CONFIGS[:2] + CONFIGS[3:])
@pytest.mark.parametrize("B, T", [(1, 7), (3, 5), (2, 1)])
def test_flops_are_the_matrix_products_that_run(config, B, T):
    p = gpt2.init(config, np.random.default_rng(0))
    p = params.unflatten({name: a.view(Counting) for name, a in params.flatten(p).items()})
    ids = np.random.default_rng(1).integers(0, config.vocab_size, (B, T))
    expected = cost.total(cost.rows(config, B, T)).flops
    Counting.flops = 0
    _, cache = gpt2.forward(p, ids, ids, config)
    assert Counting.flops == expected > 0
    Counting.flops = 0
    gpt2.backward(cache)
    assert Counting.flops == 2 * expected


def held(cache, found):
    """Collect the float and boolean memory that a nested cache refers to: {address of the owner: owner}."""
    if isinstance(cache, np.ndarray) and cache.dtype.kind in "fb":
        owner = cache
        while owner.base is not None:
            owner = owner.base
        found[id(owner)] = owner
    elif isinstance(cache, (tuple, list)):
        for part in cache:
            held(part, found)
    return found


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("B, T", [(1, 7), (3, 5)])
def test_activations_are_what_the_caches_hold(config, dtype, B, T):
    p = gpt2.init(config, np.random.default_rng(0), dtype)
    ids = np.random.default_rng(1).integers(0, config.vocab_size, (B, T))
    _, cache = gpt2.forward(p, ids, ids, config, rng=np.random.default_rng(2))
    weights = held(list(params.flatten(p).values()), {})
    kept = sum(a.nbytes for address, a in held(cache, {}).items() if address not in weights)
    assert cost.total(cost.rows(config, B, T, np.dtype(dtype).itemsize)).activations == kept


def test_memory():
    config = CONFIGS[0]
    p = gpt2.init(config, np.random.default_rng(0), np.float64)
    sizes = cost.memory(config, batch_size=2, n_tokens=4, itemsize=8)
    assert sizes["weights"] == sum(a.nbytes for a in params.flatten(p).values()) == sizes["gradients"]
    assert sizes["optimizer"] == 2 * sizes["weights"]
    kv = kv_cache.empty(p, config, 2)
    kv_cache.make_room(kv, config.block_size, config.block_size)            # full, it is no larger than the context
    assert sizes["kv_cache"] == kv.keys.nbytes + kv.values.nbytes
    assert sizes["activations"] == cost.total(cost.rows(config, 2, 4, 8)).activations


@pytest.mark.parametrize("arguments, words", [
    (dict(n_tokens=10), "n_tokens must lie between 1 and block_size = 9, but it is 10"), (dict(n_tokens=0), "it is 0"),
    (dict(batch_size=0), "batch_size must be at least 1, but it is 0"), (dict(itemsize=2), "itemsize must be 4")])
def test_errors(arguments, words):
    with pytest.raises(ValueError, match=words):
        cost.rows(CONFIGS[0], **arguments)
    with pytest.raises(ValueError, match=words):
        cost.memory(CONFIGS[0], **arguments)


def test_shards_a_second_gradient_only_where_it_is_small():
    assert cost.shards(gpt2.preset("gpt2"), 4, 64) == 1 and cost.shards(gpt2.preset("gpt2"), 32, 1024) == 2
    assert cost.shards(gpt2.preset("nano"), 8) == 2 and cost.shards(gpt2.preset("nano"), 1) == 1
