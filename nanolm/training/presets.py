"""Whole runs by name: the shape of the model, the tokenizer and the settings that go together.

    quick      under 3 minutes on two cores: the first run, and what `nanolm train` does if told nothing
    long       under 30 minutes on two cores

What each reaches beside the baselines is measured and stands in README.md; the tests train a much smaller one.
"""
from dataclasses import dataclass

from nanolm.models import gpt2
from nanolm.training.settings import Settings


@dataclass(frozen=True)
class Preset:
    config: gpt2.Config              # vocab_size is replaced by the trained tokenizer's
    tokenizer: str                   # "bpe" or "characters"
    vocab_size: int                  # of the bpe tokenizer
    settings: Settings
    about: str


PRESETS = {
    "quick": Preset(gpt2.preset("nano", vocab_size=4096), "bpe", 4096,
                    Settings(steps=1600, batch_size=8, lr=1.5e-3, eval_every=200, save_every=200),
                    "under 3 minutes on two cores"),
    "long": Preset(gpt2.preset("nano", vocab_size=4096, block_size=256, n_layer=6, n_embd=256, dropout=0.1),
                   "bpe", 4096,
                   Settings(steps=1600, batch_size=8, lr=1.5e-3, eval_every=200, save_every=200),
                   "under 30 minutes on two cores"),
}


def preset(name):
    """Return the Preset of that name. Raises ValueError, naming those there are."""
    if name not in PRESETS:
        raise ValueError(f"there is no training preset {name!r}. There are: {', '.join(PRESETS)}.")
    return PRESETS[name]
