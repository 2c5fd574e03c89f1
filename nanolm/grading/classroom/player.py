"""A submission as something that can be asked, in a process of its own.

    with Player(submission.parts, names, limits) as player:
        grade("layernorm.backward", player.of("layernorm.backward"))

If the process dies (os._exit, a crash, no memory left) or does not answer in time, the question is lost: it is answered by
"ended" or "endless", and the next exercise gets a new process.

Tested    tests/grading/test_player.py.
"""
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import nanolm
from nanolm.grading import answers
from nanolm.grading.classroom import wire


@dataclass(frozen=True)
class Limits:
    """What one submission may use."""
    seconds: float = 2.0                            # for one call
    loading: float = 10.0                           # for running the file once
    total: int = 120                                # of processor time, in one process
    memory: int = 2**30                         # bytes of address space


class Player:
    """The process of one submission, started when it is first asked and again after it has died."""

    def __init__(self, parts, names, limits=Limits()):
        self.parts, self.names, self.limits = parts, list(names), limits
        self.process, self.replies, self.found = None, None, []
        self.trouble, self.locks, self.attempts, self.late = [], [], [], False

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.end()

    def of(self, name):
        """Return the answer to one exercise: an object with ask(call, seconds), which grade takes as a function."""
        return One(self, name)

    def start(self):
        """Start the process and load the code; what it has answers for is in `found`, what stopped in `trouble`."""
        self.folder = tempfile.TemporaryDirectory(prefix="nanolm-", ignore_cleanup_errors=True)
        ours, theirs = os.pipe()
        runner = Path(__file__).with_name("runner.py")
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": self.folder.name, "TMPDIR": self.folder.name,
                       "MPLCONFIGDIR": self.folder.name, "LANG": "C.UTF-8",
                       "MPLBACKEND": "Agg", "NANOLM_KERNELS": "numpy", "OMP_NUM_THREADS": "1",
                       "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        argv = ["", str(Path(nanolm.__file__).parents[1]), str(self.limits.memory), str(self.limits.total)]
        command = [sys.executable, "-I", "-X", "utf8", "-c",
                   f"import os, sys; os.dup2({theirs}, 3); sys.argv = {argv!r}; "
                   f"import runpy; runpy.run_path({str(runner)!r}, run_name='__main__')"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        cwd=self.folder.name, env=environment, pass_fds=(theirs,), start_new_session=True)
        os.close(theirs)
        self.replies = queue.Queue()
        threading.Thread(target=self.listen, args=(ours, self.replies), daemon=True).start()
        hello = self.hear(60)
        if hello is None:
            self.end()
            raise OSError("the process for a submission could not be started. Is nanolm installed completely?")
        self.locks = hello["locks"]
        files = len({part["file"] for part in self.parts})
        loaded = self.say({"load": self.parts, "names": self.names, "seconds": self.limits.loading},
                          self.limits.loading + 5 + files)
        if loaded is None:
            self.found = []
            self.trouble = ["Running the file ended the process, or did not end. What stands outside of functions?"]
        else:
            self.found, self.trouble, self.attempts = (texts(loaded.get(key)) for key in ("found", "stopped", "attempts"))

    @staticmethod
    def listen(descriptor, replies):
        """Put what the process says into a queue; None when it says no more, or nonsense."""
        with os.fdopen(descriptor, "rb") as stream:
            while True:
                try:
                    reply = wire.read(stream)
                except ValueError:
                    reply = None
                replies.put(reply)
                if reply is None:
                    return

    def hear(self, seconds):
        """Return what the process says next, None if it says nothing (`late`), or no more, or nonsense."""
        try:
            reply, self.late = self.replies.get(timeout=seconds), False
        except queue.Empty:
            reply, self.late = None, True
        return reply if isinstance(reply, dict) else None

    def say(self, request, seconds):
        """Return the reply to a request; None, and the process is ended, if none comes in time."""
        try:
            self.process.stdin.write(wire.pack(request))
            self.process.stdin.flush()
            reply = self.hear(seconds)
        except OSError:
            reply = None
        if reply is None:
            self.end()
        return reply

    def ask(self, name, call, seconds, own, back):
        """Return the Answer to one call of one exercise."""
        if self.process is None:
            self.start()
        if name not in self.found:
            return answers.Answer(trouble="not written", sentence=" ".join(self.trouble[:3]) or "There is no function for it.")
        request = {"name": name, "args": call.args, "kwargs": call.kwargs, "seconds": seconds, "back": back,
                   "own": [f"{one.__module__}:{one.__name__}" for one in own]}
        reply = self.say(request, 2 * seconds + 3)
        if reply is None:
            if self.late:
                return answers.Answer(trouble="endless", sentence=f"It had not returned after {seconds:g} seconds.")
            return answers.Answer(trouble="ended", sentence="It ended the whole process: was too much memory used, or "
                                                            "os._exit called?")
        self.attempts += [one for one in reply.get("attempts", []) if one not in self.attempts]
        return told(reply)

    def end(self):
        """End the process and whatever belongs to it, and remove its folder."""
        process, self.process = self.process, None
        if process is None:
            return
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (OSError, AttributeError):
            process.kill()
        process.wait()
        process.stdin.close()
        self.folder.cleanup()


class One:
    """The answer of a Player to one exercise."""

    def __init__(self, player, name):
        self.player, self.name = player, name
        self.own, self.back = (), False             # set by grade's trials: what must not be called, and whether args are needed

    def ask(self, call, seconds):
        return self.player.ask(self.name, call, seconds, self.own, self.back)


def texts(value):
    """Return a list of texts that a stranger's process sent; of what is no list, none."""
    return [str(one)[:500] for one in value] if isinstance(value, list) else []


def told(reply):
    """Return the Answer that a reply holds. It comes from a stranger: whatever is not of the right kind becomes text."""
    words = {name: str(reply.get(name, ""))[:2000] for name in ("trouble", "sentence", "error", "printed")}
    changed, replaced = reply.get("changed", []), reply.get("replaced", [])
    args, kwargs = reply.get("args", ()), reply.get("kwargs", {})
    if not words["trouble"] and reply.get("value") is None and "value" not in reply:
        return answers.Answer(trouble="ended", sentence="What came back is no answer.")
    return answers.Answer(value=reply.get("value"), changed=tuple(map(str, changed)) if isinstance(changed, list) else (),
                          replaced=tuple(tuple(one) for one in replaced if is_place(one)) if isinstance(replaced, list) else (),
                          args=args if isinstance(args, tuple) else (),
                          kwargs=kwargs if isinstance(kwargs, dict) else {}, **words)


def is_place(one):
    """Return whether this is [argument, key], the place of an array that was replaced."""
    return isinstance(one, list) and len(one) == 2 and type(one[0]) is int and one[0] >= 0 and isinstance(one[1], str)
