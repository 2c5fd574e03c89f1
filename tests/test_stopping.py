"""Streaming shows no half character and no part of a stop string, wherever the tokens are cut."""
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanolm import text as tokenizers
from nanolm.generation import stopping

TOKENIZER = tokenizers.BPE.train("the cat sat on the mat. \u20ac5 \u00e9t\u00e9 \U0001f600\U0001f600\n" * 3, 270)
BYTE_ID = {TOKENIZER.token_bytes(i)[0]: i for i in range(256)}          # the tokens of one byte


# ---- half characters

@given(st.binary(max_size=12))
def test_unfinished_says_whether_more_bytes_could_join_the_last_character(data):
    """What is cut where unfinished is False decodes in two parts as it does in one, whatever follows."""
    if not stopping.unfinished(data):
        for rest in (b"a", b"\x80", b"\xbf\x80", b"\xe2\x82\xac", b"\xf0"):
            parts = [part.decode("utf-8", "replace") for part in (data, rest)]
            assert (data + rest).decode("utf-8", "replace") == "".join(parts)


@pytest.mark.parametrize("character", ["a", "\u00e9", "\u20ac", "\U0001f600"])
def test_unfinished_by_hand(character):
    data = character.encode()
    verdicts = [stopping.unfinished(b"xy" + data[:n]) for n in range(1, len(data) + 1)]
    assert verdicts == [True] * (len(data) - 1) + [False]


@settings(deadline=None)
@given(st.one_of(st.text(max_size=20).map(lambda s: [BYTE_ID[byte] for byte in s.encode("utf-8")]),
                 st.lists(st.integers(0, 269), max_size=20)))
def test_characters_joined_are_what_decode_gives_and_never_half(ids):
    characters = stopping.WholeCharacters(TOKENIZER)
    pieces = [characters.feed(i) for i in ids] + [characters.flush()]
    assert "".join(pieces) == TOKENIZER.decode(ids)
    if "\ufffd" not in TOKENIZER.decode(ids):
        assert not any("\ufffd" in piece for piece in pieces)


# ---- stop strings

def first_stop(whole, stops):
    """By definition: reading character by character, cut before the first stop string that is complete."""
    for end in range(1, len(whole) + 1):
        complete = [stop for stop in stops if whole[:end].endswith(stop)]
        if complete:
            return whole[:end - max(map(len, complete))], True
    return whole, False


@settings(max_examples=400)
@given(st.lists(st.text("ab\n", max_size=4), max_size=12),
       st.lists(st.text("ab\n", min_size=1, max_size=5), max_size=3))
def test_stop_strings_wherever_the_pieces_are_cut(pieces, stops):
    until_stop, shown = stopping.StopStrings(stops), ""
    for n, piece in enumerate(pieces, start=1):
        shown += until_stop.feed(piece)
        made = "".join(pieces[:n])
        assert first_stop(made, stops)[0].startswith(shown)             # nothing of a stop string is ever shown ...
        if not until_stop.stopped:                                      # ... and nothing is held back without need
            held = made[len(shown):]
            assert held == "" or any(stop.startswith(held) for stop in stops)
    stopped = until_stop.stopped
    assert (shown + until_stop.flush(), stopped) == first_stop("".join(pieces), stops)


def test_stop_strings_by_hand():
    until_stop = stopping.StopStrings(["\n\nQ:", "END"])
    assert [until_stop.feed(s) for s in ["one\n", "\n", "A: E", "N", "d\n\nQ", ": x", "y"]] == \
        ["one", "", "\n\nA: ", "", "ENd", "", ""]
    assert until_stop.stopped and until_stop.flush() == ""
    assert stopping.StopStrings("ab").stops == ("ab",)                  # one string is one stop, not two
    overlapping = stopping.StopStrings(["aab"])
    assert [overlapping.feed(c) for c in "aaab"] == ["", "", "a", ""] and overlapping.stopped


def test_stop_errors():
    with pytest.raises(ValueError, match="stop holds an empty string"):
        stopping.StopStrings(["x", ""])
    with pytest.raises(TypeError, match="stop must hold strings, but holds 10"):
        stopping.StopStrings([10])
