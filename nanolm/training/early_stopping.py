"""Early stopping: when the validation loss has not improved for `patience` evaluations, stop.

The training loss falls as long as one trains; the validation loss falls, then rises, once the model learns the
training text by heart. The best weights are those of the lowest validation loss, wherever the run stops.

The state is a plain dict, so that a checkpoint can hold it:

    best      lowest validation loss so far, nats per token; None before the first evaluation
    step      the step at which it was reached
    waited    evaluations since then

Source    Prechelt 1998, "Early stopping - but when?", compares this rule and its relatives.
Tested    tests/test_schedules.py.
"""


def init():
    """Return the state before the first evaluation."""
    return {"best": None, "step": 0, "waited": 0}


def update(state, loss, step):
    """Return the state after an evaluation that gave `loss` at `step`. Only a strictly lower loss is improvement."""
    if state["best"] is None or loss < state["best"]:
        return {"best": loss, "step": step, "waited": 0}
    return {**state, "waited": state["waited"] + 1}


def should_stop(state, patience):
    """Return whether the last `patience` evaluations brought no improvement; patience 0 or None: never."""
    return bool(patience) and state["waited"] >= patience
