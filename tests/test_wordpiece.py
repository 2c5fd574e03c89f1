"""WordPiece: cutting, pairs, places in the text, files. tests/test_bert_normal.py holds what comes before it."""
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanolm import text
from nanolm.text import WordPiece, bert_normal, store, wordpiece

ANY_STR = st.text(st.one_of(st.characters(), st.integers(0xD800, 0xDFFF).map(chr)))      # lone surrogates and NUL too
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "un", "una", "##ff", "##able", "##a", "able", "!", "[", "]", "mask",
              "cafe", "##f", "a", "b"]


@pytest.fixture(scope="module")
def small():
    return WordPiece(VOCABULARY)


def tokens(tokenizer, ids):
    return [tokenizer.vocabulary[i] for i in ids]


# ---- cutting

@pytest.mark.parametrize("s, expected", [
    ("unaffable", ["una", "##ff", "##able"]), ("Unaff!", ["una", "##ff", "!"]), ("unable", ["[UNK]"]),
    ("able able", ["able", "able"]),
    ("unaf", ["una", "##f"]), ("affable", ["a", "##ff", "##able"]), ("unx", ["[UNK]"]), ("unaffx able", ["[UNK]", "able"]),
    ("unaa", ["una", "##a"]), ("caf\u00e9", ["cafe"]), ("ff", ["[UNK]"]), ("", []), (" \n", []),
    ("[MASK]", ["[", "mask", "]"]), ("##able", ["[UNK]", "[UNK]", "able"]), ("[UNK]", ["[", "[UNK]", "]"]),
    ("bb", ["[UNK]"]), ("b b", ["b", "b"])])
def test_by_hand(small, s, expected):
    ids = small.encode(s)
    assert tokens(small, ids) == expected and ids.dtype == np.int32 and ids.ndim == 1


def test_a_greedy_cut_never_goes_back():
    """una is longer than un, and then ##b fits nowhere; un + ##ab would have."""
    assert WordPiece(["[UNK]", "un", "una", "##ab", "##b", "x"]).encode("unab").tolist() == [2, 4]
    assert WordPiece(["[UNK]", "un", "una", "##ab", "x"]).encode("unab").tolist() == [0]


def test_long_words(small):
    assert tokens(small, small.encode("a" * 100)) == ["a"] + ["##a"] * 99
    assert tokens(small, small.encode("a" * 101)) == ["[UNK]"]
    assert tokens(WordPiece(VOCABULARY, longest_word=3), WordPiece(VOCABULARY, longest_word=3).encode("aaa aaaa")) == [
        "a", "##a", "##a", "[UNK]"]
    assert small.encode("a" * 500_000).tolist() == [1]


def test_special_tokens(small):
    assert small.special == {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4} and small.id_of("[MASK]") == 4
    assert small.encode("able [MASK]! [mask]", special=True).tolist() == [10, 4, 11, 12, 14, 13]
    assert small.encode("[CLS][CLS]", special=True).tolist() == [2, 2]
    with pytest.raises(KeyError, match=r"no special token '\[X\]'.*\[PAD\], \[UNK\]"):
        small.id_of("[X]")


def test_cased():
    cased = WordPiece(["[UNK]", "Caf\u00e9", "caf\u00e9", "cafe"], lowercase=False)
    assert cased.encode("Caf\u00e9 caf\u00e9 cafe CAFE cafe\u0301").tolist() == [1, 2, 3, 0, 0]


def test_the_cache_changes_nothing_and_stays_small(small, monkeypatch):
    monkeypatch.setattr(wordpiece, "CACHE_WORDS", 2)
    monkeypatch.setattr(wordpiece, "CACHE_LENGTH", 4)
    fresh = WordPiece(VOCABULARY)
    for _ in range(3):
        assert fresh.encode("un able unaffable a b ! x").tolist() == small.encode("un able unaffable a b ! x").tolist()
        assert len(fresh._cache) <= 2 and all(len(word) <= 4 for word in fresh._cache)


# ---- places, pairs, decoding

def test_offsets_by_hand(small):
    s = "  Unaffable caf\u00e9!a\u0301b x"
    expected = [(2, 5), (5, 7), (7, 11), (12, 16), (16, 17), (17, 20), (21, 22)]     # an, then x: [UNK], each a whole word
    assert small.offsets(s).tolist() == [list(span) for span in expected] and small.offsets(s).dtype == np.int32
    assert [s[start:end] for start, end in small.offsets(s)][:4] == ["Una", "ff", "able", "caf\u00e9"]
    assert small.offsets("").shape == (0, 2)
    sorted_by_nfd = WordPiece(["[UNK]", "a", "##\u1b44\u08d4"])              # the second mark goes before the first
    assert sorted_by_nfd.encode("a\u08d4\u1b44").tolist() == [1, 2]
    assert sorted_by_nfd.offsets("a\u08d4\u1b44").tolist() == [[0, 1], [1, 3]]


