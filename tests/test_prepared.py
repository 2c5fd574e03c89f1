"""nanolm.data.prepared: tokenizer, ids and baselines of a text, made once and kept."""
import numpy as np
import pytest

from nanolm.data import baselines, prepared
from nanolm.data.corpus import Corpus

CORPUS = Corpus("lines", "Ann sees the cat. Bob sees the river.\n" * 9, "Cleo sees a cat \u00e9.\n" * 3)


def equal(a, b):
    assert type(a.tokenizer) is type(b.tokenizer) and a.tokenizer.vocab_size == b.tokenizer.vocab_size
    assert a.train_ids.dtype == b.train_ids.dtype == np.int32
    np.testing.assert_array_equal(a.train_ids, b.train_ids)
    np.testing.assert_array_equal(a.validation_ids, b.validation_ids)
    assert a.baselines == b.baselines and list(a.baselines) == list(b.baselines)


def refuse(*arguments):
    raise AssertionError("made again")


@pytest.mark.parametrize("kind, size", [("bpe", 280), ("characters", None)])
def test_the_second_time_nothing_is_computed(tmp_path, monkeypatch, kind, size):
    first = prepared.prepare(CORPUS, kind, size, cache=tmp_path)
    assert first.tokenizer.decode(first.validation_ids) == CORPUS.validation
    assert first.baselines == baselines.measure(CORPUS.train, CORPUS.validation)
    monkeypatch.setattr(prepared.text, "train", refuse)
    monkeypatch.setattr(prepared.baselines, "measure", refuse)
    equal(prepared.prepare(CORPUS, kind, size, cache=tmp_path), first)


def test_another_text_or_size_is_another_thing(tmp_path):
    first = prepared.prepare(CORPUS, "bpe", 280, cache=tmp_path)
    assert prepared.prepare(CORPUS, "bpe", 270, cache=tmp_path).tokenizer.vocab_size == 270 != first.tokenizer.vocab_size
    other = Corpus("lines", CORPUS.train + "x", CORPUS.validation)
    assert len(prepared.prepare(other, "bpe", 280, cache=tmp_path).train_ids) == len(first.train_ids) + 1
    moved = Corpus("lines", CORPUS.train[:-1], CORPUS.train[-1] + CORPUS.validation)      # the same characters in a row
    assert prepared.prepare(moved, "bpe", 280, cache=tmp_path).baselines != first.baselines


@pytest.mark.parametrize("damage", [lambda data: data[:-3], lambda data: b"", lambda data: data[:20] + b"~" + data[21:]])
def test_what_is_damaged_is_made_again(tmp_path, damage):
    first = prepared.prepare(CORPUS, "bpe", 280, cache=tmp_path)
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(path.name for path in kept) == ["baselines", "tokenizer.json", "train", "validation"]
    for path in kept:
        good = path.read_bytes()
        path.write_bytes(damage(good))
        equal(prepared.prepare(CORPUS, "bpe", 280, cache=tmp_path), first)
        assert path.read_bytes() == good


def test_without_a_folder_it_works_and_keeps_nothing(tmp_path):
    first = prepared.prepare(CORPUS, "bpe", 280, cache=False)
    (tmp_path / "file").write_bytes(b"")
    equal(prepared.prepare(CORPUS, "bpe", 280, cache=tmp_path / "file" / "below"), first)


def test_the_oldest_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(prepared, "FOLDERS", 3)
    (tmp_path / "pydocs-of-another.json").write_bytes(b"")
    for size in (260, 262, 264, 266):
        prepared.prepare(CORPUS, "bpe", size, cache=tmp_path)
    assert len(list(tmp_path.glob("prepared-*"))) == 3 and (tmp_path / "pydocs-of-another.json").exists()
