"""The tokenizer beside published weights, read; and GPT-2's two files, written.

    vocab.json, merges.txt        what GPT-2's encoder.json and vocab.bpe are called in Hugging Face's layout
    vocab.txt                     BERT's
    tokenizer.json                either kind, and Llama's, in the form of the package tokenizers
    tokenizer.ggml.*              fields of a GGUF file
    tokenizer_config.json         says which class of transformers reads them

Tested    tests/test_checkpoint_files.py, tests/peers/test_checkpoint_transformers.py.
"""
import json

from nanolm import files
from nanolm.text import BPE, WordPiece, byte_alphabet, hf_tokenizer


def read(folder):
    """Return the tokenizer of a folder, or None if it holds none that nanolm knows.

    Raises ValueError with a sentence that names the file if one of a known kind is damaged or of a form that is not read.
    """
    if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        return BPE.from_gpt2(folder / "vocab.json", folder / "merges.txt")
    if (folder / "vocab.txt").is_file() and not (folder / "tokenizer.json").is_file():
        return WordPiece.from_vocab_txt(folder / "vocab.txt", lowercase=lowercase(folder))
    if (folder / "tokenizer.json").is_file():
        content = files.read_json(folder / "tokenizer.json")
        model = content.get("model") if isinstance(content, dict) else None
        kind = model.get("type", "BPE") if isinstance(model, dict) else None
        if kind == "WordPiece":
            return WordPiece.from_tokenizer_json(folder / "tokenizer.json")
        if kind == "BPE":
            return hf_tokenizer.from_json(folder / "tokenizer.json")
    return None


def lowercase(folder):
    """Return whether a BERT's folder says that its text is to be made lower case; yes, if it says nothing."""
    path = folder / "tokenizer_config.json"
    settings = files.read_json(path) if path.is_file() else {}
    return bool(settings.get("do_lower_case", True))


def from_gguf(vocabulary, source):
    """Return the tokenizer of a GGUF file's fields, or None if they are of another kind than GPT-2's."""
    if vocabulary["tokens"] is None or vocabulary["merges"] is None or vocabulary["pre"] not in hf_tokenizer.GGUF_PRE:
        return None
    try:
        return hf_tokenizer.from_gguf_fields(*(vocabulary[name] for name in ("tokens", "merges", "token_type", "pre")))
    except ValueError as error:
        raise ValueError(f"the tokenizer in {source} can not be read: {error}") from error


def check(tokenizer):
    """Raise ValueError unless the tokenizer can be written in a form that transformers reads."""
    if not isinstance(tokenizer, BPE):
        raise ValueError(f"a tokenizer of the kind {type(tokenizer).__name__} has no counterpart in transformers. Leave the "
                         f"tokenizer out to write the weights alone, or train with the tokenizer 'bpe'.")
    if tokenizer.ids is not None or tokenizer.split != "gpt2":
        raise ValueError("this tokenizer numbers its tokens, or cuts its text, otherwise than GPT-2's files can say. Leave it "
                         "out, and copy the tokenizer's files from where the model came from.")


def write(folder, tokenizer):
    """Write a BPE tokenizer as vocab.json, merges.txt and tokenizer_config.json."""
    special = {token_id: name for name, token_id in tokenizer.special.items()}

    def shown(token_id):
        return special.get(token_id) or byte_alphabet.show(tokenizer.token_bytes(token_id))

    vocabulary = {shown(token_id): token_id for token_id in range(tokenizer.vocab_size)}
    lines = ["#version: 0.2", *(f"{shown(left)} {shown(right)}" for left, right in tokenizer.merges)]
    end = next(iter(tokenizer.special), None)           # GPT-2's classes would add <|endoftext|> if not told otherwise
    settings = {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": False, "bos_token": end, "eos_token": end,
                "unk_token": end}
    files.atomic_write(folder / "vocab.json", json.dumps(vocabulary, ensure_ascii=False))
    files.atomic_write(folder / "merges.txt", "\n".join(lines) + "\n")
    files.atomic_write(folder / "tokenizer_config.json", json.dumps(settings, indent=2) + "\n")
