"""Ctrl-C as a flag: the step that is running is finished, then the run is saved, then it stops.

Python's own reaction, an exception at whatever line happens to run, could leave half of the weights updated. A
second Ctrl-C brings that reaction back, for those who cannot wait; the last checkpoint is whole even then.

Tested    tests/test_resume.py.
"""
import signal
import threading


class Interrupted(Exception):
    """The run was stopped by Ctrl-C and saved. The message says at which step, and how to go on."""


class Watch:
    """with Watch() as watch: ... watch.pressed is False until Ctrl-C is pressed, then True."""

    def __enter__(self):
        self.pressed = False
        self.active = threading.current_thread() is threading.main_thread()     # only there may signals be handled
        if self.active:
            self.before = signal.signal(signal.SIGINT, self.remember)
        return self

    def remember(self, number, frame):
        self.pressed = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def __exit__(self, *error):
        if self.active:
            signal.signal(signal.SIGINT, self.before)