@given(st.one_of(ANY_STR, st.text("unafble \u00e9!\u302e\u08d4\u1b44")))
def test_offsets_are_those_of_the_tokens(small, s):
    ids, spans = small.encode(s), small.offsets(s)
    assert spans.shape == (len(ids), 2) and (spans[:, 0] < spans[:, 1]).all() and (spans >= 0).all() and (spans <= len(s)).all()
    for token_id, (start, end) in zip(ids, spans):
        if token_id != 1 and small.vocabulary[token_id].removeprefix("##").isascii():
            assert "".join(bert_normal.words(s[start:end])).startswith(small.vocabulary[token_id].removeprefix("##"))


def test_pairs_by_hand(small):
    ids, segments = small.encode_pair("unaff", "a b")
    assert ids.tolist() == [2, 6, 7, 3, 17, 18, 3] and segments.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert ids.dtype == segments.dtype == np.int32
    ids, segments = small.encode_pair("unaff")
    assert ids.tolist() == [2, 6, 7, 3] and segments.tolist() == [0, 0, 0, 0]
    assert small.encode_pair("", "")[0].tolist() == [2, 3, 3] and small.encode_pair("", "")[1].tolist() == [0, 0, 1]
    assert small.encode_pair("a b a b", max_length=4)[0].tolist() == [2, 17, 18, 3]
    assert small.encode_pair("a b a b", "a", max_length=6)[0].tolist() == [2, 17, 18, 3, 17, 3]
    assert small.encode_pair("a", "a b", max_length=99)[0].tolist() == [2, 17, 3, 17, 18, 3]
    for wrong, words in (({"max_length": 1}, "need 2"), ({"b": "a", "max_length": 2}, "need 3")):
        with pytest.raises(ValueError, match=words):
            small.encode_pair("a", **wrong)
    with pytest.raises(KeyError, match="CLS"):
        WordPiece(["[UNK]", "a"]).encode_pair("a")


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 70))
def test_truncation_takes_one_by_one_from_the_longer(n, m, room):
    a, b = n, m
    while a + b > room:
        if a > b or a == b and n <= m:                                       # of equally long ones: the shorter at first, or a
            a -= 1
        else:
            b -= 1
    assert wordpiece.lengths(n, m, room) == (a, b)


def test_decode(small):
    ids = [2, 5, 8, 11, 3, 7, 0]
    assert small.decode(ids) == "[CLS] unable ! [SEP]ff [PAD]"
    assert small.decode([7, 8]) == "##ffable" and small.decode([]) == ""
    assert b"".join(small.token_bytes(i) for i in ids).decode() == " " + small.decode(ids)
    assert small.decode(small.encode("Una-Affable  caf\u00e9 a")) == "una [UNK] affable cafe a"


@given(st.text("aB \u00e9.c", max_size=40))
def test_decoding_gives_back_the_words(s):
    tokenizer = WordPiece.train("ab abc ab. c" + " a b c . ab" * 3 + " cab e", 60)
    if "[UNK]" not in tokenizer.decode(tokenizer.encode(s)):
        assert tokenizer.decode(tokenizer.encode(s)) == " ".join(bert_normal.words(s))


# ---- files

@given(st.sampled_from([(True, None, 100), (False, None, 100), (True, False, 7)]), ANY_STR)
def test_save_and_load(tmp_path_factory, settings, s):
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer = WordPiece(VOCABULARY, *settings)
    tokenizer.save(folder)
    for again in (text.load(folder), WordPiece.load(folder)):
        assert type(again) is WordPiece and again.vocabulary == VOCABULARY
        assert again.encode(s).tolist() == tokenizer.encode(s).tolist()
        assert (again.lowercase, again.strip_accents, again.longest_word) == settings


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_vocab_txt(tmp_path, end):
    path = tmp_path / "vocab.txt"
    path.write_bytes((("\r\n" if end == "\r\n" else "\n").join([*VOCABULARY, "\u2028x"]) + end).encode("utf-8"))
    tokenizer = WordPiece.from_vocab_txt(path, lowercase=False)
    assert tokenizer.vocabulary == [*VOCABULARY, "\u2028x"] and tokenizer.lowercase is False


