"""A run that takes a second: what the tests of the trainer train, and a program for those that kill it.

    python tiny_run.py FOLDER       begin, or go on if the folder holds a checkpoint
"""
import sys
from pathlib import Path

import numpy as np

from nanolm import text
from nanolm.data.corpus import Corpus
from nanolm.models import gpt2
from nanolm.training import checkpoint, ranks, tensors, trainer
from nanolm.training.settings import Settings

LINES = [f"{who} {does} the {what}.\n" for who in ("Ann", "Bob", "Cleo") for does in ("sees", "finds", "likes")
         for what in ("cat", "old house", "river", "red door")]
CORPUS = Corpus("lines", "".join(LINES) * 3, "".join(LINES[::5]), about="sentences made up for a test")
TOKENIZER = text.Characters.train(CORPUS.train)
CONFIG = gpt2.Config(vocab_size=TOKENIZER.vocab_size, block_size=16, n_layer=2, n_head=2, n_embd=16, dropout=0.1)
SETTINGS = Settings(steps=40, batch_size=6, shards=2, lr=1e-2, eval_every=10, save_every=4, l1=1e-5, seed=3)
BASELINES = {"uniform": 5.0, "trigram": 2.0}


def sample(p, config, tokenizer, seed):
    return f"<{float(np.abs(p['ln_f']['weight']).sum()):.3f}>"


def train(folder, corpus=CORPUS, config=CONFIG, settings=SETTINGS, sample=sample, team=ranks.ALONE, **changes):
    return trainer.train(folder, corpus, TOKENIZER, config, settings.changed(**changes), progress=False,
                         baselines=BASELINES, sample=sample, team=team)


def resume(folder, sample=sample, **changes):
    return trainer.resume(folder, progress=False, sample=sample, **changes)


def contents(folder):
    """Return what must be equal at the end of two runs of one seed, however often one of them was killed."""
    return {name: (Path(folder) / name).read_bytes() for name in
            (checkpoint.NAME, "model.safetensors", "metrics.jsonl", "samples.txt", "corpus.json", "settings.json")}


def weights(folder):
    """Return the arrays in the newest checkpoint."""
    return tensors.read(Path(folder) / checkpoint.NAME)[0]


if __name__ == "__main__":
    resume(sys.argv[1]) if checkpoint.exists(sys.argv[1]) else train(sys.argv[1])
