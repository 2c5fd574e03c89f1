"""Contestants take turns: start each in a process of its own, let one compute at a time, round after round.

    with turns.field({"ours": ("nanolm.bench.ours:train", {...}, None), ...}) as (running, left_out):
        entries = {name: (contestant, "step") for name, contestant in running.items()}
        times = turns.take(entries, left_out, turns.warm(entries, left_out), rounds=7)

A shared or throttled machine is slower at one minute than at the next. So nobody is measured alone: in each round
everybody has one turn, and each round begins with another one. Between two turns there is a pause, because threads of a library
that has just computed wait for more work by spinning for a while (OpenBLAS for about 25 ms, OpenMP's for a few): in
the pause they fall asleep. We do not tell them to sleep at once (OMP_WAIT_POLICY=passive), because it would slow
the peers down. A turn begins with one run that is not counted, if a run is short: it wakes the threads and warms the caches.
How much processor time the sleepers used after all is kept (`idle`), and shown if it is not next to nothing.

Tested    tests/test_bench.py.
"""
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field as dataclass_field

PAUSE = 0.1                                             # seconds between two turns
TURN = 0.4                                              # seconds that a turn takes at least
SHORT = 0.2                                             # a run shorter than this is preceded by one that is not counted


def quiet(sentence, lasting=False):
    """Say nothing. Whoever wants to show where we are gives another function; lasting: the sentence shall stay."""


class Failed(Exception):
    """A contestant has ended, and says why."""


class Contestant:
    """A worker process (worker.py) and the two pipes to it."""

    def __init__(self, name, make, arguments, environment=None):
        self.name = name
        self.words = tempfile.TemporaryFile()           # its stderr: shown only if it dies
        self.process = subprocess.Popen([sys.executable, "-m", "nanolm.bench.worker"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.words, text=True, encoding="utf-8", env=environment)
        self.resident = self.ask(make=make, arguments=arguments)["resident"]

    def ask(self, **request):
        """Return the worker's answer, a dict. Raises Failed with its last words if there is none."""
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            answer = json.loads(self.process.stdout.readline() or "{}")
        except BrokenPipeError:
            answer = {}
        if answer and "error" not in answer:
            return answer
        self.end()
        self.words.seek(0)
        last = self.words.read().decode("utf-8", "replace").strip().splitlines()[-1:] or ["it said nothing"]
        code = self.process.returncode
        killed = " (killed: not enough memory?)" if code == -9 else ""
        raise Failed(answer.get("error") or f"its process ended with status {code}{killed}: {last[0]}")

    def run(self, what, times=1, skip=0):
        return self.ask(run=what, times=times, skip=skip)

    def peak(self):
        """Return the peak of its memory in bytes, or None."""
        return self.ask(peak=True)["peak"]

    def end(self):
        """End the process: it ends by itself when nobody can ask it any more."""
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


@contextlib.contextmanager
def field(contestants, say=quiet):
    """Start {name: (make, arguments, reason)}; give {name: Contestant} and {name: why it is left out}.

    reason: a sentence why this one cannot take part, known beforehand, or None. A fourth member, if there is one, is the
    process's environment.
    """
    running, left_out = {}, {}
    try:
        for name, (make, arguments, reason, *environment) in contestants.items():
            if reason:
                left_out[name] = reason
                continue
            say(f"starting {name}")
            try:
                running[name] = Contestant(name, make, arguments, *environment)
            except Failed as error:
                left_out[name] = str(error)
        yield running, left_out
    finally:
        for contestant in running.values():
            contestant.end()


@dataclass
class Times:
    """The times of one entry: rounds holds one list of seconds for each of its turns."""
    once: float                                                     # seconds that a run took while warming up
    values: list                                                    # what the first runs returned
    rounds: list = dataclass_field(default_factory=list)
    idle: float = 0.0                                               # processor time used while others had their turn
    slept: float = 0.0                                              # and how long they had it

    def runs(self, turn):
        """Return how many runs a turn of so many seconds has, and how many are made before it."""
        return max(1, round(turn / max(self.once, 1e-6))), int(self.once < SHORT)

    def add(self, answer):
        self.rounds.append(answer["seconds"])
        self.idle, self.slept = self.idle + answer["idle"], self.slept + answer["slept"]

    def summary(self):
        """Return a dict of the median and the quartiles of the rounds, in seconds, and of all that is known."""
        low, median, high = quartiles([statistics.median(seconds) for seconds in self.rounds])
        return {"median": median, "low": low, "high": high, "rounds": self.rounds, "values": self.values,
                "idle": self.idle, "slept": self.slept}


def quartiles(values):
    """Return the first quartile, the median and the third quartile of values; one value is all three."""
    if len(values) == 1:
        return values * 3
    return statistics.quantiles(values, n=4, method="inclusive")


def warm(entries, left_out, say=quiet, times=2):
    """Run each of {name: (Contestant, what)} a few times untimed: compiling, first touch of the memory.

    Return {name: Times}. One that fails goes from entries to left_out, with the reason.
    """
    found = {}
    for name, (contestant, what) in list(entries.items()):
        say(f"warming up {name}")
        try:
            answers = [contestant.run(what) for _ in range(1 + times)]
            found[name] = Times(answers[-1]["seconds"][0], [answer["value"] for answer in answers])
        except Failed as error:
            left_out[name] = str(error)
            del entries[name]
    return found


def take(entries, left_out, times, rounds, say=quiet, turn=TURN, pause=PAUSE):
    """Let all entries have their turns, `rounds` times, and add what they took to `times`, warm's answer, which is returned."""
    order = list(entries)
    for k in range(rounds):
        before = None
        for name in order[k % len(order):] + order[:k % len(order)]:        # every round begins with another one
            if name not in entries:
                continue
            contestant, what = entries[name]
            say(f"round {k + 1} of {rounds}: {name}")
            if contestant is not before:
                time.sleep(pause)
            before = contestant
            try:
                n, skip = times[name].runs(turn)
                times[name].add(contestant.run(what, n, skip))
            except Failed as error:
                left_out[name] = str(error)
                del entries[name], times[name]
    return times


def plan(rounds, seconds):
    """Return "5 rounds, about 12 s", and what one round is worth."""
    few = ": too few to tell noise from speed" if rounds < 3 else ""
    return f"{rounds} round{'s' * (rounds != 1)}{few}, about {seconds:.0f} s"


def duration(times, rounds, turn=TURN, pause=PAUSE):
    """Return about how many seconds `take` will need."""
    return rounds * sum(pause + sum(t.runs(turn)) * t.once for t in times.values())


def busy(found, share=0.05):
    """Return a sentence for each that used more than a small share of a core while others had their turn.

    found: {name: summary}
    """
    return [f"{name} used {100 * t['idle'] / t['slept']:.0f} % of a core while others had their turn."
            for name, t in found.items() if t["idle"] > share * t["slept"]]


def agree(answers, tolerance=1e-3):
    """Return whether all answers, lists of as many numbers, are the same to a tolerance relative to the largest number."""
    largest = max((abs(number) for answer in answers for number in answer), default=0)
    return all(max(numbers) - min(numbers) <= tolerance * largest for numbers in zip(*answers))


def spread(t):
    """Return the quartiles of a summary, in milliseconds, for a cell of a table."""
    return f"{1e3 * t['low']:,.1f} - {1e3 * t['high']:,.1f}"


def share(limit, t):
    """Return which share of the limit a summary reaches, for a cell; nothing if there is no limit."""
    return f"{100 * limit['median'] / t['median']:.0f} %" if limit else ""
