"""Both directions against transformers: what it saved is read, what nanolm saved is loaded; same logits, same tokens."""
import json

import numpy as np
import pytest

from nanolm import checkpoint, params, text
from nanolm.generation import generate, llama_cache
from nanolm.models import gpt2, llama

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nanolm[peers]'")
transformers = pytest.importorskip("transformers", reason="transformers is not installed: pip install 'nanolm[peers]'")

THEIRS = {
    "gpt2": lambda: transformers.GPT2LMHeadModel(transformers.GPT2Config(
        vocab_size=61, n_positions=20, n_layer=3, n_head=4, n_embd=32, layer_norm_epsilon=1e-6, bos_token_id=0, eos_token_id=0)),
    "llama": lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=61, max_position_embeddings=20, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, hidden_size=32,
        intermediate_size=40, rope_parameters={"rope_type": "default", "rope_theta": 500.0}, tie_word_embeddings=False)),
    "llama tied, wide heads": lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=61, max_position_embeddings=20, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, hidden_size=24,
        head_dim=16, intermediate_size=40, rms_norm_eps=1e-6, tie_word_embeddings=True)),
}
OURS = {"gpt2": (gpt2, gpt2.Config(61, 20, 2, 4, 32, dropout=0.1, eps=1e-4)),
        "llama": (llama, llama.Config(61, 20, 2, 4, 2, 32, 40, base=300.0, tied=False)),
        "llama tied, wide heads": (llama, llama.Config(61, 20, 2, 2, 1, 24, 40, head_dim=16, base=1000.0))}
IDS = np.random.default_rng(0).integers(0, 61, (2, 9))


def shaken(model):
    """Move every parameter, gains and biases too, far enough that the model's answers differ from one another."""
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.add_(0.3 * torch.randn(tensor.shape, generator=torch.Generator().manual_seed(1)))
    return model.eval()


def same_logits(loaded, theirs):
    ours = loaded.model.logits(loaded.p, IDS, loaded.config)
    expected = theirs(torch.tensor(IDS)).logits.detach().float().numpy()
    assert ours.dtype == np.float32 and expected.std() > 0.3
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", THEIRS)
@pytest.mark.parametrize("how", ["one file", "shards", "pickled"])
def test_what_transformers_saved(tmp_path, kind, how):
    theirs = shaken(THEIRS[kind]())
    theirs.save_pretrained(tmp_path, max_shard_size="20KB" if how == "shards" else "1GB")
    assert (tmp_path / "model.safetensors.index.json").exists() == (how == "shards")
    if how == "pickled":
        torch.save(theirs.state_dict(), tmp_path / "pytorch_model.bin")
        (tmp_path / "model.safetensors").unlink()
    same_logits(checkpoint.load(tmp_path), theirs)


@pytest.mark.parametrize("kind", THEIRS)
def test_bfloat16_and_float16_become_float32(tmp_path, kind):
    for dtype in (torch.bfloat16, torch.float16):
        theirs = shaken(THEIRS[kind]()).to(dtype)
        theirs.save_pretrained(tmp_path / str(dtype))
        again = type(theirs).from_pretrained(tmp_path / str(dtype), dtype=torch.float32)     # .float() would keep rounded angles
        same_logits(checkpoint.load(tmp_path / str(dtype)), again)


@pytest.mark.parametrize("kind", OURS)
def test_what_nanolm_saved_writes_the_same_tokens_there(tmp_path, kind):
    model, config = OURS[kind]
    rng = np.random.default_rng(2)
    p = params.unflatten({name: a + rng.normal(0, 0.3, a.shape).astype(np.float32)
                          for name, a in params.flatten(model.init(config, rng)).items()})
    checkpoint.save(tmp_path / "mine", model, p, config)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "mine").eval()
    loaded = checkpoint.load(tmp_path / "mine")
    assert vars(loaded.config) == {**vars(config), **({"dropout": 0.0} if model is gpt2 else {})}
    assert all(np.array_equal(a, b) for a, b in zip(params.flatten(loaded.p).values(), params.flatten(p).values(), strict=True))
    same_logits(loaded, theirs)
    made = theirs.generate(torch.tensor(IDS[:1, :4]), max_new_tokens=12, do_sample=False, pad_token_id=0, eos_token_id=None)[0, 4:].tolist()
    modules = {"model": llama, "cache": llama_cache} if model is llama else {}
    assert list(generate.tokens(p, config, IDS[0, :4], 12, temperature=0, **modules)) == made and len(set(made)) > 2


@pytest.mark.parametrize("special", [[], ["<|endoftext|>"]])
def test_the_tokenizer_goes_along(tmp_path, special):
    tokenizer = text.BPE.train("the cat sat on the mat, the cat's hat; it's 12 o'clock " * 30, 300, special=special)
    config = gpt2.Config(tokenizer.vocab_size, 20, 1, 2, 8)
    checkpoint.save(tmp_path / "mine", gpt2, gpt2.init(config, np.random.default_rng(0)), config, tokenizer)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "mine")
    again = checkpoint.load(tmp_path / "mine").tokenizer
    assert len(theirs) == tokenizer.vocab_size == again.vocab_size
    for sample in ("the cat sat", " it's 12 hats\n\n  and naïve 日本語 🙂", ""):
        ids = tokenizer.encode(sample).tolist()
        assert theirs.encode(sample) == ids == again.encode(sample).tolist() and theirs.decode(ids) == sample


def test_the_saved_config_holds_what_theirs_does(tmp_path):
    model, config = OURS["gpt2"]
    checkpoint.save(tmp_path / "mine", model, model.init(config, np.random.default_rng(0)), config)
    assert json.loads((tmp_path / "mine" / "config.json").read_text())["attn_pdrop"] == 0.1
    assert transformers.AutoConfig.from_pretrained(tmp_path / "mine").layer_norm_epsilon == 1e-4


def test_pickled_tensors_of_odd_kinds_are_read_or_named(tmp_path):
    from nanolm.checkpoint import tensor_files
    path = tmp_path / "pytorch_model.bin"
    torch.save({"a": torch.nn.Parameter(torch.ones(2))}, path)
    assert tensor_files.pickled(path)["a"].tolist() == [1, 1]
    for t in (torch.ones(2).to(torch.float8_e4m3fn), torch.eye(2).to_sparse(), torch.ones(2, device="meta")):
        torch.save({"odd": t}, path)
        with pytest.raises(ValueError, match="the tensor 'odd' of .*pytorch_model.bin is of a kind|was not read"):
            tensor_files.pickled(path)
    torch.save({3: torch.ones(2)}, path)
    with pytest.raises(ValueError, match="does not hold a table of tensors"):
        tensor_files.pickled(path)
