"""GPT (gpt2.Config with norm "post") against transformers' OpenAIGPTLMHeadModel: logits, loss, every gradient, greedy tokens."""
import numpy as np
import pytest

from nearness import close

from nanolm import params
from nanolm.generation import generate
from nanolm.models import gpt2

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nanolm[peers]'")
transformers = pytest.importorskip("transformers", reason="transformers is not installed: pip install 'nanolm[peers]'")

SHAPES = [  # V, block, L, H, C, eps, B, T
    (11, 9, 2, 2, 8, 1e-5, 2, 7), (101, 7, 2, 5, 35, 1e-5, 7, 1), (50, 10, 6, 2, 8, 1e-2, 1, 10),
    (31, 12, 12, 2, 12, 1e-5, 2, 12), (29, 16, 3, 1, 20, 1e-5, 2, 9), (65, 32, 4, 4, 64, 1e-12, 4, 32), (257, 64, 2, 8, 128, 1e-5, 2, 50)]


def theirs_of(name):
    return name.replace("wte", "tokens_embed").replace("wpe", "positions_embed")


def pair(V, block, L, H, C, eps, dtype, seed):
    """Return (their model, {their name: their tensor}, our parameters, our config) with the same random weights."""
    theirs = transformers.OpenAIGPTLMHeadModel(transformers.OpenAIGPTConfig(
        vocab_size=V, n_positions=block, n_embd=C, n_layer=L, n_head=H, afn="gelu", resid_pdrop=0, embd_pdrop=0, attn_pdrop=0,
        layer_norm_epsilon=eps)).to(torch.float64 if dtype == np.float64 else torch.float32)
    config, rng = gpt2.Config(V, block, L, H, C, eps=eps, norm="post"), np.random.default_rng(seed)
    flat = params.flatten(gpt2.init(config, rng, dtype))
    tensors = dict(theirs.transformer.named_parameters())
    assert sorted(tensors) == sorted(map(theirs_of, flat)), "the names are not those of the published checkpoint"
    with torch.no_grad():
        for name, array in flat.items():
            array += (0.1 * rng.standard_normal(array.shape)).astype(dtype)
            tensors[theirs_of(name)].copy_(torch.tensor(array))
    return theirs, tensors, params.unflatten(flat), config


@pytest.mark.parametrize("dtype, relative", [(np.float64, 1e-9), (np.float32, 1e-5)])
@pytest.mark.parametrize("shape", SHAPES)
def test_loss_logits_and_every_gradient(shape, dtype, relative):
    *model_shape, B, T = shape
    theirs, tensors, p, config = pair(*model_shape, dtype, seed=T)
    rng = np.random.default_rng(T)
    ids, targets = rng.integers(0, config.vocab_size, (B, T)), rng.integers(0, config.vocab_size, (B, T))
    targets[0, T // 2:] = -100 if T > 1 else targets[0, T // 2:]
    z = theirs(torch.tensor(ids)).logits
    their_loss = torch.nn.functional.cross_entropy(z.reshape(-1, config.vocab_size), torch.tensor(targets).reshape(-1))
    their_loss.backward()
    loss, cache = gpt2.forward(p, ids, targets, config)
    assert loss.dtype == dtype and abs(loss - their_loss.item()) <= relative * abs(their_loss.item())
    close(gpt2.logits(p, ids, config), z.detach().numpy(), relative, "logits")
    for name, gradient in params.flatten(gpt2.backward(cache)).items():
        assert gradient.dtype == dtype
        close(gradient, tensors[theirs_of(name)].grad.numpy(), relative, name)


def test_greedy_tokens_are_the_same():
    theirs, tensors, p, config = pair(65, 32, 4, 4, 64, 1e-5, np.float64, seed=3)
    ids = [5, 60, 17, 4]
    p["wpe"]["weight"] *= 20                                                # else it says one token again and again
    with torch.no_grad():
        tensors["positions_embed.weight"].copy_(torch.tensor(p["wpe"]["weight"]))
    ours = list(generate.tokens(p, config, ids, 12, temperature=0))
    with torch.no_grad():
        for _ in range(12):
            ids.append(int(theirs(torch.tensor([ids])).logits[0, -1].argmax()))
    assert ours == ids[4:] and len(set(ours)) > 2
