"""Bytes between processes: what is packed comes back, and nonsense is refused."""
import struct

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from nanolm.grading import compare
from nanolm.grading.classroom import wire
from nanolm.models import gpt2


def there_and_back(tree):
    return wire.unpack(wire.pack(tree)[8:])


def test_all_kinds_come_back():
    rng = np.random.default_rng(3)
    tree = {"a": (np.arange(6.0).reshape(2, 3), None, True, 3, 2.5, "text", [1, (2,)]),
            "f": np.asfortranarray(rng.random((3, 4))),
            "b": np.array([True, False]), "n": np.float32(1.5), "zero": np.array(4.0), "empty": np.zeros((0, 3)), "c": 1 + 2j,
            "config": gpt2.Config(vocab_size=5, block_size=4, n_layer=1, n_head=1, n_embd=4)}
    back = there_and_back(tree)
    assert back["a"][1:6] == tree["a"][1:6] and back["a"][6] == [1, (2,)] and type(back["a"]) is tuple
    for name in ("f", "b", "zero", "empty"):
        assert np.array_equal(back[name], tree[name]) and back[name].dtype == tree[name].dtype
    assert back["f"].flags.f_contiguous and back["n"] == np.float32(1.5) and type(back["n"]) is np.float32
    assert back["config"] == tree["config"] and back["c"] == 1 + 2j


def test_a_generator_goes_on_where_it_was():
    rng = np.random.default_rng(5)
    rng.random(3)
    assert there_and_back(rng).random() == rng.random()


def test_what_cannot_be_sent_is_said():
    back = there_and_back([lambda: 0, np.array([object()]), {1, 2}])
    assert all(isinstance(one, wire.Opaque) for one in back) and back[0].kind == "a function"


class Foo:
    pass


@pytest.mark.parametrize("thing, words", [(Foo(), "a value of class Foo"), ({1}, "a set"), (lambda: 0, "a function"),
                                          (object(), "a value of class object"), (np.array([Foo()]), "a numpy array of object"),
                                          (2**80, "a number too large"), (b"", "a bytes")])
def test_what_cannot_be_sent_has_the_students_name(thing, words):
    (difference,) = compare.differences(there_and_back(thing), np.ones(3), ("dx",))
    assert difference.sentence == f"dx must be an array, but it is {words}." and repr(there_and_back(thing)) == words


def test_a_stranger_cannot_make_classes_without_end():
    back = there_and_back([type(f"Foo{i}", (), {})() for i in range(100)] + [type("\u00e9", (), {})()])
    assert len({type(one) for one in back}) == 21 and type(back[-1]).__name__ == "value that cannot be sent"
    text = b'{"?": "a \\u0000 \\ud800"}'
    assert type(wire.unpack(struct.pack("<Q", len(text)) + text)).__name__ == "? \\ud800"


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_nonsense_raises_value_error_alone(data):
    try:
        wire.unpack(data)
    except ValueError:
        pass


@pytest.mark.parametrize("text", [b'{"a": ["float64", [1000000000000], 8, "C"]}', b'{"a": ["object", [1], 8, "C"]}', b'[1]',
                                  b'{"k": ["os", "system", {}]}', b'{"k": ["nanolm.models.gpt2", "Config", {"n_layer": -1}]}',
                                  b"[" * 100000, b'{"a": ["float64", [-1], -8, "C"]}'])
def test_hostile_frames_are_refused(text):
    with pytest.raises(ValueError, match="no answer"):
        wire.unpack(struct.pack("<Q", len(text)) + text)


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan"), 1e300])
def test_every_float_comes_back(number):
    assert repr(there_and_back([number])) == repr([number])
