"""The tokenizer beside published weights: GPT-2's two files, read and written.

    vocab.json, merges.txt        what GPT-2's encoder.json and vocab.bpe are called in Hugging Face's layout
    tokenizer_config.json         says which class of transformers reads them

Tested    tests/test_checkpoint_gpt2.py, tests/peers/test_checkpoint_transformers.py.
"""
import json

from nanolm import files
from nanolm.text import BPE, byte_alphabet


def read(folder):
    """Return the tokenizer of a folder, or None if it holds none that nanolm knows."""
    if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        return BPE.from_gpt2(folder / "vocab.json", folder / "merges.txt")
    return None


def check(tokenizer):
    """Raise ValueError unless the tokenizer can be written in a form that transformers reads."""
    if not isinstance(tokenizer, BPE):
        raise ValueError(f"a tokenizer of the kind {type(tokenizer).__name__} has no counterpart in transformers. Leave the "
                         f"tokenizer out to write the weights alone, or train with the tokenizer 'bpe'.")


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