HF = {"model": {"type": "WordPiece", "vocab": {token: i for i, token in enumerate(VOCABULARY)}, "unk_token": "[UNK]",
                "continuing_subword_prefix": "##", "max_input_chars_per_word": 50},
      "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
                     "lowercase": False},
      "pre_tokenizer": {"type": "BertPreTokenizer"},
      "added_tokens": [{"content": "[CLS]", "id": 2}, {"content": "[E1]", "id": 19}]}


def test_tokenizer_json(tmp_path):
    path = tmp_path / "hf.json"
    path.write_text(json.dumps(HF))
    tokenizer = WordPiece.from_tokenizer_json(path)
    assert tokenizer.vocabulary == [*VOCABULARY, "[E1]"]
    assert (tokenizer.lowercase, tokenizer.strip_accents, tokenizer.longest_word) == (False, None, 50)


@pytest.mark.parametrize("part, change, words", [
    ("model", {"type": "BPE"}, "model's type is 'BPE'"), ("model", {"unk_token": "?"}, "unk_token is '?'"),
    ("model", {"continuing_subword_prefix": "@@"}, "prefix is '@@'"), ("normalizer", {"type": "NFC"}, "normalizer's type"),
    ("normalizer", {"clean_text": False}, "clean_text is False"), ("normalizer", {"handle_chinese_chars": False}, "chinese"),
    ("pre_tokenizer", {"type": "Whitespace"}, "'Whitespace'"),
    ("model", {"vocab": {"[UNK]": 0, "a": 2}}, "'a' has the id 2, but 1"),
    ("model", {"vocab": {"a": 0, "[CLS]": 2, "[E1]": 1}}, "lacks|has the id"), ("model", {"vocab": 3}, "not a mapping")])
def test_a_tokenizer_json_of_another_kind(tmp_path, part, change, words):
    path = tmp_path / "hf.json"
    path.write_text(json.dumps({**HF, part: {**HF[part], **change}}))
    with pytest.raises(ValueError, match=f"hf.json does not hold the vocabulary of a BERT.*({words})"):
        WordPiece.from_tokenizer_json(path)


def test_missing_and_damaged_files(tmp_path):
    for read in (WordPiece.from_vocab_txt, WordPiece.from_tokenizer_json):
        with pytest.raises(FileNotFoundError, match="no file.*x.y"):
            read(tmp_path / "x.y")
        (tmp_path / "z").write_bytes(b"\xff\xfe")
        with pytest.raises(ValueError, match="z "):
            read(tmp_path / "z")
    (tmp_path / "v").write_text("[UNK]\na\na\n")
    with pytest.raises(ValueError, match="v does not hold.*'a' more than once"):
        WordPiece.from_vocab_txt(tmp_path / "v")


@pytest.mark.parametrize("vocabulary, error, words", [
    (["a"], ValueError, r"lacks \[UNK\]"), (["[UNK]", ""], TypeError, "one is ''"), (["[UNK]", 3], TypeError, "one is 3"),
    (["[UNK]", "a", "a"], ValueError, "more than once"), ([], ValueError, "lacks")])
def test_wrong_vocabularies(vocabulary, error, words):
    with pytest.raises(error, match=words):
        WordPiece(vocabulary)


def test_other_errors(small):
    for function in (small.encode, small.offsets, small.encode_pair, lambda wrong: WordPiece.train(wrong, 300)):
        with pytest.raises(TypeError, match="text came as bytes"):
            function(b"abc")
    for size, error, words in ((1.5, TypeError, "float"), (4, ValueError, "leaves -1 tokens"), (None, TypeError, "NoneType")):
        with pytest.raises(error, match=words):
            WordPiece.train("ab", size)
    with pytest.raises(ValueError, match="'wordpiece' tokenizer needs a vocab_size"):
        text.train("wordpiece", "some text")
    with pytest.raises(ValueError, match="19 tokens"):
        small.decode([19])


@pytest.mark.parametrize("content", [{}, {"vocabulary": ["a"], "lowercase": True, "strip_accents": None, "longest_word": 9},
                                     {"vocabulary": 3, "lowercase": True, "strip_accents": None, "longest_word": 9}])
def test_a_sound_file_with_wrong_content(tmp_path, content):
    store.write(tmp_path, {"type": "wordpiece", **content})
    with pytest.raises(ValueError, match="tokenizer.json does not describe a 'wordpiece' tokenizer"):
        text.load(tmp_path)
