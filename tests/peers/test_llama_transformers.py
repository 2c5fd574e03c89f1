"""Llama of drawn shapes against transformers' LlamaForCausalLM: logits, loss and every gradient, float64 and float32."""
import numpy as np
import pytest

from nearness import close

from nanolm import params
from nanolm.generation import generate, llama_cache
from nanolm.models import llama

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nanolm[peers]'")
transformers = pytest.importorskip("transformers", reason="transformers is not installed: pip install 'nanolm[peers]'")

import llama_exactly  # noqa: E402

# V, block, L, H, G, C, F, D (0: C / H), base, eps, tied; then B, T
SHAPES = [(11, 9, 2, 4, 2, 16, 20, 0, 10000.0, 1e-5, True, 2, 7), (101, 16, 3, 6, 2, 36, 50, 0, 100000.0, 1e-6, False, 3, 16),
          (7, 5, 1, 2, 1, 6, 9, 8, 500.0, 1e-5, True, 2, 5), (50, 40, 2, 3, 3, 24, 64, 0, 10000.0, 1e-2, False, 1, 40),
          (29, 70, 4, 8, 1, 64, 96, 0, 10000.0, 1e-5, True, 2, 70), (65, 32, 6, 4, 4, 64, 172, 0, 10000.0, 1e-5, False, 4, 32),
          (13, 4, 2, 2, 2, 8, 8, 0, 10000.0, 1e-5, True, 5, 1)]


def pair(V, block, L, H, G, C, F, D, base, eps, tied, dtype, seed, scale=0.1):
    """Return (their model, our parameters, our config) with the same random weights, gains random too."""
    theirs = transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=V, max_position_embeddings=block, num_hidden_layers=L, num_attention_heads=H, num_key_value_heads=G,
        hidden_size=C, intermediate_size=F, head_dim=D or C // H, rope_parameters={"rope_type": "default", "rope_theta": base},
        rms_norm_eps=eps, tie_word_embeddings=tied, attention_dropout=0, bos_token_id=None, eos_token_id=None, pad_token_id=None,
    )).to(torch.float64 if dtype == np.float64 else torch.float32)
    theirs = llama_exactly.made_exact(theirs, base, D or C // H)
    config, rng = llama.Config(V, block, L, H, G, C, F, D, base, eps, tied), np.random.default_rng(seed)
    flat = params.flatten(llama.init(config, rng, dtype))
    for array in flat.values():
        array += (scale * rng.standard_normal(array.shape)).astype(dtype)
    with torch.no_grad():
        for name, array in flat.items():
            theirs_of(theirs, name).copy_(torch.tensor(ours_turned(name, array)))
    return theirs, params.unflatten(flat), config


def theirs_of(model, name):
    return dict(model.named_parameters())[name if name.startswith("lm_head") else "model." + name]


def ours_turned(name, array):
    """A matrix of a linear layer is (out, in) there; the table of tokens is (V, C) in both."""
    return array.T if array.ndim == 2 and not name.startswith("embed_tokens") else array


@pytest.mark.parametrize("dtype, relative", [(np.float64, 1e-10), (np.float32, 1e-5)])
@pytest.mark.parametrize("shape", SHAPES)
def test_loss_logits_and_every_gradient(shape, dtype, relative):
    *model_shape, B, T = shape
    theirs, p, config = pair(*model_shape, dtype, seed=T)
    rng = np.random.default_rng(T)
    ids, targets = rng.integers(0, config.vocab_size, (B, T)), rng.integers(0, config.vocab_size, (B, T))
    targets[0, T // 2:] = -100 if T > 1 else targets[0, T // 2:]
    z = theirs(torch.tensor(ids)).logits
    their_loss = torch.nn.functional.cross_entropy(z.reshape(-1, config.vocab_size), torch.tensor(targets).reshape(-1))
    their_loss.backward()
    loss, cache = llama.forward(p, ids, targets, config)
    assert loss.dtype == dtype and abs(loss - their_loss.item()) <= relative * abs(their_loss.item())
    close(llama.logits(p, ids, config), z.detach().numpy(), relative, "logits")
    for name, gradient in params.flatten(llama.backward(cache)).items():
        assert gradient.dtype == dtype
        close(gradient, ours_turned(name, theirs_of(theirs, name).grad.numpy()), relative, name)


def test_greedy_tokens_are_the_same():
    theirs, p, config = pair(*SHAPES[1][:-2], np.float64, seed=3, scale=0.7)
    prompt = np.array([5, 90, 17, 4])
    made = theirs.generate(torch.tensor(prompt[None]), max_new_tokens=12, do_sample=False, pad_token_id=0)[0, 4:].tolist()
    ours = list(generate.tokens(p, config, prompt, 12, temperature=0, model=llama, cache=llama_cache))
    assert ours == made and len(set(made)) > 2
