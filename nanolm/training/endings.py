"""How a run ends before its last step, in sentences: what happened, what is left of it, and what to type to go on.

Tested    tests/test_resume.py, tests/test_trainer.py, tests/test_mpi.py.
"""
from contextlib import contextmanager

from nanolm.training import checkpoint, run_folder
from nanolm.training.interrupt import Interrupted


@contextmanager
def how_to_go_on(folder, team):
    """Say after a Ctrl-C that would not wait, or an OSError (a full disk), what is left and how to go on."""
    def last():
        if team.words:
            return ""                                   # ranks.job says them
        if checkpoint.exists(folder):
            return f"The last checkpoint is whole. To go on from it: {run_folder.resume_command(folder)}"
        return "There is no checkpoint yet. Start again with the command that began it."

    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"Stopped at once. {last()}".strip()) from None
    except OSError as error:
        raise type(error)(error.errno or 0, f"{error.strerror or error}\nThe run has stopped. {last()}".strip()) from error


def diverged(folder, t, loss, norm, bad, team):
    """Return what to say when the loss or the gradient is not finite; bad: the first tensor that was not (nan_report.py)."""
    return (f"At step {t + 1:,} the loss is {loss} and the gradient's norm {norm}; the run has stopped before they "
            f"could reach the weights.\nThe first tensor that went bad: {bad}.\n{from_the_last_good(folder, t, team)}")


def from_the_last_good(folder, t, team):
    """Return how to go on from the newest checkpoint whose weights are not those of step t."""
    if not team.leads:
        return ""                                       # only the first rank has files to look into, and speaks
    good = checkpoint.last_good(folder, t)
    if good is None:
        return "There is no checkpoint of other weights. Begin a new run, with a lower learning rate."
    return (f"The checkpoint of step {good:,} is good. To go on from it more carefully, with a lower learning rate: "
            f"{run_folder.resume_command(folder, team.size)} --lr ...")
