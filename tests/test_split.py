"""The split of documents into training and validation: nothing is on both sides, nothing else is lost."""
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanolm.data import split

WORDS = ["the", "a", "cat", "dog", "ran", "sat", "on", "under", "hill", "mat", "red", "and", "then", "we", "saw", "far"]


def prose(rng, paragraphs, words=12):
    return "\n\n".join(" ".join(rng.choices(WORDS, k=words)) for _ in range(paragraphs))


def some_documents(seed=0, count=200):
    rng = random.Random(seed)
    licence = "This text may be copied by anyone."
    return [split.document(prose(rng, rng.randint(1, 8)) + "\n\n" + licence) for _ in range(count)]


def kept_paragraphs(text):
    return {split.normal(paragraph) for paragraph, _ in split.paragraphs(text)} - {""}


def test_no_document_and_no_paragraph_is_on_both_sides():
    parts = split.split(some_documents())
    train, validation = parts.texts()
    assert not set(parts.train) & set(parts.validation)
    assert not kept_paragraphs(train) & kept_paragraphs(validation)
    assert len(kept_paragraphs(validation)) > 30                        # and it is not empty talk


def test_every_document_goes_to_one_side_whole_and_in_its_old_order():
    documents = some_documents()
    parts = split.split(documents)
    assert [text for text in documents if text in parts.train] == list(parts.train)
    chosen = [text for text in documents if text not in parts.train]
    assert len(chosen) == len(parts.validation) == parts.removed        # each of them lost the licence, nothing else
    for before, after in zip(chosen, parts.validation):
        assert before == after + "This text may be copied by anyone.\n\n"
    assert parts.removed_characters == sum(map(len, chosen)) - len(parts.texts()[1])


def test_a_paragraph_that_differs_in_white_space_alone_is_the_same_and_is_removed():
    documents = [split.document(f"number {i}\n\nall   of\nus say this") for i in range(200)]
    parts = split.split(documents[:-100] + [text.replace("\nus", " us") for text in documents[-100:]])
    assert "say" not in parts.texts()[1] and "number" in parts.texts()[1]


def test_a_near_copy_is_removed_where_that_is_asked_for():
    rng = random.Random(3)
    documents = [prose(rng, 1, words=40) for _ in range(100)]
    copies = [text.replace("hill", "mountain", 1) for text in documents]            # one word of forty changed
    plain, strict = (split.split([split.document(text) for text in documents + copies], near=near)
                     for near in (None, 8))
    stock = {text: i for both in (documents, copies) for i, text in enumerate(both)}

    def leaked(parts):
        train = {stock[text.strip()] for text in parts.train}
        return sum(stock[text.strip()] in train for text in parts.validation)
    assert leaked(plain) > 10 and leaked(strict) == 0 and strict.validation
    assert plain.train == strict.train and strict.removed > 10


def test_equal_documents_are_kept_once():
    documents = some_documents()
    again = documents + documents[:50]
    parts, plain = split.split(again), split.split(documents)
    assert parts.duplicates == 50 and plain.duplicates == 0
    assert parts.texts() == plain.texts()


def test_the_budget_is_met_and_capped_and_huge_documents_stay_in_training():
    documents = some_documents(count=400)
    total = sum(map(len, documents))
    chosen = split.split(documents)
    size = len(chosen.texts()[1]) + chosen.removed_characters
    assert 0.09 * total < size <= 0.1 * total
    capped = split.split(documents, cap=3_000)
    assert 2_000 < len(capped.texts()[1]) + capped.removed_characters <= 3_000
    large = [split.document(prose(random.Random(i), 17)) for i in range(40)]        # above a quarter of 3,000
    assert all(750 < len(text) < 3_000 for text in large)
    assert set(large) <= set(split.split(documents + large, cap=3_000).train)


def test_the_split_depends_on_seed_and_text_alone():
    documents = some_documents()
    assert split.split(documents, seed=3) == split.split(documents, seed=3)
    assert set(split.split(documents, seed=3).validation) != set(split.split(documents, seed=4).validation)
    turned = split.split(documents[::-1], seed=3)
    assert set(turned.train) == set(split.split(documents, seed=3).train)


def test_in_a_list_of_lines_each_line_is_a_paragraph():
    rng = random.Random(2)
    names = [rng.choice("ABCDEFGH") + rng.choice("aeiou") + rng.choice("klmnst") for _ in range(5_000)]    # 240
    names += [f"only-once-{i}" for i in range(2_500)]
    rng.shuffle(names)
    parts = split.split(split.chunks("\n".join(names), 400))
    train, validation = (text.split() for text in parts.texts())
    assert not set(train) & set(validation)
    assert len(validation) > 100 and parts.removed > 100


def test_texts_that_cannot_be_split_say_why():
    with pytest.raises(ValueError, match="all .* stand in the training text too. The text repeats itself"):
        split.split([split.document("same words" + "\n\nsame words" * i) for i in range(1, 60)])
    with pytest.raises(ValueError, match="1 different documents .and 1 duplicates. are too few"):
        split.split(["a text\n\n"] * 2)
    with pytest.raises(ValueError, match="too few"):
        split.split([])


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab \n\t", max_size=300), st.integers(1, 40))
def test_chunks_and_paragraphs_lose_nothing(text, size):
    pieces = split.chunks(text, size)
    assert "".join(pieces) == text
    assert all(len(piece) <= 2 * size for piece in pieces) and all(len(piece) >= size for piece in pieces[:-1])
    for by_lines in (False, True):
        assert "".join(a + b for a, b in split.paragraphs(text, by_lines)) == text


def test_chunks_end_at_a_blank_line_if_there_is_one_and_never_loop():
    text = "\n\n".join(f"paragraph {i} says nothing new" for i in range(100))
    assert all(piece.endswith("\n\n") for piece in split.chunks(text, 60)[:-1])
    assert all(piece.endswith(" ") for piece in split.chunks(text.replace("\n\n", " "), 60)[:-1])
    code = "\n\n".join(f"def f{i}():\n\n    return {i}" for i in range(100))
    starts = {piece[:7] for size in range(40, 90) for piece in split.chunks(code, size)[1:-1]}
    assert "    ret" in starts and all(start in ("    ret", "def f" + start[5:]) for start in starts)
    assert [len(piece) for piece in split.chunks("x" * 100, 30)] == [30, 30, 30, 10]
    with pytest.raises(ValueError, match="at least 1"):
        split.chunks("abc", 0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 5))
def test_nothing_is_shared_whatever_the_documents(shape, seed):
    """Few different paragraphs, so that most of them stand in many documents."""
    rng = random.Random(shape)
    stock = [prose(rng, 1, words=3) for _ in range(60)]
    documents = [split.document("\n\n".join(rng.choices(stock, k=rng.randint(1, 3)))) for _ in range(60)]
    try:
        parts = split.split(documents, seed=seed, fraction=0.3)
    except ValueError:
        return
    train, validation = parts.texts()
    assert not kept_paragraphs(train) & kept_paragraphs(validation)
