"""Ask the student's function, and survive whatever it does: an error, an endless loop, printing, writing to its arguments.

    answer = ask(function, call)        answer.value, or answer.trouble: "raised", "endless", "own", "not written"

Each call gets fresh copies of the arguments, and they are looked at afterwards. A loop that does not end is ended by an
exception that another thread sends into this one; that reaches Python code, not a C function that hangs, for which the
grading of a whole class has a process of its own (classroom/player.py).

While the function runs, the very function of the library that the student is to write is out of reach: its code is
exchanged for one that raises, so that it does not matter under which name it was imported. And a profiler can keep the
local variables at the end of the student's code, for diagnosis (inside.py).

Tested    tests/grading/test_answers.py.
"""
import contextlib
import ctypes
import io
import os
import sys
import threading
import time
import traceback
import warnings
from dataclasses import dataclass, field

import numpy as np

from nanolm.gradcheck import snapshots

SEND = ctypes.pythonapi.PyThreadState_SetAsyncExc   # looked up now: where strangers' code runs, ctypes is locked later
SECONDS = 2.0                                       # for one call with arguments of a few dozen numbers


class TooLong(BaseException):
    """Sent into a call that does not come back. A BaseException, so that `except Exception` does not swallow it."""


class Own(BaseException):
    """Raised when the library's own answer is called."""


@dataclass
class Answer:
    """What one call of the student's function gave."""
    value: object = None
    trouble: str = ""                               # "", "not written", "raised", "endless", "own", "ended"
    sentence: str = ""                              # of the trouble
    error: str = ""                                 # the class of what was raised
    printed: str = ""
    changed: tuple = ()                             # the arguments that it wrote to
    replaced: tuple = ()                            # (argument, key): another array was put into a dict, and the old one
                                                    # did not move
    args: tuple = ()                                # the arguments after the call: an optimizer's answer is there
    kwargs: dict = field(default_factory=dict)
    local: dict = field(default_factory=dict)       # its local variables at the end, if asked for


def ask(function, call, own=(), seconds=SECONDS, inside=False):
    """Return the Answer of function(*call.args, **call.kwargs), called on copies.

    own: functions of the library that must not be called. inside: keep the local variables of the function's own code.
    """
    args, kwargs = copied(call.args), copied(call.kwargs)
    before, held = snapshots.snapshot((args, kwargs)), [dict(one) if isinstance(one, dict) else {} for one in args]
    answer, words = Answer(args=args, kwargs=kwargs), Words()
    watch = Watch(function) if inside else contextlib.nullcontext()
    try:
        with out_of_reach(own), limit(seconds), contextlib.redirect_stdout(words), np.errstate(all="ignore"), unwarned(), watch:
            answer.value = function(*args, **kwargs)
    except NotImplementedError as error:
        answer.trouble, answer.sentence = "not written", str(error) or "it raises NotImplementedError"
    except TooLong:
        answer.trouble, answer.sentence = "endless", f"It had not returned after {seconds:g} seconds."
    except Own as error:
        answer.trouble, answer.sentence = "own", str(error)
    except RecursionError as error:
        answer.trouble, answer.error = "raised", "RecursionError"
        answer.sentence = f"It calls itself without an end (RecursionError{place(error, function)})."
    except KeyboardInterrupt:
        raise
    except BaseException as error:                  # SystemExit too: exit() in an answer ends the answer, not the grader
        answer.trouble, answer.error = "raised", type(error).__name__
        text = short(error)
        answer.sentence = f"It raised {answer.error}{place(error, function)}" + (f": {text}" if text != answer.error else ".")
    answer.printed = words.getvalue()
    answer.changed = changed(before, (args, kwargs), function)
    answer.replaced = replaced(held, args)
    if inside:
        answer.local = watch.local
    if not answer.trouble and (answer.value is None or answer.value is Ellipsis):
        answer.trouble, answer.sentence = "nothing", f"It returned {answer.value!r}."
    return answer


