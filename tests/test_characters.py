"""The character tokenizer, the two rules of utf8.py, and the file tokenizers are kept in."""
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanolm import text
from nanolm.text import Characters, store, utf8

ANY_STR = st.text(st.one_of(st.characters(), st.integers(0xD800, 0xDFFF).map(chr)))      # lone surrogates and NUL too


def test_ids_by_hand():
    tokenizer = Characters.train("caf\u00e9 \u03c0")
    assert tokenizer.characters == ["\u00e9", "\u03c0"]                      # ASCII needs no token of its own
    assert tokenizer.vocab_size == 258
    ids = tokenizer.encode("\u00e9a\u00e8\u03c0")
    assert ids.dtype == np.int32 and ids.tolist() == [256, 97, 195, 168, 257]    # e grave was never seen: C3 A8
    assert tokenizer.decode([256, 97, 195, 168, 257]) == "\u00e9a\u00e8\u03c0"
    assert [tokenizer.token_bytes(i) for i in (256, 97, 195)] == [b"\xc3\xa9", b"a", b"\xc3"]


def test_the_order_of_the_text_does_not_matter():
    assert Characters.train("\u03c0\u00e9\u03c0").characters == Characters.train("\u00e9\u03c0").characters


def test_empty_text():
    tokenizer = Characters.train("")
    assert tokenizer.vocab_size == 256
    assert tokenizer.encode("").shape == (0,) and tokenizer.encode("").dtype == np.int32
    assert tokenizer.decode([]) == "" == tokenizer.decode(tokenizer.encode(""))


@given(ANY_STR, ANY_STR)
def test_every_str_decodes_to_itself(training, s):
    tokenizer = Characters.train(training)
    ids = tokenizer.encode(s)
    assert tokenizer.decode(ids) == s
    assert b"".join(tokenizer.token_bytes(i) for i in ids) == utf8.to_bytes(s)
    assert len(tokenizer.encode(training)) == len(training)                  # seen characters are one token each


@given(ANY_STR)
def test_save_and_load(tmp_path_factory, training):
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer = Characters.train(training)
    tokenizer.save(folder)
    for again in (text.load(folder), Characters.load(folder)):
        assert type(again) is Characters and again.characters == tokenizer.characters


# ---- utf8.py

@given(ANY_STR)
def test_bytes_come_back(s):
    assert utf8.to_text(utf8.to_bytes(s)) == s


@given(st.binary())
def test_any_bytes_can_be_read(data):
    s = utf8.to_text(data)
    if not any(0xD800 <= ord(character) < 0xE000 for character in s):        # no surrogates: Python's own "replace"
        assert s == data.decode("utf-8", errors="replace")


@pytest.mark.parametrize("data, expected", [
    (b"\xff", "\ufffd"),
    (b"a\xc3", "a\ufffd"),                                                   # half a character at the end
    (b"\xe2\x82a", "\ufffda"),                                               # two bytes of three: one replacement
    (b"\xed\xa0\x80", "\ud800"), (b"\xed\xbf\xbf", "\udfff"),                # a lone surrogate comes back
    (b"\xed\xa0\xff", "\ufffd\ufffd\ufffd"),                                 # not one after all
    (b"\xed\xa0\xbd\xed\xb8\x80", "\ud83d\ude00"),                           # two of them stay two
    ("\U0001f600".encode(), "\U0001f600"),
])
def test_bytes_read_by_hand(data, expected):
    assert utf8.to_text(data) == expected


# ---- errors: sentences that name what came

@pytest.mark.parametrize("wrong, words", [(b"abc", "bytes.*decode"), (None, "NoneType"), (["a"], "list"), (3, "int")])
def test_text_must_be_a_str(wrong, words):
    for function in (Characters.train, Characters.train("a").encode):
        with pytest.raises(TypeError, match=f"text came as {words}"):
            function(wrong)


@pytest.mark.parametrize("ids, error, words", [
    ([0, 256], ValueError, r"ids\[1\] is 256.*256 tokens"), ([-1], ValueError, r"ids\[0\] is -1"),
    ([[1, 2]], ValueError, r"shape \(1, 2\)"), (5, ValueError, r"shape \(\)"),
    ([1.0], TypeError, "float64"), (["a"], TypeError, "integers"), ([True], TypeError, "bool"),
    ([2**70], TypeError, "object"), (np.array([2**63], dtype=np.uint64), ValueError, "9223372036854775808"),
])
def test_ids_must_be_ids(ids, error, words):
    with pytest.raises(error, match=words):
        Characters.train("").decode(ids)


