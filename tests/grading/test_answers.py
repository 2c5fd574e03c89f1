"""Asking a function: whatever it does comes back as an Answer, and the next call is not touched by it."""
import sys
import time

import numpy as np
import pytest

from nanolm.grading import answers
from nanolm.grading.exercise import Call
from nanolm.layers import layernorm


def ask(function, *args, **options):
    return answers.ask(function, Call(args), **options)


def test_a_value_comes_back():
    answer = ask(lambda a: a + 1, np.ones(3))
    assert answer.trouble == "" and np.array_equal(answer.value, [2, 2, 2]) and answer.changed == ()


def test_an_endless_loop_is_ended_and_the_next_call_runs():
    def loops(a):
        while True:
            pass
    start = time.monotonic()
    answer = ask(loops, 1, seconds=0.3)
    assert answer.trouble == "endless" and "0.3 seconds" in answer.sentence and time.monotonic() - start < 3
    for _ in range(50):
        assert ask(lambda a: sum(range(1000)), 1).value == 499500


def test_a_loop_that_swallows_exceptions_is_ended_too():
    def loops(a):
        while True:
            try:
                time.sleep(0.001)
            except Exception:
                pass
    assert ask(loops, 1, seconds=0.3).trouble == "endless"


@pytest.mark.parametrize("raised, trouble, words", [
    (NotImplementedError("not written yet"), "not written", "not written yet"), (KeyError("k"), "raised", "KeyError"),
    (SystemExit(3), "raised", "SystemExit"), (MemoryError(), "raised", "MemoryError"), (AssertionError(), "raised", " in line")])
def test_what_is_raised_is_told(raised, trouble, words):
    def raises(a):
        raise raised
    answer = ask(raises, 1)
    assert answer.trouble == trouble and words in answer.sentence


def test_the_line_of_an_error_is_the_students():
    def raises(a):
        return np.ones(2) @ np.ones(3)
    assert f"in line {raises.__code__.co_firstlineno + 1}:" in ask(raises, 1).sentence


def test_a_function_without_an_end():
    def calls(a):
        return calls(a)
    assert "calls itself without an end" in ask(calls, 1).sentence


def test_none_is_nothing():
    assert ask(lambda a: None, 1).trouble == "nothing" and ask(lambda a: ..., 1).trouble == "nothing"


def test_printing_is_kept_back(capsys):
    def prints(a):
        for _ in range(10_000):
            print("x" * 100)
        return a
    answer = ask(prints, 1)
    assert answer.value == 1 and len(answer.printed) <= 10_101 and capsys.readouterr().out == ""


def test_arguments_are_copies_and_changes_are_seen():
    dy, cache = np.ones((2, 3)), (np.zeros(3), 4, np.ones(2))

    def writes(dy, cache):
        dy += 1
        cache[2][0] = 7
        return dy
    answer = answers.ask(writes, Call((dy, cache)))
    assert answer.changed == ("dy", "cache[2]") and (dy == 1).all() and (cache[2] == 1).all()


def test_a_generator_is_copied_in_its_state():
    rng = np.random.default_rng(4)
    assert ask(lambda rng: rng.random(), rng).value == np.random.default_rng(4).random() == rng.random()


@pytest.mark.parametrize("way", ["module", "name", "hidden", "itself"])
def test_the_librarys_own_answer_is_out_of_reach(way):
    from nanolm.layers.layernorm import backward as theirs
    functions = {"module": lambda dy, c: layernorm.backward(dy, c), "name": lambda dy, c: theirs(dy, c),
                 "hidden": lambda dy, c: [sys.setprofile(None), getattr(layernorm, "back" + "ward")(dy, c)][1], "itself": theirs}
    x = np.arange(6.0).reshape(2, 3)
    y, cache = layernorm.forward(x, np.ones(3), np.zeros(3))
    call = Call((y, cache))
    answer = answers.ask(functions[way], call, own=(layernorm.backward,))
    assert answer.trouble == "own" and "layernorm.backward. That one is to be written" in answer.sentence
    assert layernorm.backward(y, cache)[0].shape == (2, 3), "and it is itself again"


def test_local_variables_are_kept_where_they_are_asked_for():
    def steps(a):
        dP = a * 2
        dS = dP - 1
        return dS
    local = ask(steps, np.ones(2), inside=True).local
    assert set(local) == {"a", "dP", "dS"} and (local["dP"] == 2).all()
    assert sys.getprofile() is None
