"""One contestant of a benchmark, in a process of its own: it computes when it is told to, and says how long it took.

    python -m nanolm.bench.worker         one line of JSON in, one line of JSON out

    in    {"make": "nanolm.bench.ours:train", "arguments": {...}}       a function that returns {name: function}
    out   {"resident": bytes now}
    in    {"run": name, "times": 5, "skip": 1}                          run it once untimed, then five times
    out   {"seconds": [5 of them], "value": what the last one returned, "idle": s, "slept": s}
    in    {"forget_peak": true}                                         out  {"resident": bytes, "forgot": true or false}
    in    {"peak": true}                                                out  {"peak": bytes}
    out   {"error": sentence}                                           at any time, and that is the end

idle is the processor time, all threads together, that the process used in the `slept` seconds in which nobody asked
anything of it: the others' turns are only fair if it is next to nothing. The end of the input ends the process.

Tested    tests/test_bench.py.
"""
import importlib
import json
import os
import signal
import sys
import threading
import time

from nanolm.bench import machine

SPIN = 0.1                      # seconds in which the threads of a library may still look for work after a run, by spinning


def main():
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)                                       # what a library prints must not get between the answers
    signal.signal(signal.SIGINT, signal.SIG_IGN)        # Ctrl-C reaches the parent too, and it ends us

    def say(**answer):
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    try:
        made = json.loads(sys.stdin.readline())
        module, name = made["make"].split(":")
        functions = getattr(importlib.import_module(module), name)(**made["arguments"])
        say(resident=machine.resident())
        since = asleep()
        for line in sys.stdin:
            asked = json.loads(line)
            idle = since()
            if "run" in asked:
                say(**run(functions[asked["run"]], asked["times"], asked["skip"]), **idle)
            elif "forget_peak" in asked:
                say(forgot=machine.forget_peak(), resident=machine.resident())
            else:
                say(peak=machine.peak())
            since = asleep()
    except Exception as error:                          # whatever it is, the parent must hear of it
        say(error=f"{type(error).__name__}: {error}")
        raise


def asleep():
    """Return a function that says what this process has used since: {"idle", "slept"}, counted from SPIN seconds after now."""
    began = []
    timer = threading.Timer(SPIN, lambda: began.append((time.perf_counter(), time.process_time())))
    timer.daemon = True
    timer.start()

    def since():
        timer.cancel()
        slept, idle = (time.perf_counter() - began[0][0], time.process_time() - began[0][1]) if began else (0.0, 0.0)
        return {"slept": slept, "idle": idle}

    return since


def run(function, times, skip=0):
    """Call function skip + times times; return the seconds of the last `times` and the value of the last one."""
    seconds, value = [], None
    for _ in range(skip):
        function()
    for _ in range(times):
        start = time.perf_counter()
        value = function()
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds, "value": value}


if __name__ == "__main__":
    main()
