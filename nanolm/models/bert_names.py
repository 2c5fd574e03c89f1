"""BERT's parameters under their published names, and back: two pure functions, which read and write checkpoints need.

    flat = {"bert.encoder.layer.0.attention.self.query.weight": array, ...}      <->      p = {"bert": {...}, ...}

    here                                  published                             in
    bert, see bert.py                     bert.embeddings..., bert.encoder...   every model
    pooler                                bert.pooler.dense                     encoder, pretraining, sequence
    transform, ln                         cls.predictions.transform.dense, .LayerNorm        pretraining
    head.bias, next                       cls.predictions.bias, cls.seq_relationship         pretraining
    classifier                            classifier                            sequence, token
    span                                  qa_outputs                            span

Three differences of form: a linear layer's weight is (out, in) there and (in, out) here; q, k and v are three tensors
there and one here, side by side; and the encoder saved alone has no "bert." before its names. Old files say gamma and
beta for a layer norm's weight and bias. cls.predictions.decoder is the table of tokens a second time, tied to it.

Source    the names in google-bert/bert-base-uncased on the Hugging Face hub, and in the package transformers.
Tested    tests/test_bert.py, tests/peers/test_bert_transformers.py.
"""
import numpy as np

from nanolm.models import bert, bert_pretraining, bert_sequence, bert_span, bert_token
from nanolm.params import flatten, unflatten

HEADS = {"pretraining": bert_pretraining, "sequence": bert_sequence, "token": bert_token, "span": bert_span}

TABLES = {"bert.wte": "bert.embeddings.word_embeddings", "bert.wse": "bert.embeddings.token_type_embeddings",
          "bert.wpe": "bert.embeddings.position_embeddings"}
OTHERS = {"bert.ln_e": "bert.embeddings.LayerNorm", "pooler": "bert.pooler.dense",
          "transform": "cls.predictions.transform.dense", "ln": "cls.predictions.transform.LayerNorm",
          "head": "cls.predictions", "next": "cls.seq_relationship", "classifier": "classifier", "span": "qa_outputs"}
TIED = (("bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"),
        ("cls.predictions.bias", "cls.predictions.decoder.bias"))
IN_BLOCK = {"attn.c_proj": "attention.output.dense", "ln_1": "attention.output.LayerNorm", "mlp.c_fc": "intermediate.dense",
            "mlp.c_proj": "output.dense", "ln_2": "output.LayerNorm"}


def from_published(flat, config, head="encoder"):
    """Return p of a model, from a dict of arrays under their published names. Each array is new, in the same dtype.

    head: "encoder" gives {"bert": ...} and, if config.pooler, "pooler"; "pretraining", "sequence", "token" and "span" give
    what the head of that name takes. Tensors that it does not take are left alone. For a head that the file lacks, take a
    fresh one and put the trained encoder in it; bert_sequence wants the trained "pooler" too:

        p = {**bert_token.init(config, rng), "bert": from_published(flat, config)["bert"]}

    Raises ValueError for another head, a tensor that is missing or has another shape than config asks for, or an output
    matrix that is not the table of tokens.
    """
    wanted, found = flatten(shapes(config, head)), usual_names(flat)
    if head == "pretraining":
        check_tied(found)
    p = {}
    for name, shape in wanted.items():
        missing = [one for one in published(name) if one not in found]
        if missing:
            raise ValueError(f"the checkpoint has no tensor {missing[0]!r}, which {name!r} of the head {head!r} is made of. "
                             f"Has it a pooler (config.pooler), and was it saved with this head?")
        parts = [turned(name, found[one]) for one in published(name)]
        p[name] = np.ascontiguousarray(np.concatenate(parts, axis=-1))      # what is turned is not contiguous
        if p[name].shape != shape:
            raise ValueError(f"{published(name)[0]!r} makes {name!r} of the shape {p[name].shape}, but config asks for {shape}.")
    return unflatten(p)


def to_published(p):
    """Return {published name: array} of a model's p, each array new and contiguous. Without a head: names without "bert."."""
    flat = {}
    for name, array in flatten(p).items():
        names = published(name)
        for one, part in zip(names, np.split(array, len(names), axis=-1)):
            flat[one] = turned(name, part).copy(order="C")
    alone = set(p) <= {"bert", "pooler"}
    return {one.removeprefix("bert.") if alone else one: array for one, array in flat.items()}


def published(name):
    """Return the published names of the tensors that make up p's tensor `name`: three for c_attn, else one."""
    path, _, kind = name.rpartition(".")                                    # "bert.h.0.ln_1", "weight"
    if not path.startswith("bert.h."):
        return [f"{(TABLES | OTHERS)[path]}.{kind}"]
    _, _, i, inside = path.split(".", 3)
    if inside == "attn.c_attn":
        return [f"bert.encoder.layer.{i}.attention.self.{one}.{kind}" for one in ("query", "key", "value")]
    return [f"bert.encoder.layer.{i}.{IN_BLOCK[inside]}.{kind}"]


def turned(name, array):
    """Return a linear layer's weight turned, (in, out) to (out, in) or back; tables, gains and biases as they are."""
    return array.T if array.ndim == 2 and name.removesuffix(".weight") not in TABLES else array


def shapes(config, head):
    """Return the shapes of the model with that head, or of the encoder. Raises ValueError if there is no such head."""
    if head == "encoder":
        alone = {"bert": bert.shapes(config)}
        return {**alone, "pooler": bert.dense(config.n_embd, config.n_embd)} if config.pooler else alone
    if head not in HEADS:
        raise ValueError(f"head must be one of encoder, {', '.join(HEADS)}, but it is {head!r}.")
    return HEADS[head].shapes(config)


def usual_names(flat):
    """Return flat with "bert." before the encoder's names where it is missing, and without gamma and beta."""
    alone = not any(name.startswith("bert.") for name in flat)

    def usual(name):
        name = "bert." + name if alone and name.startswith(("embeddings.", "encoder.", "pooler.")) else name
        return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
    return {usual(name): array for name, array in flat.items()}


def check_tied(found):
    """Raise ValueError if the checkpoint's output matrix is another than its table of tokens, or its bias another."""
    for once, again in TIED:
        if once in found and again in found and not np.array_equal(found[once], found[again]):
            raise ValueError(f"{again} differs from {once}. Here the two are one, as in the published BERT.")