@pytest.mark.parametrize("wrong, error", [(256, ValueError), (-1, ValueError), (1.0, TypeError), ("a", TypeError)])
def test_token_bytes_must_be_given_an_id(wrong, error):
    with pytest.raises(error, match="id"):
        Characters.train("").token_bytes(wrong)


def test_ids_of_any_integer_type():
    tokenizer = Characters.train("")
    for dtype in (np.int8, np.uint8, np.int32, np.int64, np.uint64):
        assert tokenizer.decode(np.array([65, 66], dtype=dtype)) == "AB"
        assert tokenizer.token_bytes(np.array([65], dtype=dtype)[0]) == b"A"


@pytest.mark.parametrize("characters", [["a"], ["\u00e9", "\u00e9"], ["\u00e9\u00e9"], [""], [233]])
def test_a_wrong_vocabulary(characters):
    with pytest.raises(ValueError, match="character"):
        Characters(characters)


def test_train_by_name():
    assert text.train("characters", "\u00e9").characters == ["\u00e9"]
    with pytest.raises(ValueError, match="one token for each character"):
        text.train("characters", "a", vocab_size=300)
    with pytest.raises(ValueError, match="'words'.*characters, bpe"):
        text.train("words", "a")


# ---- the file

def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="tokenizer.json"):
        text.load(tmp_path)


def test_save_makes_the_folder_and_leaves_nothing_else(tmp_path):
    Characters.train("\u00e9").save(tmp_path / "new" / "run")
    assert [p.name for p in (tmp_path / "new" / "run").iterdir()] == ["tokenizer.json"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    Characters.train("\u00e9\u03c0\ud800").save(folder)
    return store.path(folder).read_bytes()


def test_a_sound_file(tmp_path, saved):
    store.path(tmp_path).write_bytes(saved)
    assert text.load(tmp_path).characters == ["\u00e9", "\u03c0", "\ud800"]


def test_a_truncated_file(tmp_path, saved):
    for length in range(len(saved)):
        store.path(tmp_path).write_bytes(saved[:length])
        with pytest.raises(ValueError, match="tokenizer.json"):
            text.load(tmp_path)


@settings(max_examples=300)
@given(data=st.data())
def test_a_damaged_file_is_refused_or_harmless(tmp_path_factory, saved, data):
    folder = tmp_path_factory.getbasetemp()
    where = data.draw(st.integers(0, len(saved) - 1))
    damaged = saved[:where] + bytes([data.draw(st.integers(0, 255))]) + saved[where + 1:]
    store.path(folder).write_bytes(damaged)
    try:
        loaded = text.load(folder)
    except ValueError as error:
        assert "tokenizer.json" in str(error)
    else:                                                                    # white space, the case of \uD800
        assert loaded.characters == ["\u00e9", "\u03c0", "\ud800"]


@pytest.mark.parametrize("content", ["[]", "3", "{}", '{"model": {}}', '{"type": 3, "checksum": 1}'])
def test_a_file_of_another_program(tmp_path, content):
    store.path(tmp_path).write_text(content)
    with pytest.raises(ValueError, match="tokenizer.json is not a tokenizer written by nanolm"):
        text.load(tmp_path)


def test_a_changed_character(tmp_path, saved):
    content = json.loads(saved)
    content["characters"][0] = "\u00e8"
    store.path(tmp_path).write_text(json.dumps(content))
    with pytest.raises(ValueError, match="tokenizer.json was changed"):
        text.load(tmp_path)


def test_another_type(tmp_path):
    store.write(tmp_path, {"type": "unigram"})
    with pytest.raises(ValueError, match="'unigram'.*characters, bpe"):
        text.load(tmp_path)
    with pytest.raises(ValueError, match="type 'unigram', not 'characters'"):
        Characters.load(tmp_path)


@pytest.mark.parametrize("content", [{}, {"characters": 3}, {"characters": ["a"]}, {"characters": [["\u00e9"]]}])
def test_a_sound_file_with_wrong_content(tmp_path, content):
    store.write(tmp_path, {"type": "characters", **content})
    with pytest.raises(ValueError, match="tokenizer.json does not describe a 'characters' tokenizer"):
        text.load(tmp_path)
