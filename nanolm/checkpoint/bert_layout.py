"""BERT's published tensors, for load and save: which head a folder holds, its config, and what is left over.

The names themselves, and the turning, are models/bert_names.py. The head is told by config.json's "architectures":

    BertModel                          the encoder alone           BertForMaskedLM, BertForPreTraining    bert_pretraining
    BertForSequenceClassification      bert_sequence               BertForTokenClassification             bert_token
    BertForQuestionAnswering           bert_span

A BertForMaskedLM has no pooler, and so no sentence to say whether it follows another; some BertModels have none either.

Settings that do not change what is computed are not looked at: dropout, classifier_dropout, use_cache, the token ids, how
weights were initialised, and chunk_size_feed_forward, which says in how many parts the same MLP runs.

Tested    tests/test_checkpoint_bert.py, tests/test_checkpoint_settings.py, tests/peers/test_carried_berts.py,
          tests/peers/test_variants_transformers.py.
"""
import re

import numpy as np

from nanolm import params
from nanolm.checkpoint import fitting, gpt2_names
from nanolm.models import bert, bert_names, bert_pretraining, bert_sequence, bert_span, bert_token

ARCHITECTURES = {"BertModel": (bert, "encoder"), "BertForMaskedLM": (bert_pretraining, "pretraining"),
                 "BertForPreTraining": (bert_pretraining, "pretraining"),
                 "BertForSequenceClassification": (bert_sequence, "sequence"),
                 "BertForTokenClassification": (bert_token, "token"),
                 "BertForQuestionAnswering": (bert_span, "span")}
MODELS = (bert, bert_pretraining, bert_sequence, bert_token, bert_span)
CONFIG = {"vocab_size": "vocab_size", "max_position_embeddings": "block_size", "num_hidden_layers": "n_layer",
          "num_attention_heads": "n_head", "hidden_size": "n_embd", "intermediate_size": "n_hidden",
          "type_vocab_size": "n_segment", "layer_norm_eps": "eps"}
ONLY = {"position_embedding_type": ("absolute",), "is_decoder": (False,), "tie_word_embeddings": (True,),
        "problem_type": (None, "single_label_classification")}
NO_PARAMETER = re.compile(r"(bert\.)?embeddings\.position_ids|cls\.predictions\.decoder\.(weight|bias)")


def writes(model, config):
    """Return whether this is the layout in which a model of this config is published."""
    return model in MODELS


def shapes(model, config):
    """Return the shape of every parameter of such a model, a nested dict."""
    return bert_names.shapes(config, next(head for module, head in ARCHITECTURES.values() if module is model))


def model_of(published, source):
    """Return the module that computes what a config.json (a dict) describes."""
    return ARCHITECTURES[architecture(published, source)][0]


def architecture(published, source):
    named = published.get("architectures") or ["BertModel"]
    if not isinstance(named, list) or len(named) != 1 or not isinstance(named[0], str) or named[0] not in ARCHITECTURES:
        raise ValueError(f"{source} says architectures = {fitting.shown(named)}; of BERT's nanolm has "
                         f"{', '.join(ARCHITECTURES)}.")
    return named[0]


def config_from(published, source, flat):
    """Return the Config that a config.json and the tensors beside it describe. Raises ValueError for what we do not have."""
    fitting.only(published, ONLY, source, "BERT")
    form = fitting.activation(published, "hidden_act", "gelu", source, "BERT")
    c = fitting.fields(published, CONFIG, source, {"layer_norm_eps": 1e-12, "type_vocab_size": 2})
    if c["n_hidden"] == 0:                              # to Config 0 means the usual width
        raise ValueError(f"{source} says intermediate_size = 0, an MLP without hidden channels.")
    labels = published.get("id2label")
    if labels is not None and not isinstance(labels, dict):
        raise ValueError(f"{source} says id2label = {fitting.shown(labels)}, where a table from numbers to names belongs.")
    n_class = len(labels) if labels else fitting.number(published.get("num_labels", 2), "num_labels", source)
    return bert.Config(**c, n_class=n_class, pooler=any(name.endswith("pooler.dense.weight") for name in flat), form=form)


def config_to(config, model):
    """Return config as the dict that transformers keeps in config.json."""
    fitting_names = [name for name, (module, _) in ARCHITECTURES.items() if module is model]
    name = fitting_names[-1] if config.pooler else fitting_names[0]         # BertForMaskedLM has none
    labels = range(2 if model is bert_span else config.n_class)             # a span's begin and end are "labels" there
    return {"model_type": "bert", "architectures": [name], "hidden_act": gpt2_names.WRITTEN[config.form],
            "tie_word_embeddings": True,
            **{theirs: getattr(config, ours) for theirs, ours in CONFIG.items()}, "intermediate_size": config.width,
            "hidden_dropout_prob": config.dropout, "attention_probs_dropout_prob": config.dropout,
            "id2label": {str(i): f"LABEL_{i}" for i in labels}, "label2id": {f"LABEL_{i}": i for i in labels}}


def from_published(flat, config, source, model):
    """Return p from transformers' tensors, a flat dict. Raises ValueError that names the file and the tensor."""
    fitting.blocks(config, flat, source)
    head = next(head for module, head in ARCHITECTURES.values() if module is model)
    found = bert_names.usual_names(flat)
    if len(found) < len(flat):
        raise ValueError(f"{source} has a tensor twice, under two names of one meaning.")
    if head == "pretraining":                           # some files hold only the second name of what is tied
        for once, again in bert_names.TIED:
            found = found if once in found or again not in found else {**found, once: found[again]}
    try:
        p = bert_names.from_published(found, config, head)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    known = bert_names.usual_names(bert_names.to_published(p))
    extra = sorted(name for name in found if name not in known and not NO_PARAMETER.fullmatch(name))
    if extra:
        more = f", and {len(extra) - 1} more" if len(extra) > 1 else ""
        raise ValueError(f"{source} has a tensor {extra[0]!r} that {model.__name__} does not have{more}. Its config.json may "
                         f"belong to another model.")
    for name, a in params.flatten(p).items():
        fitting.check_floats(a, name, source)
    return params.unflatten({name: np.ascontiguousarray(a, np.float32) for name, a in params.flatten(p).items()})


def to_published(p):
    """Return the tensors of p as transformers wants them, a flat dict."""
    return bert_names.to_published(p)
