"""Checkpoints: all that a killed run needs to end with the very weights it would have had. One file holds all of it.

    checkpoint.safetensors             tensors    model.<name>, optimizer.<name>
                                       header     JSON: step, optimizer's t, position in the data, best loss so far,
                                                  settings, config, checksum
    checkpoint.previous.safetensors    the one before, in case the first is ever damaged
    checkpoint.diverged.safetensors    weights with which the loss was NaN; no run goes on from it (see last_good)

Why one file: a program can be killed between any two instructions. Weights in one file and the step in another could
be from different steps. One file is written under another name, put on the disk, then renamed, and a rename happens
entirely or not at all:

    1. write checkpoint.new.safetensors      (files.atomic_write: not even this name ever holds half a file)
    2. rename checkpoint -> previous
    3. rename new -> checkpoint

Killed before 2, the old checkpoint is in place; between 2 and 3, previous is; after 3, the new one is. No random state
is stored: dropout draws from (seed, step, shard), batches from (seed, epoch), so the step and the position say it all.

Errors    CheckpointError with a sentence: damaged (the checksum tells), or of another model (what differs is named).
          OSError with a sentence if the disk is full; the old checkpoint stays in place.
Source    the format: https://github.com/huggingface/safetensors. It holds numbers only, no code, unlike pickle.
Tested    tests/test_checkpoint.py, tests/test_resume.py.
"""
import json
import os
import zlib
from pathlib import Path

import numpy as np

from nanolm import files
from nanolm.training import tensors

NAME, PREVIOUS, NEW = "checkpoint.safetensors", "checkpoint.previous.safetensors", "checkpoint.new.safetensors"
DIVERGED = "checkpoint.diverged.safetensors"


class CheckpointError(ValueError):
    """A checkpoint cannot be used. The message says why, and what to do."""


def exists(folder):
    """Return whether folder holds a checkpoint, the newest or the one before."""
    return (Path(folder) / NAME).exists() or (Path(folder) / PREVIOUS).exists()


def save(folder, params, state, progress, config, settings):
    """Write a checkpoint.

    params, state      flat dicts, of the model and of the optimizer
    progress           JSON-able dict: step, position in the data, best loss
    config, settings   JSON-able dicts, to recognise the model and the run by
    """
    folder = Path(folder)
    arrays = {**{"model." + name: w for name, w in params.items()},
              **{"optimizer." + name: a for name, a in state.items() if name != "t"}}
    header = {"format": 1, "config": config, "settings": settings, "progress": progress, "t": state["t"]}
    text = json.dumps(header, sort_keys=True)
    data = tensors.to_bytes(arrays, {"nanolm": f"{checksum(arrays, text)} {text}"})
    files.atomic_write(folder / NEW, data)
    if (folder / NAME).exists():
        os.replace(folder / NAME, folder / PREVIOUS)
    os.replace(folder / NEW, folder / NAME)


def restore(folder, params, state, config):
    """Copy the newest good checkpoint into the arrays of params and state; return progress and a note.

    The note is None, or a sentence that says that the newest checkpoint was damaged and the one before was taken.
    The damaged file gets the ending .damaged, so that the next save cannot take it for a good one.
    Raises CheckpointError if there is none, if both are damaged, or if it is of another model.
    """
    folder, problems = Path(folder), []
    for name in (NAME, PREVIOUS):
        path = folder / name
        if not path.exists():
            continue
        try:
            arrays, header = read(path)
        except CheckpointError as error:
            problems.append((path, str(error)))
            continue
        check_same(path, header, arrays, params, state, config)
        for key, w in params.items():
            w[...] = arrays["model." + key]
        for key in state:
            state[key] = header["t"] if key == "t" else arrays["optimizer." + key]
        if not problems:
            return header["progress"], None
        damaged, reason = problems[0]
        os.replace(damaged, damaged.with_suffix(".damaged"))
        return header["progress"], (f"{reason} Going on from the checkpoint before it, of step "
                                    f"{header['progress']['step']}.")
    if problems:
        raise CheckpointError(" ".join(reason for _, reason in problems) + " There is no good checkpoint to go on "
                              "from. The best weights so far are in model.safetensors, a file of its own.")
    raise CheckpointError(f"there is no checkpoint in {folder}. Is it the folder of a run? A run writes its first "
                          f"checkpoint before its first step.")


def last_good(folder, step):
    """Return the step of the newest checkpoint whose weights are not those of `step`, at which the loss became NaN.

    Finite weights may give a loss that is not. If they were saved, going on from them would end in the same place at
    any learning rate; so their checkpoint gets the name DIVERGED, and the one before it, with which a step was made,
    is the one to go on from. If there is none before it nothing is renamed, and None is returned.
    """
    folder = Path(folder)

    def saved(name):
        try:
            return read(folder / name)[1]["progress"]["step"]
        except (FileNotFoundError, CheckpointError):
            return step                                 # as good as none

    if saved(NAME) != step:
        return saved(NAME)
    if saved(PREVIOUS) == step:
        return None
    if (folder / NAME).exists():
        os.replace(folder / NAME, folder / DIVERGED)
    return saved(PREVIOUS)


def read(path):
    """Return the arrays (flat dict) and the header of one file. Raises CheckpointError if it is damaged."""
    try:
        arrays, metadata = tensors.read(path)
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    if "nanolm" not in metadata:
        raise CheckpointError(f"{path} is a safetensors file, but no checkpoint of nanolm.")
    crc, _, text = metadata["nanolm"].partition(" ")
    if crc != str(checksum(arrays, text)):
        raise CheckpointError(f"{path} is damaged: its contents do not match its checksum.")
    return arrays, json.loads(text)


def checksum(arrays, text):
    """Return the CRC-32 of the header's text and of every array's name and bytes, in order of the names."""
    crc = zlib.crc32(text.encode())
    for name in sorted(arrays):
        crc = zlib.crc32(name.encode(), crc)
        crc = zlib.crc32(np.ascontiguousarray(arrays[name]).reshape(-1).view(np.uint8), crc)
    return crc


def check_same(path, header, arrays, params, state, config):
    """Raise CheckpointError, naming the first difference, unless the checkpoint is of this model and optimizer."""
    saved = {"norm": "pre", "n_hidden": 0, "form": "tanh", **header["config"]}      # of runs from before there was a choice
    for field in config:
        if saved.get(field) != config[field]:
            raise CheckpointError(f"{path} is of another model: {field} is {saved.get(field)!r} there and "
                                  f"{config[field]!r} here. Nothing was changed.")
    here = {**{"model." + name: w for name, w in params.items()},
            **{"optimizer." + name: a for name, a in state.items() if name != "t"}}
    for name, array in here.items():
        if name not in arrays:
            raise CheckpointError(f"{path} does not fit: it has no tensor {name!r}. Was it saved with another model or "
                                  f"another optimizer? Nothing was changed.")
        if arrays[name].shape != array.shape or arrays[name].dtype != array.dtype:
            raise CheckpointError(f"{path} does not fit: {name!r} is {arrays[name].dtype} {arrays[name].shape} there "
                                  f"and {array.dtype} {array.shape} here. Nothing was changed.")
    extra = sorted(set(arrays) - set(here))
    if extra:
        raise CheckpointError(f"{path} does not fit: it has a tensor {extra[0]!r} that this model and optimizer do not "
                              f"have. Nothing was changed.")