@contextlib.contextmanager
def unwarned():
    """Keep quiet what NumPy warns of (a mean of nothing, a variance of one number): it is in what comes back."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Words(io.StringIO):
    """What is printed, up to 10,000 characters: an answer that prints in a loop must not fill the memory."""

    def write(self, text):
        return super().write(text) if self.tell() < 10_000 else len(text)


class Watch:
    """Keep the local variables of a function as they are when it is left. (A profiler: it slows the function down.)"""

    def __init__(self, function):
        self.code = getattr(function, "__code__", None)
        self.local = {}

    def __enter__(self):
        self.before = sys.getprofile()
        sys.setprofile(self.look)
        return self

    def __exit__(self, *error):
        sys.setprofile(self.before)

    def look(self, frame, event, argument):
        if event == "return" and frame.f_code is self.code and argument is not None:
            self.local = dict(frame.f_locals)


@contextlib.contextmanager
def out_of_reach(functions):
    """Let the functions raise Own inside the block, whoever calls them and under whatever name."""
    kept = [(one, one.__code__) for one in functions if hasattr(one, "__code__") and not one.__code__.co_freevars]
    try:
        for one, code in kept:
            one.__code__ = refusal(f"It calls nanolm's own {one.__module__.rsplit('.', 1)[-1]}.{one.__name__}. That one is to be "
                                   f"written.")
        yield
    finally:
        for one, code in kept:
            one.__code__ = code


def refusal(sentence):
    """Return the code of a function that raises Own(sentence), for any arguments.

    It will run among the names of another module, so the class and the sentence are its constants.
    """
    def refuse(*args, **kwargs):
        kind = "kind"
        raise kind("sentence")
    constants = {"kind": Own, "sentence": sentence}
    return refuse.__code__.replace(co_consts=tuple(constants.get(one, one) for one in refuse.__code__.co_consts))


@contextlib.contextmanager
def limit(seconds):
    """Raise TooLong in this thread once `seconds` have passed, and again until the block is left."""
    here, done, lock, sent = threading.get_ident(), threading.Event(), threading.Lock(), []

    def send():
        wait = seconds
        while not done.wait(wait):
            with lock:
                if not done.is_set():
                    sent.append(1)
                    SEND(ctypes.c_ulong(here), ctypes.py_object(TooLong))
            wait = 0.2

    threading.Thread(target=send, daemon=True).start()
    try:
        yield
    finally:
        with lock:                                  # none is sent from here on
            done.set()
        with contextlib.suppress(TooLong):          # and one that is still on its way arrives here
            while sent and sent.pop():
                time.sleep(0.001)


def copied(tree, made=None):
    """Return a copy of a nest of tuples, lists, dicts and arrays; generators are copied in the state that they are in.

    An array that is there under two names is one array in the copy too. made: {id of an array: its copy}.
    """
    made = {} if made is None else made
    if isinstance(tree, np.ndarray):
        if id(tree) not in made:
            made[id(tree)] = tree.copy(order="K")
        return made[id(tree)]
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(copied(one, made) for one in tree))
    if isinstance(tree, (tuple, list)):
        return type(tree)(copied(one, made) for one in tree)
    if isinstance(tree, dict):
        return {key: copied(value, made) for key, value in tree.items()}
    if isinstance(tree, np.random.Generator):
        other = np.random.default_rng()
        other.bit_generator.state = tree.bit_generator.state
        return other
    return tree


def changed(before, after, function):
    """Return the names of the arguments that differ from their snapshot. A generator is there to be drawn from."""
    names = parameters(function)
    found = []
    for i, (old, new) in enumerate(zip(before[0], after[0])):
        name = names[i] if i < len(names) else f"argument {i + 1}"
        if isinstance(new, np.random.Generator):
            continue
        if isinstance(new, tuple):                  # a cache: say which part
            found += [f"{name}[{j}]" for j, (one, other) in enumerate(zip(old, new)) if not snapshots.same(one, other)]
        elif not snapshots.same(old, new):
            found.append(name)
    return tuple(found + [name for name, new in after[1].items() if not isinstance(new, np.random.Generator)
                          and not snapshots.same(before[1][name], new)])


def replaced(held, args):
    """Return (argument, key) of each array in a dict that another was put in the place of, while it stayed as it was.

    held: what was in each argument before, {} for one that is no dict. Whoever holds the old array sees nothing of the new.
    """
    return tuple((i, key) for i, before in enumerate(held) if isinstance(args[i], dict) for key, old in before.items()
                 if isinstance(old, np.ndarray) and key in args[i] and not snapshots.same(old, args[i][key]))


def parameters(function):
    """Return the names of a function's positional parameters, () if they cannot be known."""
    code = getattr(function, "__code__", None)
    return code.co_varnames[:code.co_argcount] if code else ()


def place(error, function):
    """Return " in line 12" of the student's code, if the error passed through it; of a notebook's cell, which one."""
    code = getattr(function, "__code__", None)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)
             if code and frame.filename == code.co_filename]
    cell = code.co_filename.partition(", ")[2] if code else ""
    return f" in line {lines[-1]}{f' of {cell}' if cell else ''}" if lines else ""


def short(error):
    """Return the first 200 characters of what an exception says, on one line, ASCII, without folders of this machine.

    Of one that says nothing, the name of its class.
    """
    try:
        text = " ".join(str(error).split())
    except Exception:                               # a __str__ of its own that fails
        text = "(its text cannot be shown)"
    text = text.replace(os.path.expanduser("~"), "~") or type(error).__name__
    return text.encode("ascii", "backslashreplace").decode()[:200]
