"""What a config.json may say: each setting is computed, does not matter, or is refused by name; absurd numbers allocate nothing."""
import json
import tracemalloc

import numpy as np
import pytest

from nanolm import checkpoint, params
from nanolm.models import bert, bert_sequence, gpt2, llama

CONFIGS = {"gpt2": (gpt2, gpt2.Config(13, 7, 2, 2, 8)), "openai-gpt": (gpt2, gpt2.Config(13, 7, 2, 2, 8, norm="post")),
           "llama": (llama, llama.Config(13, 7, 2, 4, 2, 8, 12)), "bert": (bert_sequence, bert.Config(13, 7, 2, 2, 8, 12, n_class=3))}
LAYERS = {"gpt2": "n_layer", "openai-gpt": "n_layer", "llama": "num_hidden_layers", "bert": "num_hidden_layers"}
LINEAR = {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 4}


def saved(folder, kind, changes=(), without=()):
    model, config = CONFIGS[kind]
    checkpoint.save(folder, model, model.init(config, np.random.default_rng(0)), config)
    published = json.loads((folder / "config.json").read_text()) | dict(changes)
    (folder / "config.json").write_text(json.dumps({name: value for name, value in published.items() if name not in without}))
    return folder


@pytest.mark.parametrize("kind, changes, words", [
    ("gpt2", {"activation_function": "silu"}, "activation_function = 'silu'; nanolm's GPT-2 has gelu, "), ("gpt2", {"activation_function": ["relu"]}, r"= \['relu'\]"),
    ("gpt2", {"scale_attn_weights": False}, "scale_attn_weights = False"), ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "by_inverse_layer_idx = True"),
    ("gpt2", {"add_cross_attention": True}, "add_cross_attention = True"), ("gpt2", {"tie_word_embeddings": False}, "tie_word_embeddings = False"),
    ("gpt2", {"n_inner": 7}, r"has the shape \(8, 32\), but its config asks for \(8, 7\)"), ("gpt2", {"n_inner": 0}, "n_inner = 0"),
    ("gpt2", {"n_inner": "wide"}, "n_inner = 'wide', where a number belongs"), ("gpt2", {"pruned_heads": {"0": [1]}}, "pruned_heads = "),
    ("gpt2", {"num_attention_heads": 4}, "says n_head = 2, but num_attention_heads = 4, and the two mean the same"),
    ("gpt2", {"quantization_config": {"bits": 4}}, "quantization_config = {'bits': 4}"), ("gpt2", {"layer_norm_epsilon": 0}, "eps must be above 0"),
    ("openai-gpt", {"afn": "silu"}, "afn = 'silu'; nanolm's GPT has gelu, relu"), ("openai-gpt", {"afn": "gelu_new"}, "afn = 'gelu_new'"),
    ("openai-gpt", {"tie_word_embeddings": False}, "tie_word_embeddings = False"),
    ("llama", {"hidden_act": "gelu"}, "hidden_act = 'gelu'; nanolm's Llama has 'silu' or 'swish'"), ("llama", {"attention_bias": True}, "attention_bias = True"),
    ("llama", {"mlp_bias": True}, "mlp_bias = True"), ("llama", {"sliding_window": 4096}, "sliding_window = 4096"),
    ("llama", {"partial_rotary_factor": 0.5}, "partial_rotary_factor = 0.5"), ("llama", {"tie_word_embeddings": "yes"}, "tie_word_embeddings = 'yes'"),
    *(("llama", {"rope_scaling": {"type": kind, "factor": 2.0}, "rope_parameters": None}, f"of the type '{kind}'; nanolm has default, linear, llama3")
      for kind in ("dynamic", "yarn", "longrope", "su", "mrope", "proportional")),
    ("llama", {"rope_parameters": {**LINEAR, "partial_rotary_factor": 0.25}}, "partial_rotary_factor = 0.25"),
    ("llama", {"rope_parameters": {"full_attention": LINEAR}}, "where a table of numbers belongs"), ("llama", {"rope_scaling": [1]}, r"says \[1\] of its rotary"),
    ("llama", {"rope_parameters": {"rope_type": "linear"}}, "of the type 'linear', but does not say 'factor'"),
    ("llama", {"rope_parameters": {**LINEAR, "factor": "2"}}, "factor = '2', where a number belongs"),
    ("llama", {"rope_parameters": {**LINEAR, "factor": 0}}, r"config\.json: scaling's factor must be above 0"),
    ("llama", {"rope_parameters": {**LLAMA3, "high_freq_factor": 0.5}}, "low must be below its high, but they are 1.0 and 0.5"),
    ("llama", {"rope_parameters": LINEAR, "rope_scaling": {**LINEAR, "factor": 4.0}}, "factor = 4.0 in rope_scaling and 2.0 in rope_parameters"),
    ("llama", {"rope_parameters": {"rope_theta": -1.0}}, "base must be above 0"), ("llama", {"rope_parameters": {"rope_theta": "1e4"}}, "rope_theta = '1e4'"),
    ("llama", {"num_key_value_heads": 3}, "n_kv_head must divide n_head"), ("llama", {"head_dim": 3}, "even number of channels"),
    ("llama", {"head_dim": 0}, "head_dim = 0"), ("llama", {"num_key_value_heads": 0}, "n_kv_head must be at least 1"), ("llama", {"head_dim": "8"}, "head_dim = '8'"),
    ("bert", {"hidden_act": "silu"}, "hidden_act = 'silu'"), ("bert", {"position_embedding_type": "relative_key_query"}, "relative_key_query"),
    ("bert", {"is_decoder": True}, "is_decoder = True"), ("bert", {"add_cross_attention": True}, "add_cross_attention = True"),
    ("bert", {"tie_word_embeddings": False}, "tie_word_embeddings = False"), ("bert", {"problem_type": "regression"}, "problem_type = 'regression'"),
    ("bert", {"problem_type": "multi_label_classification"}, "problem_type = 'multi_label"), ("bert", {"type_vocab_size": 3}, r"embeddings\.token_type"),
    ("bert", {"architectures": ["BertLMHeadModel"]}, "nanolm has BertModel, "), ("bert", {"architectures": "BertModel"}, "architectures = 'BertModel'"),
    ("bert", {"architectures": [["BertModel"]]}, "architectures = "), ("bert", {"id2label": ["a"]}, r"id2label = \['a'\], where a table"), ("bert", {"intermediate_size": 0}, "intermediate_size = 0")])
