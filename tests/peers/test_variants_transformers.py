"""Unusual configurations, both directions: transformers writes, nanolm reads, same logits; nanolm writes, same greedy tokens."""
import json

import numpy as np
import pytest

from nanolm import checkpoint, params
from nanolm.generation import generate, kv_cache, llama_cache
from nanolm.models import bert, bert_names, bert_pretraining, bert_sequence, bert_span, bert_token, gpt2, llama

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nanolm[peers]'")
transformers = pytest.importorskip("transformers", reason="transformers is not installed: pip install 'nanolm[peers]'")

V, BLOCK = 61, 40
IDS = np.random.default_rng(0).integers(0, V, (2, BLOCK))
LLAMA3 = {"rope_type": "llama3", "rope_theta": 100.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 16}
LINEAR = {"rope_type": "linear", "rope_theta": 500.0, "factor": 4.0}
SHAPES = {
    "gpt2": dict(vocab_size=V, n_positions=BLOCK, n_layer=2, n_head=4, n_embd=32, bos_token_id=None, eos_token_id=None),
    "openai-gpt": dict(vocab_size=V, n_positions=BLOCK, n_layer=2, n_head=4, n_embd=32),
    "llama": dict(vocab_size=V, max_position_embeddings=BLOCK, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                  hidden_size=32, intermediate_size=40, bos_token_id=None, eos_token_id=None),
    "bert": dict(vocab_size=V, max_position_embeddings=BLOCK, num_hidden_layers=2, num_attention_heads=4, hidden_size=32,
                 intermediate_size=40)}
