"""The same weights in transformers' GPT2LMHeadModel: greedy, penalised and beam-searched tokens are the same."""
import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from nanolm import kernels, params
from nanolm.generation import beam, generate, sampling
from nanolm.models import gpt2


@pytest.fixture(scope="module", params=[0, 1, 2])
def both(request):
    config = gpt2.Config(vocab_size=50, block_size=40, n_layer=3, n_head=4, n_embd=32)
    rng = np.random.default_rng(request.param)
    flat = {name: rng.normal(0, 0.3, a.shape) for name, a in params.flatten(gpt2.init(config, rng, np.float64)).items()}
    for name in ("wte.weight", "wpe.weight", "ln_f.weight"):            # large enough for the tokens to vary: with all
        flat[name] *= 4                                                 # parameters alike, one token came 35 times
    theirs = transformers.GPT2LMHeadModel(transformers.GPT2Config(
        vocab_size=50, n_positions=40, n_layer=3, n_head=4, n_embd=32, layer_norm_epsilon=config.eps,
        bos_token_id=None, eos_token_id=None, pad_token_id=0)).double().eval()
    missing = theirs.transformer.load_state_dict({name: torch.from_numpy(a) for name, a in flat.items()}, strict=False)
    assert not missing.unexpected_keys                                  # what is missing are no weights, but old masks
    assert all(name.endswith(("attn.bias", "masked_bias")) for name in missing.missing_keys)
    return params.unflatten(flat), config, theirs


@pytest.fixture(params=["numpy", "numba"])
def backend(request):
    if request.param == "numba" and not kernels.available():
        pytest.skip("Numba or SciPy is missing")
    with kernels.using(request.param):
        yield


PROMPT = [7, 3, 41, 0, 7]


def their_tokens(theirs, n, **settings):
    ids = torch.tensor([PROMPT])
    out = theirs.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=n, min_new_tokens=n, do_sample=False,
                          **settings)
    return out[0, len(PROMPT):].tolist()


def test_greedy_token_for_token(both, backend):
    p, config, theirs = both
    ours = list(generate.tokens(p, config, PROMPT, 35, temperature=0))
    assert ours == their_tokens(theirs, 35)
    assert len(set(ours)) > 5                                           # not one token again and again


def test_greedy_with_a_repetition_penalty(both, backend):
    p, config, theirs = both
    ours = list(generate.tokens(p, config, PROMPT, 35, temperature=0, repetition_penalty=1.4))
    assert ours == their_tokens(theirs, 35, repetition_penalty=1.4)
    assert ours != their_tokens(theirs, 35)


def test_beam_search(both, backend):
    p, config, theirs = both
    ours = beam.search(p, config, PROMPT, 20, beam_width=5)[0]
    assert list(ours.ids) == their_tokens(theirs, 20, num_beams=5)


@pytest.mark.parametrize("t, k, p", [(0.7, 5, 1.0), (1.3, None, 0.6), (2.0, 20, 0.8)])
def test_temperature_top_k_and_top_p_leave_the_same_shares(t, k, p):
    z = np.random.default_rng(0).normal(0, 2, (6, 50))
    steps = [transformers.TemperatureLogitsWarper(t)]
    if k is not None:
        steps.append(transformers.TopKLogitsWarper(k))
    steps.append(transformers.TopPLogitsWarper(p))
    theirs = torch.from_numpy(z)
    for step in steps:
        theirs = step(None, theirs)
    ours = sampling.distribution(z, (), t, k, p)
    np.testing.assert_allclose(ours, torch.softmax(theirs, -1).numpy(), rtol=1e-10, atol=0)
    assert (ours == 0).any()