def test_what_would_be_computed_otherwise_is_refused(tmp_path, kind, changes, words):
    folder = saved(tmp_path / "mine", kind, changes)
    with pytest.raises(ValueError, match=words) as caught:
        checkpoint.load(folder)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("kind, changes", [
    ("gpt2", {"reorder_and_upcast_attn": True, "use_cache": False, "attn_pdrop": 0.7, "summary_type": "last", "n_inner": 32, "activation_function": "gelu_fast"}),
    ("gpt2", {"num_hidden_layers": 2, "hidden_size": 8, "task_specific_params": {"x": 1}, "auto_map": {"AutoModel": "evil.Evil"}}),
    ("openai-gpt", {"resid_pdrop": 0.7, "summary_activation": "tanh"}),
    ("llama", {"pretraining_tp": 2, "attention_dropout": 0.5, "use_cache": False, "hidden_act": "swish", "sliding_window": None, "partial_rotary_factor": 1}),
    ("llama", {"head_dim": None, "rope_scaling": {"rope_type": "default"}}),
    ("bert", {"chunk_size_feed_forward": 4, "hidden_dropout_prob": 0.5, "classifier_dropout": 0.5, "problem_type": "single_label_classification"})])
def test_what_does_not_matter_does_not(tmp_path, kind, changes):
    plain, changed = checkpoint.load(saved(tmp_path / "a", kind)), checkpoint.load(saved(tmp_path / "b", kind, changes))
    assert plain.config == changed.config
    for name, a in params.flatten(plain.p).items():
        assert np.array_equal(a, params.flatten(changed.p)[name]), name


@pytest.mark.parametrize("kind, without, field, value", [
    ("gpt2", ["layer_norm_epsilon", "activation_function", "n_inner", "tie_word_embeddings"], "eps", 1e-5), ("openai-gpt", ["layer_norm_epsilon", "afn"], "eps", 1e-5),
    ("llama", ["rms_norm_eps"], "eps", 1e-6), ("llama", ["rope_theta", "rope_parameters"], "base", 10000.0), ("bert", ["layer_norm_eps", "type_vocab_size"], "eps", 1e-12)])
def test_what_transformers_leaves_out(tmp_path, kind, without, field, value):
    assert getattr(checkpoint.load(saved(tmp_path / "mine", kind, without=without)).config, field) == value


def test_other_names_of_the_same(tmp_path):
    folder = saved(tmp_path / "mine", "gpt2", {"hidden_size": 8, "num_hidden_layers": 2}, without=["n_embd", "n_layer"])
    assert checkpoint.load(folder).config == CONFIGS["gpt2"][1]


@pytest.mark.parametrize("changes, scaling", [
    ({"rope_parameters": LINEAR}, ("linear", 2.0)), ({"rope_parameters": None, "rope_scaling": {"type": "linear", "factor": 2.0}}, ("linear", 2.0)),
    ({"rope_parameters": LLAMA3}, ("llama3", 8.0, 1.0, 4.0, 4)), ({"rope_parameters": LLAMA3, "original_max_position_embeddings": 5}, ("llama3", 8.0, 1.0, 4.0, 5)),
    ({"rope_parameters": {k: v for k, v in LLAMA3.items() if k[0] != "o"}}, ("llama3", 8.0, 1.0, 4.0, 7)), ({"rope_parameters": {}, "rope_scaling": None}, None)])
def test_scaled_rotary_positions(tmp_path, changes, scaling):
    loaded = checkpoint.load(saved(tmp_path / "mine", "llama", changes))
    assert loaded.config.scaling == scaling
    checkpoint.save(tmp_path / "again", llama, loaded.p, loaded.config)
    assert checkpoint.load(tmp_path / "again").config == loaded.config


@pytest.mark.parametrize("kind", CONFIGS)
def test_absurd_numbers_allocate_nothing(tmp_path, kind):
    """A config can say 10**9 blocks in a few bytes; making a list of them would take all memory."""
    theirs = json.loads((saved(tmp_path / "mine", kind) / "config.json").read_text())
    for name, value in theirs.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or "drop" in name or name == "n_ctx":
            continue
        for absurd in (10**9, 10**18, 10**400, -1, 1.5, float("nan"), float("inf"), True, "9", [9], {}):
            if "eps" in name and absurd in (1.5, 10**9, 10**18) or "theta" in name:
                continue                                # large, but a number like another; rope_theta is in rope_parameters
            (tmp_path / "mine" / "config.json").write_text(json.dumps({**theirs, name: absurd}))
            if name == "max_position_embeddings" and kind == "llama" and absurd in (10**9, 10**18):
                checkpoint.load(tmp_path / "mine")      # no tensor has this size
                continue
            tracemalloc.start()
            with pytest.raises(ValueError, match="config.json|model.safetensors"):
                checkpoint.load(tmp_path / "mine")
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 2_000_000, (name, absurd)