CLASSES = {"gpt2": "GPT2LMHeadModel", "openai-gpt": "OpenAIGPTLMHeadModel", "llama": "LlamaForCausalLM", "bert": "BertForMaskedLM"}
READ = [
    *(("gpt2", {"activation_function": name}) for name in ("gelu", "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_python", "relu")),
    ("gpt2", {"n_inner": 50}), ("gpt2", {"n_inner": 128}), ("gpt2", {"reorder_and_upcast_attn": True, "attn_implementation": "eager"}),
    ("gpt2", {"layer_norm_epsilon": 0.1, "use_cache": False, "n_head": 1, "resid_pdrop": 0.5}), ("gpt2", {"n_layer": 1, "n_head": 32}),
    ("openai-gpt", {}), ("openai-gpt", {"afn": "relu", "n_head": 2}), ("openai-gpt", {"layer_norm_epsilon": 0.1}),
    ("llama", {"rope_parameters": LLAMA3}), ("llama", {"rope_parameters": {**LLAMA3, "factor": 32.0, "high_freq_factor": 2.0}, "head_dim": 16}),
    ("llama", {"rope_parameters": {name: x for name, x in LLAMA3.items() if not name.startswith("original")}}),
    ("llama", {"rope_parameters": LINEAR}), ("llama", {"rope_parameters": {"rope_type": "default", "rope_theta": 3.0}}), ("llama", {}),
    ("llama", {"num_key_value_heads": None}), ("llama", {"num_key_value_heads": 1, "tie_word_embeddings": True}), ("llama", {"head_dim": 6}),
    ("llama", {"hidden_act": "swish", "rms_norm_eps": 0.1, "pretraining_tp": 2, "attention_dropout": 0.3}),
    *(("bert", {"hidden_act": name}) for name in ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu")),
    ("bert", {"type_vocab_size": 5, "chunk_size_feed_forward": 8, "layer_norm_eps": 0.1, "classifier_dropout": 0.5}),
    ("bert", {"type_vocab_size": 1, "intermediate_size": 128, "num_attention_heads": 1})]


def name_of(case):
    return f"{case[0]} {' '.join(case[1]) or 'plain'}"


def theirs_of(kind, changes, name=None):
    """A model of transformers with random weights, gains and biases too, far enough that its answers differ."""
    changes = dict(changes)
    how = {name: changes.pop(name) for name in ("attn_implementation",) if name in changes}
    name = name or CLASSES[kind]
    config = transformers.AutoConfig.for_model(kind, **{**SHAPES[kind], **changes})
    torch.manual_seed(0)
    model = getattr(transformers, name)._from_config(config, **how)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.add_(0.3 * torch.randn(tensor.shape))
    return model.eval()


def our_logits(loaded, ids):
    z = loaded.model.logits(loaded.p, ids, loaded.config)
    return z[0] if loaded.model is bert_pretraining else z


@pytest.mark.parametrize("case", READ, ids=name_of)
def test_what_transformers_wrote(tmp_path, case):
    theirs = theirs_of(*case)
    theirs.save_pretrained(tmp_path)
    expected = theirs(torch.tensor(IDS)).logits.detach().numpy()
    ours = our_logits(checkpoint.load(tmp_path), IDS)
    assert ours.dtype == np.float32 and expected.std() > 0.3
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("table", [LLAMA3, LINEAR])
@pytest.mark.parametrize("how", ["rope_scaling", "type", "top", "both"])
def test_older_ways_to_say_the_scaling(tmp_path, table, how):
    """transformers 4 wrote rope_scaling, with rope_theta beside it, and earlier "type" for rope_type."""
    theirs = theirs_of("llama", {"rope_parameters": table})
    theirs.save_pretrained(tmp_path)
    published = json.loads((tmp_path / "config.json").read_text())
    scaling = {name: x for name, x in table.items() if name != "rope_theta"}
    if how == "type":
        scaling["type"] = scaling.pop("rope_type")
    if how == "top" and table is LLAMA3:
        published["original_max_position_embeddings"] = scaling.pop("original_max_position_embeddings")
    published |= {"rope_scaling": scaling, "rope_theta": table["rope_theta"]}
    if how != "both":
        del published["rope_parameters"]
    (tmp_path / "config.json").write_text(json.dumps(published))
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    expected = again(torch.tensor(IDS)).logits.detach().numpy()
    np.testing.assert_array_equal(expected, theirs(torch.tensor(IDS)).logits.detach().numpy())
    np.testing.assert_allclose(our_logits(checkpoint.load(tmp_path), IDS), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("head, classes", [("BertForSequenceClassification", 1), ("BertForSequenceClassification", 4),
                                           ("BertForTokenClassification", 3), ("BertForQuestionAnswering", 2), ("BertModel", 2)])
@pytest.mark.parametrize("act", ["gelu_new", "relu"])
def test_berts_heads(tmp_path, head, classes, act):
    theirs = theirs_of("bert", {"hidden_act": act, "num_labels": classes}, head)
    theirs.save_pretrained(tmp_path)
    loaded, out = checkpoint.load(tmp_path), theirs(torch.tensor(IDS))
    if head == "BertModel":
        ours, expected = loaded.model.forward(loaded.p["bert"], IDS, loaded.config)[0], out.last_hidden_state
    elif head == "BertForQuestionAnswering":
        ours, expected = np.array(loaded.model.logits(loaded.p, IDS, loaded.config)), torch.stack([out.start_logits, out.end_logits])
    else:
        ours, expected = loaded.model.logits(loaded.p, IDS, loaded.config), out.logits
    assert expected.std() > 0.1
    np.testing.assert_allclose(ours, expected.detach().numpy(), rtol=0, atol=1e-4)


def drawn(shapes, seed=0):
    """Parameters far from their initial values, so that greedy tokens change."""
    rng = np.random.default_rng(seed)
    return params.unflatten({name: (0.4 * rng.standard_normal(shape) + (len(shape) == 1 and name.endswith("weight"))).astype(np.float32)
                             for name, shape in params.flatten(shapes).items()})


WRITE = [
    *((gpt2, kv_cache, gpt2.Config(V, BLOCK, 2, 4, 32, form=form, n_hidden=n)) for form, n in (("erf", 0), ("relu", 50), ("tanh", 20))),
    *((gpt2, kv_cache, gpt2.Config(V, BLOCK, 2, 2, 32, norm="post", form=form, eps=1e-3)) for form in ("tanh", "relu")),
    *((llama, llama_cache, llama.Config(V, BLOCK, 2, 4, 2, 32, 40, base=100.0, tied=False, scaling=scaling))
      for scaling in (None, ("linear", 4.0), ("llama3", 8.0, 1.0, 4.0, 16))),
    (llama, llama_cache, llama.Config(V, BLOCK, 1, 4, 4, 32, 40, head_dim=12, base=50.0, eps=1e-3, scaling=("llama3", 4.0, 0.5, 2.0, 8)))]


@pytest.mark.parametrize("model, cache, config", WRITE)
def test_what_nanolm_wrote_writes_the_same_tokens_there(tmp_path, model, cache, config):
    p = drawn(model.shapes(config))
    checkpoint.save(tmp_path / "mine", model, p, config)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "mine")
    several = 0
    for seed in range(3):                               # no end token is set: token 2 must not stop transformers
        ids = np.random.default_rng(seed).integers(0, V, 4)
        made = theirs.generate(torch.tensor(ids[None]), max_new_tokens=BLOCK - 4, do_sample=False)[0, 4:].tolist()
        ours = list(generate.tokens(p, config, ids, BLOCK - 4, temperature=0, model=model, cache=cache))
        assert ours == made and len(made) == BLOCK - 4
        several += len(set(made))
    assert several >= 6, "one token again and again would prove little"
    assert checkpoint.load(tmp_path / "mine").config == config


@pytest.mark.parametrize("model, head", [(bert, "encoder"), (bert_pretraining, "pretraining"), (bert_sequence, "sequence"), (bert_token, "token"),
                                         (bert_span, "span")])
@pytest.mark.parametrize("form", ["erf", "tanh", "relu"])
def test_berts_that_nanolm_wrote(tmp_path, model, head, form):
    config = bert.Config(V, BLOCK, 2, 4, 32, 40, n_segment=3, n_class=2 if model in (bert, bert_span) else 3, pooler=head in ("encoder", "pretraining", "sequence"), form=form)
    p = drawn(bert_names.shapes(config, head))
    checkpoint.save(tmp_path / "mine", model, p, config)
    published = json.loads((tmp_path / "mine" / "config.json").read_text())
    theirs = getattr(transformers, published["architectures"][0]).from_pretrained(tmp_path / "mine").eval()
    out = theirs(torch.tensor(IDS))
    expected = [a.detach().numpy() for a in out.values()][:2]
    ours = bert.forward(p["bert"], IDS, config)[0] if model is bert else model.logits(p, IDS, config)
    ours = list(ours) if isinstance(ours, tuple) else [ours]
    assert len(ours) == len(expected) - (model is bert)                     # the pooler is computed by bert_sequence alone here
    for a, b in zip(ours, expected):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-4)
        assert b.std() > 0.2
    assert checkpoint.load(tmp_path / "mine").config == config
