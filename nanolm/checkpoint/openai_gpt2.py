"""GPT-2 as OpenAI published it: a TensorFlow checkpoint with its vocabulary beside it.

    hparams.json          {"n_vocab", "n_ctx", "n_embd", "n_head", "n_layer"}
    model.ckpt.*          model/wte, model/wpe, model/h0/attn/c_attn/w, ... , model/ln_f/g
    encoder.json, vocab.bpe

Only TensorFlow reads its checkpoints. A matrix is (in, out), as here, with an axis of 1 in front; a gain is called g.

Source    https://github.com/openai/gpt-2: src/model.py for the names.
Tested    tests/test_checkpoint_openai.py.
"""
from nanolm.checkpoint import fitting
from nanolm.models import gpt2
from nanolm.text import BPE

CONFIG = {"n_vocab": "vocab_size", "n_ctx": "block_size", "n_embd": "n_embd", "n_head": "n_head", "n_layer": "n_layer"}


def is_one(folder):
    """Return whether the folder holds such a checkpoint."""
    return (folder / "hparams.json").is_file() and (folder / "model.ckpt.index").is_file()


def read(folder):
    """Return (config, p, tokenizer or None) of the folder. Raises ImportError without TensorFlow, ValueError for a misfit."""
    says = str(folder / "hparams.json")
    fields = fitting.fields(fitting.settings(says), CONFIG, says)
    try:
        config = gpt2.Config(**fields)
    except ValueError as error:                         # it does not know where its numbers came from
        raise ValueError(f"{says}: {error}") from error
    flat = {name: array(a) for name, a in variables(folder).items()}
    fitting.blocks(config, flat, str(folder / "model.ckpt"))
    p = fitting.fitted({ours(name): a for name, a in flat.items()}, gpt2.shapes(config), str(folder / "model.ckpt"))
    there = (folder / "encoder.json").is_file() and (folder / "vocab.bpe").is_file()
    return config, p, BPE.from_gpt2(folder / "encoder.json", folder / "vocab.bpe") if there else None


def variables(folder):
    """Return TensorFlow's variables, a flat dict {"model/h0/attn/c_attn/w": array}."""
    try:
        import tensorflow
    except ImportError as error:
        raise ImportError(f"{folder} holds a TensorFlow checkpoint, which only TensorFlow reads: pip install tensorflow. Or "
                          f"take the same model in Hugging Face's layout, with model.safetensors.") from error
    try:
        reader = tensorflow.train.load_checkpoint(str(folder / "model.ckpt"))
        return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if name.startswith("model/")}
    except Exception as error:                          # TensorFlow has an error class of its own for each way to fail
        raise ValueError(f"{folder / 'model.ckpt'} is damaged, or no checkpoint of TensorFlow "
                         f"({str(error).partition(chr(10))[0]}).") from error


def array(a):
    """Return a matrix without the axis of 1 that a convolution of width 1 has in front."""
    return a[0] if a.ndim == 3 and a.shape[0] == 1 else a


def ours(name):
    """Return nanolm's name: model/h11/ln_1/g -> h.11.ln_1.weight, model/wte -> wte.weight."""
    parts = name.split("/")[1:]
    if parts[0][0] == "h" and parts[0][1:].isdigit():
        parts[:1] = ["h", parts[0][1:]]
    kind = {"g": "weight", "w": "weight", "b": "bias"}.get(parts[-1])
    return ".".join([*parts[:-1], kind] if kind else [*parts, "weight"])
