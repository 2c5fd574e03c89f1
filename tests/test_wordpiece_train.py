"""Learning WordPiece's vocabulary: by hand, and what comes of a text."""
import pytest

from nanolm import text
from nanolm.text import WordPiece, wordpiece, wordpiece_train


def test_training_by_hand():
    """hug 10, pug 5, pun 12, bun 4, hugs 5: ##u ##g 20, p ##u 17, ##u ##n 16, h ##u 15; without ##ug, ##u ##n 16, h ##ug 15."""
    words = {"hug": 10, "pug": 5, "pun": 12, "bun": 4, "hugs": 5}
    letters = ["b", "g", "h", "n", "p", "s", "u", "##g", "##n", "##s", "##u"]
    assert wordpiece_train.learn(words, 15) == letters + ["##ug", "##un", "hug", "pun"]
    assert wordpiece_train.learn(words, 11) == letters
    with pytest.raises(ValueError, match="leaves 10 tokens.*need 11"):
        wordpiece_train.learn(words, 10)
    assert wordpiece_train.learn({"hugs": 5, "hug": 10, "pug": 5, "pun": 12}, 13)[-3:] == ["##ug", "hug", "pu"]    # its docstring


def test_rare_characters_are_left_out(monkeypatch):
    monkeypatch.setattr(wordpiece_train, "ALPHABET", 2)
    assert wordpiece_train.learn({"ac": 5, "ab": 2, "c": 2, "acb": 4}, 99) == ["a", "c", "##c", "ac"]      # a 11, c 11, b 6


def test_train_is_deterministic_and_knows_its_text():
    corpus = "Low low lower newest widest, the caf\u00e9 isn't low. \u4f4e\u4f4e 2024\n" * 3
    tokenizer = WordPiece.train(corpus, 80)
    assert tokenizer.vocabulary == text.train("wordpiece", corpus, 80).vocabulary
    assert tokenizer.vocabulary[:5] == wordpiece.SPECIAL and 1 not in tokenizer.encode(corpus)
    assert tokenizer.vocab_size <= 80
    assert [tokenizer.vocabulary[i] for i in tokenizer.encode("lowest")] == ["low", "##est"]
    cased = WordPiece.train(corpus, 80, lowercase=False)
    assert "Low" in cased.decode(cased.encode("Low")) and cased.decode(cased.encode("Low caf\u00e9")) == "Low caf\u00e9"
    assert WordPiece.train("", 5).vocabulary == wordpiece.SPECIAL
    calls = []
    text.train("wordpiece", "abab abab", 12, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 3), (2, 3), (3, 3)]                              # 5 special, a, b, ##a, ##b; 3 joins
