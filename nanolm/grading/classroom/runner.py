"""The process in which a student's code runs: it is told the code and the arguments, and tells what came back.

    python -I runner.py FOLDER_OF_NANOLM MEMORY SECONDS         frames (wire.py) on standard input and on descriptor 3

It knows no right answers: those are in the grader's process, which compares. So nothing that a student's code does to this
process, to numpy in it or to nanolm in it can turn a wrong answer into a right one.

Tested    tests/grading/test_player.py.
"""
import os
import sys
import types


def main():
    home, memory, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    sys.path.insert(0, home)
    sys.dont_write_bytecode = True
    import importlib.util
    spec = importlib.util.spec_from_file_location("sandbox", os.path.join(os.path.dirname(__file__), "sandbox.py"))
    sandbox = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sandbox)
    attempts = []
    readable = [sys.prefix, sys.base_prefix, os.path.join(home, "nanolm"), *(p for p in sys.path if "-packages" in p), "/usr",
                "/lib", "/lib64", "/etc/ld.so.cache", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/self",
                "/sys/devices/system/cpu", "/sys/kernel/mm/transparent_hugepage"]
    second_half = sandbox.lock(readable, memory, seconds, attempts, os.getcwd())

    import io
    import numpy as np                              # noqa: F401  before the hook: what students import is here already
    import nanolm.models.gpt2                       # noqa: F401
    from nanolm import gradcheck, kernels           # noqa: F401
    from nanolm.grading import answers, pairs
    from nanolm.grading.classroom import marking, wire
    from nanolm.grading.exercise import Call
    kernels.use("numpy")
    frames, replies = sys.stdin.buffer, os.fdopen(3, "wb")
    sys.stdin = io.StringIO()
    for name in [name for name in sys.modules if name.startswith("nanolm.grading")]:
        del sys.modules[name]                       # the right answers are not to be had here, and cannot be imported again
    sys.modules["nanolm.grading"] = sys.modules["nanolm"].grading = stand_in()
    questions = pairs.all_of(0)                     # for checkers: which of them are wrong is the grader's secret

    def function(number, side):
        return getattr(questions[number], side)
    applied = second_half()

    def reply(tree):
        replies.write(wire.pack(tree))
        replies.flush()

    reply({"locks": applied})
    found = {}
    while True:
        request = wire.read(frames, function)
        if request is None:
            os._exit(0)
        if "load" in request:
            found, stopped = marking.load(request["load"], request["seconds"])
            found = {name: one for name, one in found.items() if name in request["names"]}
            reply({"found": list(found), "stopped": stopped[:20], "attempts": list(attempts)})
            continue
        attempts.clear()
        own = [one for one in map(named, request["own"]) if one is not None]
        call = Call(request["args"], request["kwargs"])
        answer = answers.ask(found[request["name"]], call, own, request["seconds"])
        reply({"value": answer.value, "trouble": answer.trouble, "sentence": answer.sentence, "error": answer.error,
               "printed": answer.printed[:1000], "changed": list(answer.changed),
               "replaced": [list(one) for one in answer.replaced], "attempts": list(attempts),
               "args": answer.args if request["back"] else (), "kwargs": answer.kwargs if request["back"] else {}})


class Nothing:
    """What the stand-in's functions return: it has every attribute and can be called, and all of them are nothing again."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args, **kwargs):
        return self

    def __str__(self):
        return ""

    def __bool__(self):
        return False


def stand_in():
    """Return a module in the place of nanolm.grading, for files that grade themselves. It does nothing and knows nothing."""
    module = types.ModuleType("nanolm.grading", "Not the grader: a stand-in that does nothing.")
    for name in ("exercises", "find", "grade", "hint", "Report", "train_with"):
        setattr(module, name, Nothing())
    return module


def named(word):
    """Return the function "module:name", None if there is none."""
    module, _, name = word.partition(":")
    return getattr(sys.modules.get(module), name, None)


if __name__ == "__main__":
    main()
