"""Tokenizers beside published weights: each kind written and read again, what has no place is refused, what is unknown is said."""
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from nanolm import checkpoint, text
from nanolm.checkpoint import tokenizer_files
from nanolm.models import gpt2, llama
from nanolm.text import BPE, WordPiece, chat, hf_tokenizer, unknown

CORPUS = "low low lower newest widest, the caf\u00e9 isn't low. \u4f4e\u4f4e 2024 2024\n" * 3
PLAIN = BPE.train(CORPUS, 290)
CHAT = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def own_ids(split, names, lacking=()):
    """A BPE as SmolLM2's: the special tokens first, then the rest, without some bytes."""
    ids, free = [], len(names)
    for i in range(290):
        ids.append(None if i in lacking else free)
        free += i not in lacking
    return BPE(list(PLAIN.merges), {name: i for i, name in enumerate(names)}, split, ids)


KINDS = {"GPT-2's": BPE(list(PLAIN.merges), ["<|endoftext|>"]), "without special tokens": PLAIN,
         "GPT-2's with three special tokens": BPE(list(PLAIN.merges), ["<|endoftext|>", "[PAD]", "<|im_end|>"]),
         "SmolLM2's": own_ids("smollm", CHAT, lacking=(188, 189, 200)),
         "Llama 3's": own_ids("llama3", ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"]), "another's": own_ids("gpt2", ["<s>"]),
         "uncased": WordPiece.train(CORPUS, 60), "cased": WordPiece.train(CORPUS, 60, lowercase=False),
         "accents kept": WordPiece(WordPiece.train(CORPUS, 60).vocabulary, True, False), "short words": WordPiece(["[UNK]", "lo", "##w"], True, None, 4)}


def saved(folder, tokenizer):
    config = gpt2.Config(tokenizer.vocab_size, 16, 1, 2, 4)
    checkpoint.save(folder, gpt2, gpt2.init(config, np.random.default_rng(0)), config, tokenizer)
    return json.loads((folder / "tokenizer_config.json").read_text())


def as_kept(tokenizer, folder):
    tokenizer.save(folder)
    return (folder / "tokenizer.json").read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_there_and_back(tmp_path, kind):
    tokenizer = KINDS[kind]
    saved(tmp_path / "mine", tokenizer)
    again = checkpoint.load(tmp_path / "mine").tokenizer
    assert as_kept(again, tmp_path / "a") == as_kept(tokenizer, tmp_path / "b"), "an equal tokenizer: nanolm's own file of it is the same"
    for s in ("the lowest caf\u00e9 isn't low\n", "\u4f4e 2024 <|im_end|> [MASK]", ""):
        assert again.encode(s).tolist() == tokenizer.encode(s).tolist() and again.encode(s, special=True).tolist() == tokenizer.encode(
            s, special=True).tolist()


def test_what_is_said_about_special_tokens(tmp_path):
    for i, (kind, expected) in enumerate((
            ("SmolLM2's", {"bos": "<|im_start|>", "eos": "<|im_end|>", "pad": "<|im_end|>"}),
            ("Llama 3's", {"bos": "<|begin_of_text|>", "eos": "<|eot_id|>", "pad": "<|eot_id|>"}),
            ("uncased", {"cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]", "pad": "[PAD]", "unk": "[UNK]"}))):
        said = saved(tmp_path / str(i), KINDS[kind])
        assert {name.removesuffix("_token"): value for name, value in said.items() if name.endswith("_token")} == expected
        published = json.loads((tmp_path / str(i) / "config.json").read_text())
        for role in ("bos", "eos", "pad"):
            assert published[f"{role}_token_id"] == (KINDS[kind].special[expected[role]] if role in expected else None)
        assert ("chat_template" in said) == (kind == "SmolLM2's") and said["model_max_length"] == 16


def test_without_a_tokenizer_no_token_ends_a_text(tmp_path):
    """LlamaConfig's own default would stop at token 2, whatever that is here."""
    config = llama.Config(9, 8, 1, 2, 1, 8, 8)
    checkpoint.save(tmp_path / "mine", llama, llama.init(config, np.random.default_rng(0)), config)
    published = json.loads((tmp_path / "mine" / "config.json").read_text())
    assert published["eos_token_id"] is None and published["bos_token_id"] is None


def test_the_template_is_the_conversation():
    """Jinja is not needed by nanolm; where it is installed, the template writes what as_text writes."""
    jinja2 = pytest.importorskip("jinja2", reason="jinja2 is not installed: pip install jinja2")
    talks = [[], [{"role": "user", "content": " Hi\n\nthere {{ 1 }} '\" \\n caf\u00e9 "}],
             [{"role": "system", "content": ""}, {"role": "user", "content": "a"}, {"role": "assistant", "content": "b\n"}]]
    for system in (chat.SYSTEM, "Don't say \"no\"\n", None):
        made = jinja2.Environment(trim_blocks=True, lstrip_blocks=True).from_string(chat.template(system))
        for talk in talks:
            for generate in (True, False):
                assert made.render(messages=talk, add_generation_prompt=generate) == chat.as_text(talk, generate, system)


def test_what_has_no_place_is_refused_and_nothing_is_written(tmp_path):
    config = gpt2.Config(9, 8, 1, 2, 4)
    p = gpt2.init(config, np.random.default_rng(0))
    for tokenizer, words in ((text.Characters.train("abc"), "of the kind Characters has no counterpart"),
                             (BPE(list(PLAIN.merges), ["low"]), "special token 'low' is called what an ordinary token is shown as"),
                             (WordPiece(["[UNK]", "a b"]), "a space or a line's end in it, 'a b'")):
        with pytest.raises(ValueError, match=words):
            checkpoint.save(tmp_path / "mine", gpt2, p, config, tokenizer)
    with pytest.raises(ValueError, match="the tokenizer has 290 tokens, but the model's table has 9 rows"):
        checkpoint.save(tmp_path / "mine", gpt2, p, config, PLAIN)
    assert not (tmp_path / "mine").exists()


def test_tokenizer_json_goes_before_the_older_files(tmp_path):
    """SmolLM2's folder on the hub has all three; only tokenizer.json says how its text is cut."""
    saved(tmp_path / "mine", KINDS["SmolLM2's"])
    tokenizer_files.write_gpt2(tmp_path / "mine", PLAIN)
    assert checkpoint.load(tmp_path / "mine").tokenizer.split == "smollm"
    (tmp_path / "mine" / "tokenizer.json").unlink()
    assert checkpoint.load(tmp_path / "mine").tokenizer.split == "gpt2"


def test_nanolms_own_file_is_read_too(tmp_path):
    saved(tmp_path / "mine", KINDS["GPT-2's"])
    KINDS["cased"].save(tmp_path / "mine")
    assert checkpoint.load(tmp_path / "mine").tokenizer.vocabulary == KINDS["cased"].vocabulary


@pytest.mark.parametrize("change, words", [
    (lambda c: c["model"].update(type="Unigram"), "of the kind 'Unigram'; nanolm has BPE and WordPiece"),
    (lambda c: c["model"].update(byte_fallback=True), "byte_fallback is True"),
    (lambda c: c.update(normalizer={"type": "Prepend", "prepend": "_"}), "normalizer is "),
    (lambda c: c.update(pre_tokenizer={"type": "Metaspace"}), "last step is 'Metaspace'")])
def test_an_unknown_tokenizer_does_not_keep_the_weights_back(tmp_path, capsys, change, words):
    saved(tmp_path / "mine", KINDS["SmolLM2's"])
    path = tmp_path / "mine" / "tokenizer.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    loaded = checkpoint.load(tmp_path / "mine")
    said = capsys.readouterr().err
    assert loaded.tokenizer is None and loaded.p and words in said and str(path) in said and said.count("\n") == 1
    with pytest.raises((unknown.Unknown, ValueError)):
        hf_tokenizer.from_json(path)


@pytest.mark.parametrize("kind, changes, words", [
    ("uncased", {"do_lower_case": False}, "do_lower_case = False, but what is read here is True"), ("cased", {"strip_accents": True}, "strip_accents = True"),
    ("uncased", {"tokenize_chinese_chars": False}, "tokenize_chinese_chars = False"), ("GPT-2's", {"add_prefix_space": True}, "add_prefix_space = True"),
    ("SmolLM2's", {"add_prefix_space": True}, "add_prefix_space = True"), ("short words", {"do_basic_tokenize": False}, "do_basic_tokenize = False")])
def test_settings_that_say_otherwise_leave_the_tokenizer_out(tmp_path, capsys, kind, changes, words):
    said = saved(tmp_path / "mine", KINDS[kind])
    (tmp_path / "mine" / "tokenizer_config.json").write_text(json.dumps({**said, **changes}))
    assert checkpoint.load(tmp_path / "mine").tokenizer is None and words in capsys.readouterr().err


def test_tokens_added_in_a_file_of_their_own(tmp_path, capsys):
    for kind in ("uncased", "GPT-2's"):
        saved(tmp_path / kind, KINDS[kind])
        (tmp_path / kind / "tokenizer.json").unlink(missing_ok=True)
        (tmp_path / kind / "added_tokens.json").write_text(json.dumps({"<sep>": 400}))
        assert checkpoint.load(tmp_path / kind).tokenizer is None and "added_tokens.json adds tokens to those of another file" in capsys.readouterr().err


def test_vocab_txt_with_its_settings(tmp_path):
    for kind in ("uncased", "cased", "accents kept"):
        saved(tmp_path / kind, KINDS[kind])
        (tmp_path / kind / "tokenizer.json").unlink()
        again = checkpoint.load(tmp_path / kind).tokenizer
        assert as_kept(again, tmp_path / "a") == as_kept(KINDS[kind], tmp_path / "b")


def test_gpts_vocabulary_of_words(tmp_path, capsys):
    config = gpt2.Config(9, 8, 1, 2, 4, norm="post")
    checkpoint.save(tmp_path / "mine", gpt2, gpt2.init(config, np.random.default_rng(0)), config)
    (tmp_path / "mine" / "vocab.json").write_text(json.dumps({"l": 0, "o": 1, "w</w>": 2, "lo": 3, "low</w>": 4}))
    (tmp_path / "mine" / "merges.txt").write_text("#version: 0.2\nl o\nlo w</w>\n")
    assert checkpoint.load(tmp_path / "mine").tokenizer is None
    assert "words in pieces that end in </w>, as GPT's" in capsys.readouterr().err


def test_a_saved_assistant_can_be_talked_to(tmp_path):
    tokenizer = KINDS["SmolLM2's"]
    config = llama.Config(tokenizer.vocab_size, 1024, 1, 2, 1, 8, 8)
    checkpoint.save(tmp_path / "mine", llama, llama.init(config, np.random.default_rng(0)), config, tokenizer)
    done = subprocess.run([sys.executable, "-m", "nanolm", "chat", str(tmp_path / "mine"), "--tokens", "9", "--temperature", "0", "--quiet"],
                          input="low?\n", capture_output=True, text=True, timeout=300, env={**os.environ, "NANOLM_KERNELS": "numpy"})
    assert done.returncode == 0 and done.stderr == "" and done.stdout.strip(), done.stderr


def test_another_tokenizer_in_the_folder_is_not_left_beside_ours(tmp_path):
    """load would read tokenizer.json before the vocab.json that save wrote."""
    saved(tmp_path / "first", KINDS["Llama 3's"])
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "first" / name).unlink()
    with pytest.raises(ValueError, match="holds a tokenizer.json already"):
        saved(tmp_path / "first", PLAIN)
    assert not (tmp_path / "first" / "vocab.json").exists()
