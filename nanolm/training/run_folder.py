"""The folder of a run: all that training needs to go on, and all that generation needs to begin.

    config.json          the model's shape                    tokenizer.json       text to tokens and back
    settings.json        every knob of the run                corpus.json          name, sizes, baselines, floor
    data.safetensors     the two texts as token ids           metrics.jsonl        losses, one line a step
    checkpoint.*         weights and optimizer, to go on      model.safetensors    the best weights so far
    loss.png             the curves                           samples.txt          text of the model, as it learned
    report.txt           what was reached beside the baselines; report.json: the same for programs
    training.lock        empty; locked while a process trains here

The token ids are kept so that a run goes on even where its text has changed meanwhile or is not to be found: the
default corpus, for one, is the documentation of the Python that runs, and another Python has another.

Tested    tests/test_run_folder.py, tests/test_trainer.py.
"""
import json
import math
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from nanolm import files, text
from nanolm import params as parameters
from nanolm.data import baselines as baselines_of
from nanolm.data.batches import Batches
from nanolm.models import gpt2
from nanolm.training import checkpoint, lock, metrics, tensors
from nanolm.training.settings import Settings


@dataclass(frozen=True)
class Run:
    """What a run folder holds: see the module's docstring. `corpus` is corpus.json as a dict."""
    folder: Path
    config: gpt2.Config
    settings: Settings
    tokenizer: object
    corpus: dict
    train_ids: np.ndarray
    validation_ids: np.ndarray

    def batches(self):
        return Batches(self.train_ids, self.settings.batch_size, self.config.block_size, self.settings.seed)


def prepare(folder, corpus, tokenizer, config, settings, baselines=None, progress=None, ids=None):
    """Return the Run that `folder` shall hold, with both texts as token ids. Nothing is written: see `write`.

    baselines   {name: bits per character} on the validation text; None: measured here (nanolm.data.baselines)
    progress    function(done, total), called while the baselines are measured
    ids         the two texts as the tokenizer encodes them; None: encoded here
    All is checked before the first file is written. Raises FileExistsError if the folder holds a run or other files,
    ValueError if tokenizer and model, or text and model, do not fit together.
    """
    folder = Path(folder)
    check_free(folder)
    if tokenizer.vocab_size != config.vocab_size:
        raise ValueError(f"the tokenizer has {tokenizer.vocab_size} tokens, but the model's vocab_size is "
                         f"{config.vocab_size}. They must be equal.")
    small = np.uint16 if config.vocab_size <= 2**16 else np.int32               # half the disk space where it suffices
    train_ids, validation_ids = ids or (tokenizer.encode(corpus.train), tokenizer.encode(corpus.validation))
    run = Run(folder, config, settings, tokenizer, {}, train_ids.astype(small), validation_ids.astype(small))
    run.batches()                                                               # raises if the text is too short
    metrics.windows(run.validation_ids, config.block_size, config.block_size)
    if baselines is None:
        baselines = baselines_of.measure(corpus.train, corpus.validation, progress)
    floor = corpus.floor if corpus.validation_floor is None else corpus.validation_floor
    run.corpus.update(name=corpus.name, about=corpus.about, fingerprint=corpus.fingerprint,
                      opening=corpus.opening(), baselines=baselines,
                      floor=None if floor is None else floor / math.log(2), train_characters=len(corpus.train),
                      validation_characters=len(corpus.validation), train_tokens=len(run.train_ids),
                      validation_tokens=len(run.validation_ids))
    return run


