"""BERT's published tensors, for load and save: which head a folder holds, its config, and what is left over.

The names themselves, and the turning, are models/bert_names.py. The head is told by config.json's "architectures":

    BertModel                          the encoder alone           BertForMaskedLM, BertForPreTraining    bert_pretraining
    BertForSequenceClassification      bert_sequence               BertForTokenClassification             bert_token
    BertForQuestionAnswering           bert_span

A BertForMaskedLM has no pooler, and so no sentence to say whether it follows another; some BertModels have none either.

Tested    tests/test_checkpoint_bert.py, tests/peers/test_carried_berts.py.
"""
import re

import numpy as np

from nanolm import params
from nanolm.checkpoint import fitting
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
NO_PARAMETER = re.compile(r"(bert\.)?embeddings\.position_ids|cls\.predictions\.decoder\.(weight|bias)")


def model_of(published, source):
    """Return the module that computes what a config.json (a dict) describes."""
    return ARCHITECTURES[architecture(published, source)][0]


def architecture(published, source):
    named = published.get("architectures") or ["BertModel"]
    if not isinstance(named, list) or len(named) != 1 or named[0] not in ARCHITECTURES:
        raise ValueError(f"{source} says architectures = {named!r}; of BERT's nanolm has {', '.join(ARCHITECTURES)}.")
    return named[0]


def config_from(published, source, flat):
    """Return the Config that a config.json and the tensors beside it describe. Raises ValueError for what we do not have."""
    for name, wanted in (("hidden_act", "gelu"), ("position_embedding_type", "absolute"), ("is_decoder", False)):
        if published.get(name, wanted) != wanted:
            raise ValueError(f"{source} says {name} = {published[name]!r}; nanolm's BERT has {wanted!r} only.")
    if not published.get("tie_word_embeddings", True):
        raise ValueError(f"{source} says tie_word_embeddings = False; nanolm's BERT has one table for words in and words out.")
    labels = published.get("id2label") or {}
    return bert.Config(**fitting.fields(published, CONFIG, source), n_class=len(labels) or 2,
                       pooler=any(name.endswith("pooler.dense.weight") for name in flat))


def config_to(config, model):
    """Return config as the dict that transformers keeps in config.json."""
    fitting_names = [name for name, (module, _) in ARCHITECTURES.items() if module is model]
    name = fitting_names[-1] if config.pooler else fitting_names[0]         # BertForMaskedLM has none
    return {"model_type": "bert", "architectures": [name], "hidden_act": "gelu", "tie_word_embeddings": True,
            **{theirs: getattr(config, ours) for theirs, ours in CONFIG.items()}, "intermediate_size": config.width,
            "hidden_dropout_prob": config.dropout, "attention_probs_dropout_prob": config.dropout,
            "id2label": {str(i): f"LABEL_{i}" for i in range(config.n_class)},
            "label2id": {f"LABEL_{i}": i for i in range(config.n_class)}}


def from_published(flat, config, source, model):
    """Return p from transformers' tensors, a flat dict. Raises ValueError that names the file and the tensor."""
    head = next(head for module, head in ARCHITECTURES.values() if module is model)
    try:
        p = bert_names.from_published(flat, config, head)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    known = bert_names.usual_names(bert_names.to_published(p))
    extra = sorted(name for name in bert_names.usual_names({n: a for n, a in flat.items() if not NO_PARAMETER.fullmatch(n)})
                   if name not in known)
    if extra:
        more = f", and {len(extra) - 1} more" if len(extra) > 1 else ""
        raise ValueError(f"{source} has a tensor {extra[0]!r} that {model.__name__} does not have{more}. Its config.json may "
                         f"belong to another model.")
    for name, a in params.flatten(p).items():
        if a.dtype not in fitting.FLOATS:
            raise ValueError(f"the tensor {name!r} of {source} holds {a.dtype}; nanolm reads float16, bfloat16, "
                             f"float32 and float64.")
    return params.unflatten({name: np.ascontiguousarray(a, np.float32) for name, a in params.flatten(p).items()})


def to_published(p):
    """Return the tensors of p as transformers wants them, a flat dict."""
    return bert_names.to_published(p)
