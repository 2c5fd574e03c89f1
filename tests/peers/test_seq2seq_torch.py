"""The encoder-decoder Transformer of drawn shapes against torch.nn.Transformer: logits, loss and every gradient.

PyTorch's module has neither embeddings, positions nor a head: they stand around it here, written with PyTorch's functions.
"""
import math

import numpy as np
import pytest

from nanolm import params
from nanolm.models import seq2seq

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nanolm[peers]'")
F = torch.nn.functional

# V, block, L, H, C, hidden, V of the source, shared, label smoothing, norm, form, eps; then B, S, T
SHAPES = [(11, 9, 2, 2, 8, 12, 0, True, 0.1, "post", "relu", 1e-5, 3, 6, 7),
          (11, 9, 2, 2, 8, 12, 0, True, 0.1, "pre", "relu", 1e-5, 3, 7, 6),
          (29, 16, 3, 5, 20, 9, 17, False, 0.0, "post", "tanh", 1e-6, 2, 16, 5),
          (29, 16, 3, 1, 21, 30, 40, False, 0.3, "pre", "erf", 1e-2, 4, 3, 16),
          (101, 70, 1, 4, 36, 50, 0, True, 0.1, "post", "relu", 1e-5, 2, 70, 66),
          (65, 32, 6, 4, 64, 128, 0, True, 0.1, "post", "relu", 1e-5, 4, 32, 31),
          (65, 32, 6, 8, 64, 128, 0, True, 0.0, "pre", "relu", 1e-5, 4, 31, 32),
          (13, 4, 2, 2, 4, 6, 0, True, 0.1, "post", "erf", 1e-5, 5, 1, 1)]
PARTS = [("attn.c_attn.weight", "self_attn.in_proj_weight"), ("attn.c_attn.bias", "self_attn.in_proj_bias"),
         ("attn.c_proj", "self_attn.out_proj"), ("mlp.c_fc", "linear1"), ("mlp.c_proj", "linear2"), (".ln_", ".norm"),
         (".h.", ".layers.")]


def theirs_of(name):
    """The name in torch.nn.Transformer of what is called `name` here."""
    cross = "cross_attn" in name
    for ours, theirs in PARTS:
        name = name.replace(ours, theirs)
    return name.replace("cross_self_attn", "multihead_attn") if cross else name


def turned(name, array):
    """A matrix of a linear layer is (out, in) there; tables of tokens are (V, C) in both."""
    return array.T if array.ndim == 2 and "embed" not in name else array


def pair(config, dtype, seed):
    """Return (their stacks, {our name: their tensor} of all parameters, our parameters): the same random numbers."""
    form = {"relu": F.relu, "erf": F.gelu, "tanh": lambda x: F.gelu(x, approximate="tanh")}[config.form]
    kind = torch.float64 if dtype == np.float64 else torch.float32
    stacks = torch.nn.Transformer(config.n_embd, config.n_head, config.n_layer, config.n_layer, config.n_hidden, 0.0, form,
                                  layer_norm_eps=config.eps, batch_first=True, norm_first=config.norm == "pre", dtype=kind)
    if config.norm == "post":                                               # PyTorch norms twice here, the paper does not
        stacks.encoder.norm = stacks.decoder.norm = None
    rng = np.random.default_rng(seed)
    flat = params.flatten(seq2seq.init(config, rng, dtype))
    theirs = dict(stacks.named_parameters())
    tensors = {}
    for name, array in flat.items():
        array += (0.1 * rng.standard_normal(array.shape)).astype(dtype)
        if "embed" in name or name == "head.weight":
            tensors[name] = torch.tensor(turned(name, array), requires_grad=True)
        else:
            tensors[name] = theirs.pop(theirs_of(name))
            with torch.no_grad():
                tensors[name].copy_(torch.tensor(turned(name, array)))
    assert not theirs, f"they have parameters that we do not: {list(theirs)}"
    return stacks, tensors, params.unflatten(flat)


def sines(T, C):
    table = torch.zeros(T, C, dtype=torch.float64)
    for t in range(T):
        for c in range(C):
            angle = t / 10000 ** (2 * (c // 2) / C)
            table[t, c] = math.sin(angle) if c % 2 == 0 else math.cos(angle)
    return table


def their_logits(stacks, tensors, config, source, target_in, lengths):
    C = config.n_embd
    source_table, target_table, head = (tensors["embed.weight" if config.shared else name]
                                        for name in ("source_embed.weight", "target_embed.weight", "head.weight"))
    x, y = (F.embedding(torch.tensor(ids), table) * C ** 0.5 + sines(ids.shape[1], C).to(table.dtype)
            for ids, table in ((source, source_table), (target_in, target_table)))
    filling = None if lengths is None else torch.arange(source.shape[1])[None] >= torch.tensor(lengths)[:, None]
    future = torch.triu(torch.ones(target_in.shape[1], target_in.shape[1], dtype=torch.bool), diagonal=1)
    y = stacks(x, y, tgt_mask=future, src_key_padding_mask=filling, memory_key_padding_mask=filling)
    return F.linear(y, head)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")         # theirs, about a fast path that we do not need
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("dtype, absolute, relative", [(np.float64, 1e-9, 1e-8), (np.float32, 1e-4, 1e-4)])
@pytest.mark.parametrize("shape", SHAPES)
def test_loss_logits_and_every_gradient(shape, dtype, absolute, relative, padded):
    V, block, L, H, C, hidden, V_source, shared, smoothing, norm, form, eps, B, S, T = shape
    config = seq2seq.Config(V, block, L, H, C, hidden, V_source, shared, 0.0, smoothing, norm, form, eps)
    stacks, tensors, p = pair(config, dtype, seed=T)
    rng = np.random.default_rng(S)
    source, lengths = rng.integers(0, V_source or V, (B, S)), rng.integers(1, S + 1, B) if padded else None
    target_in, targets = rng.integers(0, V, (B, T)), rng.integers(0, V, (B, T))
    targets[0, T // 2:] = -100
    z = their_logits(stacks, tensors, config, source, target_in, lengths)
    their_loss = F.cross_entropy(z.reshape(-1, V), torch.tensor(targets).reshape(-1), label_smoothing=smoothing)
    their_loss.backward()

    ours = seq2seq.logits(p, source, target_in, config, lengths)
    assert ours.dtype == dtype and ours.std() > 0.1
    np.testing.assert_allclose(ours, z.detach().numpy(), rtol=0, atol=absolute)
    loss, cache = seq2seq.forward(p, source, target_in, targets, config, lengths)
    assert loss.dtype == dtype and abs(loss - their_loss.item()) <= relative * abs(their_loss.item())
    for name, gradient in params.flatten(seq2seq.backward(cache)).items():
        assert gradient.dtype == dtype
        close(gradient, turned(name, tensors[name].grad.numpy()), relative, name)


def close(got, expected, relative, name):
    """Error norm against the expected array's norm; where that is all rounding, against the size of one rounding."""
    size = np.linalg.norm(expected)
    error = np.linalg.norm(got - expected)
    assert error <= relative * max(size, np.finfo(got.dtype).eps), f"{name}: {error} of {size}"