def make(folder):
    """Make the folder, and those above it, if it is not there. Raises OSError with a sentence."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise type(error)(error.errno, f"could not make the folder {folder}: {error.strerror}.") from error


def write(run):
    """Write the files of a new run, all but its weights, into its folder. Raises FileExistsError if it is not free."""
    folder = run.folder
    check_free(folder)                                                          # again: another may have been faster
    files.atomic_write(folder / "settings.json", run.settings.to_json())        # first: it marks the folder as ours
    files.atomic_write(folder / "config.json", json.dumps({"model": "gpt2", **asdict(run.config)}, indent=2) + "\n")
    run.tokenizer.save(folder)
    files.atomic_write(folder / "corpus.json", json.dumps(run.corpus, indent=2) + "\n")
    files.atomic_write(folder / "data.safetensors",
                       tensors.to_bytes({"train": run.train_ids, "validation": run.validation_ids}))


def check_free(folder):
    """Raise FileExistsError unless a new run may be written to folder: missing, empty, or begun but never trained."""
    if not folder.exists():
        above = next(path for path in folder.absolute().parents if path.exists())
        if not os.access(above, os.W_OK):
            raise PermissionError(f"the folder {folder} cannot be made, because {above} cannot be written. Choose another place: "
                                  f"--out FOLDER.")
        return
    if not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; a run needs a folder. Choose another name.")
    if checkpoint.exists(folder):
        raise FileExistsError(f"{folder} already holds a run. Go on with it: {resume_command(folder)}\n"
                              f"Or choose another folder for the new run.")
    others = [path for path in folder.iterdir() if path.suffix != ".tmp" and path.name != lock.NAME]
    if others and not (folder / "settings.json").exists():
        raise FileExistsError(f"the folder {folder} is not empty and holds no run of nanolm. Nothing was written to "
                              f"it; choose another folder.")
    if (folder / "model.safetensors").exists():
        raise FileExistsError(f"{folder} holds a trained model. Choose another folder for the new run.")


def resume_command(folder, processes=1):
    """Return what to type to go on with the run in `folder`, on one process or on several (any number will do)."""
    if processes > 1:
        return f"mpiexec -n {processes} nanolm train --mpi --resume {quoted(folder)}"
    return f"nanolm train --resume {quoted(folder)}"


def quoted(folder):
    """Return the folder's name as a shell takes it: in double quotes if it has a space or another special character."""
    return str(folder) if re.fullmatch(r"[\w./\\:~-]+", str(folder)) else f'"{folder}"'


def remove_temporary(folder):
    """Remove the half-written files that a killed run leaves behind: files.atomic_write's, before their renaming."""
    for path in folder.glob("*.tmp"):
        path.unlink()


def open_run(folder):
    """Return the Run that a folder holds. Raises FileNotFoundError or ValueError, naming the file at fault."""
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}.")
    data, _ = tensors.read(folder / "data.safetensors")
    if set(data) != {"train", "validation"}:
        raise ValueError(f"{folder / 'data.safetensors'} does not hold the texts of a run, two arrays called 'train' "
                         f"and 'validation'. Was it written over by another file?")
    try:
        settings = Settings.from_dict(files.read_json(folder / "settings.json"))
    except ValueError as error:
        raise ValueError(f"{folder / 'settings.json'} does not hold the settings of a run: {error}") from error
    return Run(folder, load_config(folder), settings, text.load(folder), load_corpus(folder), data["train"],
               data["validation"])


def check_begun(folder):
    """Raise FileNotFoundError if the folder is there but holds no checkpoint to go on from."""
    if Path(folder).is_dir() and not checkpoint.exists(folder):
        raise FileNotFoundError(f"there is no checkpoint in {folder}, so there is nothing to go on from. If a run was "
                                f"stopped before its first step, start it again with the command that began it.")


def load_corpus(folder):
    """Return corpus.json as a dict. Raises FileNotFoundError, or ValueError naming what it lacks."""
    path = Path(folder) / "corpus.json"
    corpus = files.read_json(path)
    for key in ("name", "baselines", "floor", "train_characters", "validation_characters", "train_tokens"):
        if not isinstance(corpus, dict) or key not in corpus:
            raise ValueError(f"{path} is damaged: it does not say {key!r}. Was it written by another program?")
    return corpus


def load_config(folder):
    """Return the Config in folder/config.json. Raises FileNotFoundError, or ValueError naming the wrong field."""
    path = Path(folder) / "config.json"
    values = files.read_json(path)
    if not isinstance(values, dict) or values.pop("model", None) != "gpt2":
        raise ValueError(f'{path} does not say "model": "gpt2". Was it written by another program?')
    try:
        return gpt2.Config(**values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} does not describe a GPT-2: {error}") from error


def save_weights(folder, params):
    """Write model.safetensors: the parameters under the names of the published checkpoint."""
    files.atomic_write(Path(folder) / "model.safetensors", tensors.to_bytes(params))


def load_weights(folder, config):
    """Return the nested parameters in folder/model.safetensors, in the order of the forward pass.

    Raises FileNotFoundError, or ValueError naming the first tensor that does not fit the config.
    """
    path = Path(folder) / "model.safetensors"
    arrays, _ = tensors.read(path)
    expected = parameters.flatten(gpt2.shapes(config))
    for name, shape in expected.items():
        if name not in arrays:
            raise ValueError(f"{path} has no tensor {name!r}, which the model of config.json needs. Do the two files "
                             f"belong together?")
        if arrays[name].shape != shape:
            raise ValueError(f"in {path}, {name!r} has the shape {arrays[name].shape}, but config.json asks for "
                             f"{shape}. Do the two files belong together?")
    return parameters.unflatten({name: arrays[name] for name in expected})


def load(folder):
    """Return p, config, tokenizer of a run: the best weights so far, ready for generation. Raises as its parts do."""
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}.")
    config = load_config(folder)
    return load_weights(folder, config), config, text.load(folder)
