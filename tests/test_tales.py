"""The grammar's exact entropy against enumeration, closed forms and samples; its parser; one derivation a tale."""
import math
import random
import re

import numpy as np
import pytest

from nanolm.data import tales
from nanolm.data.grammar import Grammar

PETS = {"PET": {"owl": {"a": "an"}, "cat": {"a": "a"}, "dog": {"a": "a"}}}
SMALL = """
s = 3: <seen PET> | <who>
seen PET = I saw PET.a PET, <size>
  and the PET saw <whom>.
size = big | 2: small | red
who = Nobody came. | PET.a PET came, an <age> PET.
age = 5: old | young
whom = me | you
"""
NESTED = "s = 2: a<s>b | 3: c"                          # a^n c b^n with probability (2/5)^n 3/5


def enumerate_texts(grammar, symbol):
    """All (text, probability) of a grammar without recursion."""
    for p, body in grammar.rules[symbol]:
        partial = [("", p)]
        for k, part in enumerate(body):
            more = list(enumerate_texts(grammar, part)) if k % 2 else [(part, 1.0)]
            partial = [(a + b, x * y) for a, x in partial for b, y in more]
        yield from partial


def test_entropy_and_lengths_equal_brute_force_enumeration():
    grammar = Grammar(SMALL, "s", PETS)
    texts = list(enumerate_texts(grammar, "s"))
    assert len(texts) == len({text for text, _ in texts}) == 3 * 3 * 2 + 1 + 3 * 2
    assert math.isclose(sum(p for _, p in texts), 1, rel_tol=1e-12)
    expected = grammar.expectations()
    assert math.isclose(expected["nats"], -sum(p * math.log(p) for _, p in texts), rel_tol=1e-12)
    assert math.isclose(expected["characters"], sum(p * len(text) for text, p in texts), rel_tol=1e-12)
    assert math.isclose(expected["spaces"], sum(p * text.count(" ") for text, p in texts), rel_tol=1e-12)
    for text, p in texts:
        assert math.isclose(grammar.log_probability(text), math.log(p), rel_tol=1e-12)
        assert grammar.derivations(text) == 1


def test_a_variable_is_the_same_everywhere_in_its_alternative_and_attributes_follow_it():
    grammar = Grammar(SMALL, "s", PETS)
    for text, _ in enumerate_texts(grammar, "s"):
        pet = re.search("owl|cat|dog", text)
        if pet:
            assert set(re.findall("owl|cat|dog", text)) == {pet[0]} and ("an owl" in text) == (pet[0] == "owl")


def test_recursion_has_its_closed_form():
    expected = Grammar(NESTED, "s").expectations()
    choice = -(0.4 * math.log(0.4) + 0.6 * math.log(0.6))
    assert math.isclose(expected["nats"], choice / 0.6, rel_tol=1e-12)          # a geometric number of choices
    assert math.isclose(expected["choices"], 1 / 0.6, rel_tol=1e-12)
    assert math.isclose(expected["characters"], 1 + 2 * 0.4 / 0.6, rel_tol=1e-12)
    grammar = Grammar(NESTED, "s")
    assert math.isclose(grammar.log_probability("aaacbbb"), 3 * math.log(0.4) + math.log(0.6), rel_tol=1e-12)
    for wrong in ("aacb", "acbb", "", "c ", "acbx"):
        assert grammar.log_probability(wrong) == -math.inf and grammar.derivations(wrong) == 0


def test_an_ambiguous_grammar_is_seen_and_its_probabilities_are_summed():
    grammar = Grammar("s = a<t> | 3: <t>\nt = b | ab", "s")                     # ab: a + b, or nothing + ab
    assert grammar.derivations("ab") == 2 and grammar.derivations("aab") == 1
    assert math.isclose(grammar.log_probability("ab"), math.log(0.25 * 0.5 + 0.75 * 0.5), rel_tol=1e-12)


@pytest.mark.parametrize("rules", ["s = <s><s> | c", "s = 3: <s><s> | 2: c", "s = <s>", "s = x<t>\nt = y<s> | 0: c"])
def test_a_grammar_that_does_not_stop_is_refused(rules):
    with pytest.raises(ValueError, match="expected size of a text of this grammar is infinite"):
        Grammar(rules, "s").expectations()


