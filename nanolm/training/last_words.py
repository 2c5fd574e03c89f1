"""Last words: what a process would have said, had it not been killed.

Nobody can catch SIGKILL, and a launcher that ends a job of many processes sends it to all of them. So a small second
process is told the words beforehand. It reads from a pipe, and a pipe ends when its writer ends, in whatever way:

    ours      words ------------------------------ killed             the pipe ends: the other one says the words
    ours      words ------------------ 0 --- ends                     a zero byte came: the other one ends in silence

And a process that ends its whole job by force has to wait until its words have been read: mpiexec passes on what its
processes say, and when one of them aborts it no longer looks into their pipes (MPICH lost 7 of 240 such last words, and
none of 600 with until_read).

Tested    tests/test_mpi.py.
"""
import subprocess
import sys
import time

SPEAKER = "import sys; said = sys.stdin.buffer.read(); said.endswith(b'\\0') or sys.stderr.buffer.write(said)"


class LastWords:
    """words = LastWords("To go on: ..."), which is said on stderr if this process is killed before words.take_back()."""

    def __init__(self, words):
        try:                                            # -I -S: it starts in some 10 ms, and reads no folder of the user's
            self.speaker = subprocess.Popen([sys.executable, "-I", "-S", "-c", SPEAKER], stdin=subprocess.PIPE,
                                            stdout=subprocess.DEVNULL, start_new_session=True)     # Ctrl-C is not for it
            self.speaker.stdin.write(words.encode("ascii", "backslashreplace") + b"\n")
            self.speaker.stdin.flush()
        except OSError:                                 # a convenience: training does not depend on it
            self.speaker = None

    def take_back(self):
        """The end is a good one: nothing is to be said."""
        if self.speaker is not None:
            try:
                self.speaker.stdin.write(b"\0")
                self.speaker.stdin.close()
            except OSError:                             # the speaker is gone already
                pass
            self.speaker.wait()
            self.speaker = None


def until_read(file, seconds=2.0):
    """Return when somebody has read all that was written to the pipe `file`, or after so many seconds."""
    try:
        import fcntl
        import termios
        unread, end = bytearray(4), time.monotonic() + seconds
        while fcntl.ioctl(file.fileno(), termios.FIONREAD, unread) == 0 and any(unread) and time.monotonic() < end:
            time.sleep(0.002)
    except (ImportError, OSError, ValueError):          # Windows; not a pipe; not a file of the system
        time.sleep(0.1)
