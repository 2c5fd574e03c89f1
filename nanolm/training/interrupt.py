"""Ctrl-C as a flag: the step that is running is finished, then the run is saved, then it stops.

Python's own reaction, an exception at whatever line happens to run, could leave half of the weights updated. A
second Ctrl-C brings that reaction back, for those who cannot wait; the last checkpoint is whole even then. SIGTERM,
by which a system that shuts down or a batch queue asks a program to end, is treated alike.

Tested    tests/test_resume.py.
"""
import contextlib
import os
import signal
import threading


class Interrupted(Exception):
    """The run was stopped by Ctrl-C or SIGTERM. The message says whether it was saved, and how to go on."""


class Watch:
    """with Watch() as watch: ... watch.pressed is False until Ctrl-C is pressed or SIGTERM comes, then True."""

    def __enter__(self):
        self.pressed, self.before = False, {}
        if threading.current_thread() is threading.main_thread():               # only there may signals be handled
            for number in (signal.SIGINT, signal.SIGTERM):
                self.before[number] = signal.signal(number, self.remember)
        return self

    def remember(self, number, frame):
        self.pressed = True
        with contextlib.suppress(OSError):              # (not print: it may have been interrupted itself)
            os.write(2, b"\nFinishing what has begun, then saving. Ctrl-C again stops at once.\n")
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def __exit__(self, *error):
        for number, handler in self.before.items():
            signal.signal(number, handler)