def test_mistakes_in_the_rules_are_named():
    with pytest.raises(ValueError, match="uses <nobody>, for which there is no rule"):
        Grammar("s = a <nobody>", "s")
    with pytest.raises(ValueError, match="no rule for the start symbol 't'"):
        Grammar("s = a", "t")
    with pytest.raises(ValueError, match="'symbol = text"):
        Grammar("s: a", "s")
    with pytest.raises(ValueError, match="given twice"):
        Grammar("s = a\ns = b", "s")
    with pytest.raises(ValueError, match="left recursion"):
        Grammar("s = <s>a | b", "s").derivations("ba")


def test_the_entropy_of_tales_equals_the_mean_of_minus_log_p():
    grammar, rng = tales.grammar(), random.Random(7)
    drawn = [grammar.sample(rng) for _ in range(4_000)]
    expected = grammar.expectations()
    for name, values in (("nats", [-log_p for _, log_p in drawn]), ("characters", [len(text) for text, _ in drawn]),
                         ("spaces", [text.count(" ") for text, _ in drawn])):
        error = np.std(values) / math.sqrt(len(values))                         # the standard error of the mean
        assert abs(np.mean(values) - expected[name]) < 3 * error
        assert error < 0.02 * expected[name]                                    # and it is small enough to tell


def test_every_tale_has_exactly_one_derivation_and_the_parser_finds_its_probability():
    grammar, rng = tales.grammar(), random.Random(8)
    for _ in range(300):
        text, log_p = grammar.sample(rng)
        assert grammar.derivations(text) == 1
        assert math.isclose(grammar.log_probability(text), log_p, rel_tol=1e-12)


def test_a_tale_with_one_word_out_of_agreement_is_impossible():
    grammar, rng = tales.grammar(), random.Random(9)
    changed = 0
    for _ in range(40):
        text = grammar.sample(rng)[0]
        she, he = (" she ", " he ") if " she " in text else (" he ", " she ")
        for wrong in (text.replace(she, he, 1), text.replace(" is ", " are ", 1), text[:-1]):
            if wrong != text:
                changed += 1
                assert grammar.log_probability(wrong) == -math.inf
    assert changed > 80


def test_the_way_back_is_the_way_out_reversed():
    places, rng = "|".join(tales.VARIABLES["PLACE"]), random.Random(10)
    longest = 0
    for _ in range(200):
        path = re.findall(places, tales.grammar().sample(rng)[0])
        assert path == path[::-1] and len(path) % 2 == 0
        longest = max(longest, len(path))
    assert longest >= 10


def test_the_corpus_has_its_exact_floor_and_independent_sides():
    corpus = tales.load(seed=0)
    expected = tales.grammar().expectations()
    train, validation = (text.split(tales.END)[:-1] for text in (corpus.train, corpus.validation))
    assert (len(train), len(validation)) == (tales.TRAIN, tales.VALIDATION)
    assert not set(train) & set(validation)
    assert corpus.floor == tales.per_character(expected) == expected["nats"] / (expected["characters"] + 2)
    assert math.isclose(corpus.validation_floor * len(corpus.validation), -tales.log_probability(corpus.validation))
    assert abs(corpus.validation_floor / corpus.floor - 1) < 0.05               # 250 tales are close to the average
    assert corpus.validation_floor != corpus.floor
    assert f"{corpus.floor:.4f}" in corpus.about
    words = np.mean([len(text.split()) for text in train])
    assert math.isclose(tales.per_word(expected), expected["nats"] / words, rel_tol=0.03)


def test_tales_come_from_the_seed(monkeypatch):
    monkeypatch.setattr(tales, "TRAIN", 60)
    monkeypatch.setattr(tales, "VALIDATION", 20)
    counts = []
    first, again, other = tales.load(3, lambda *count: counts.append(count)), tales.load(3), tales.load(4)
    assert first == again and first.fingerprint == again.fingerprint
    assert first.train != other.train and first.validation != other.validation and first.floor == other.floor
    assert counts[0] == (1, 80) and counts[-1] == (80, 80)


def test_a_text_that_is_no_row_of_tales_has_no_probability():
    assert tales.log_probability("Once upon a time") == -math.inf
    assert tales.log_probability("Once upon a time\n\n") == -math.inf


def test_tales_are_plain_ascii():
    text = "".join(tales.grammar().sample(random.Random(i))[0] for i in range(50))
    assert text.isascii() and "<" not in text and not re.search(r"\b[A-Z]{2,}\b", text)
    assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", text)
