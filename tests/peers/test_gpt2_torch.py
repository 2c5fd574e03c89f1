"""GPT-2 of drawn shapes against transformers' GPT2LMHeadModel: logits, loss and every gradient, float64 and float32."""
import numpy as np
import pytest

from nearness import close

from nanolm import params
from nanolm.models import gpt2

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nanolm[peers]'")
transformers = pytest.importorskip("transformers", reason="transformers is not installed: pip install 'nanolm[peers]'")

SHAPES = [  # V, block, L, H, C, B, T; then, if not 1e-5, eps
    (7, 3, 1, 4, 4, 2, 3), (101, 7, 2, 5, 35, 7, 1), (50, 10, 6, 2, 8, 1, 10), (31, 12, 12, 2, 12, 2, 12),
    (29, 16, 3, 1, 20, 2, 9, 0.5), (500, 20, 2, 2, 32, 3, 20, 10.0), (65, 32, 4, 4, 64, 4, 32, 1e-12),
    (11, 5, 1, 1, 4, 1, 1), (13, 8, 2, 2, 6, 3, 8), (29, 16, 3, 4, 20, 2, 9), (7, 4, 1, 3, 9, 5, 3), (65, 32, 4, 4, 64, 4, 32),
    (257, 64, 2, 8, 128, 2, 50)]


def pair(V, block, L, H, C, eps, dtype, seed):
    """Return (their model, our parameters, our config) with the same random weights, gains and biases random too."""
    theirs = transformers.GPT2LMHeadModel(transformers.GPT2Config(
        vocab_size=V, n_positions=block, n_layer=L, n_head=H, n_embd=C, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0,
        layer_norm_epsilon=eps, bos_token_id=None, eos_token_id=None)).to(torch.float64 if dtype == np.float64 else torch.float32)
    config, rng = gpt2.Config(V, block, L, H, C, eps=eps), np.random.default_rng(seed)
    flat = params.flatten(gpt2.init(config, rng, dtype))
    for name, array in flat.items():
        array += (0.1 * rng.standard_normal(array.shape)).astype(dtype)
    tensors = dict(theirs.transformer.named_parameters())
    assert sorted(tensors) == sorted(flat), "the dotted names are not those of the published checkpoint"
    with torch.no_grad():
        for name, array in flat.items():
            tensors[name].copy_(torch.tensor(array))
    return theirs, params.unflatten(flat), config


@pytest.mark.parametrize("dtype, relative", [(np.float64, 1e-10), (np.float32, 1e-5)])
@pytest.mark.parametrize("shape", SHAPES)
def test_loss_logits_and_every_gradient(shape, dtype, relative):
    *model_shape, B, T, eps = shape if len(shape) == 8 else (*shape, 1e-5)
    theirs, p, config = pair(*model_shape, eps, dtype, seed=sum(shape[:7]))
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
        close(gradient, dict(theirs.transformer.named_parameters())[name].grad.numpy(), relative, name)
