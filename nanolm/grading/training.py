"""train_with(mine): a passed exercise trains a small GPT-2, or a small Llama, on the student's own code.

    training = train_with(mine)         a Training: print it, look at it in a notebook, training.save("curve.png")

The same model learns twice from the same seed: once with nanolm's own function, once with the student's in its place. The
loss curves lie on top of each other, because the two compute the same; how closely is said.

Tested    tests/grading/test_grader.py.
"""
import base64
import contextlib
import io
import random
import time
from dataclasses import dataclass

import numpy as np

from nanolm import gradcheck, kernels, threads
from nanolm.data import tales
from nanolm.grading import exercises, grader
from nanolm.models import gpt2, llama
from nanolm.params import flatten
from nanolm.text import Characters
from nanolm.training import clipping
from nanolm.training.optimizers import adamw

GPT2 = ("linear", "gelu", "softmax", "embedding", "positions", "layernorm", "dropout", "cross_entropy", "attention", "multihead",
        "mlp", "block", "gpt2")
LLAMA = ("rmsnorm", "silu", "rotary", "swiglu", "grouped", "llama_block", "llama")


@dataclass
class Training:
    """Two runs: the losses with nanolm's function and with the student's, nats a token, one number a step."""
    exercise: str
    ours: list
    yours: list
    seconds: float

    @property
    def difference(self):
        """The largest difference between the two curves, in nats."""
        return float(np.abs(np.subtract(self.ours, self.yours)).max())

    def __str__(self):
        return (f"{self.exercise}: a small model ran {len(self.yours)} steps on your code in {self.seconds:.1f} s. Its loss went "
                f"from {self.yours[0]:.3f} to {self.yours[-1]:.3f}; nanolm's own ended at {self.ours[-1]:.3f}. The curves "
                f"differ by {self.difference:.1e} at most.")

    __repr__ = __str__

    def png(self):
        """Return the picture of both curves as PNG bytes."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        figure = Figure(figsize=(6, 3.2), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.plot(self.ours, color="#b0b0b0", linewidth=5, label="nanolm's own")
        axes.plot(self.yours, color="#b00020", linewidth=1.5, linestyle="--", label=f"with your {self.exercise}")
        axes.set_xlabel("step")
        axes.set_ylabel("loss, nats a character")
        axes.legend(frameon=False)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=100)
        return buffer.getvalue()

    def save(self, path):
        """Write the picture to a file, whole or not at all."""
        from nanolm import files
        files.atomic_write(path, self.png())

    def _repr_html_(self):
        import html
        data = base64.b64encode(self.png()).decode()
        return f"<p>{html.escape(str(self))}</p><img alt='two loss curves' src='data:image/png;base64,{data}'>"


def train_with(function, exercise=None, steps=60, seed=0):
    """Return the Training of a small model in which `function` stands in the place of the library's.

    exercise: its name; None: that for which `grade` has passed this very function. Raises ValueError if it has not passed any,
    or if the exercise is none that a model runs on.
    """
    name = exercise or grader.PASSED.get(function)
    if name is None:
        raise ValueError("this function has not passed an exercise yet. Grade it first: grade(\"layernorm.backward\", mine).")
    where = exercises.find(name).where
    layer = where[0].__name__.rsplit(".", 1)[-1] if where else ""
    optimizer = "optimizers" in where[0].__name__ if where else False
    if not optimizer and (layer not in GPT2 + LLAMA or name != f"{layer}.{where[1]}"):
        raise ValueError(f"nothing can be trained on {name}: the small GPT-2 and the small Llama run on the backwards of "
                         f"{', '.join(GPT2 + LLAMA)}, and on the optimizers' steps.")
    start = time.monotonic()
    model = llama if layer in LLAMA else gpt2
    with kernels.using("numpy"), threads.one_for_blas():     # a small model's products are too small to share
        stepper = where[0] if optimizer else adamw
        ours = losses(model, stepper, steps, seed)
        with gradcheck.swap(where[0], **{where[1]: function}) if not optimizer else replaced(where, function):
            yours = losses(model, stepper, steps, seed)
    return Training(name, ours, yours, time.monotonic() - start)


@contextlib.contextmanager
def replaced(where, function):
    """Let the optimizer's function be the student's inside the block."""
    module, name = where
    own = getattr(module, name)
    setattr(module, name, function)
    try:
        yield
    finally:
        setattr(module, name, own)


def losses(model, optimizer, steps, seed):
    """Return the loss of each step: characters of `tales`, batches of 8 x 32, in float64 so that rounding stays small."""
    drawn = random.Random(seed)
    text = "".join(tales.grammar().sample(drawn)[0] + "\n" for _ in range(200))
    tokenizer = Characters.train(text)
    ids = np.asarray(tokenizer.encode(text))
    shape = dict(vocab_size=tokenizer.vocab_size, block_size=32, n_layer=2, n_head=4, n_embd=32)
    config = model.Config(**shape, dropout=0.1) if model is gpt2 else model.Config(**shape, n_kv_head=2, n_hidden=64)
    rng = np.random.default_rng(seed)
    p = model.init(config, rng, np.float64)
    flat = flatten(p)
    state, found = optimizer.init(flat), []
    rate = 0.3 if optimizer.__name__.endswith(("sgd", "momentum")) else 3e-3
    for _ in range(steps):
        starts = rng.integers(0, len(ids) - 33, 8)
        batch = np.stack([ids[i:i + 33] for i in starts])
        loss, cache = model.forward(p, batch[:, :-1], batch[:, 1:], config, rng)
        grads = flatten(model.backward(cache))
        clipping.clip(grads, 1.0)
        optimizer.step(flat, grads, state, rate)
        found.append(float(loss))
    return found
