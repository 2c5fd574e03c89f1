"""metrics.jsonl: one line of JSON for each step, and one for each evaluation.

    {"step": 12, "loss": 4.1, "norm": 0.8, "lr": 0.0001}                        of the batch, nats per token
    {"step": 200, "validation": {"loss": 2.9, "bits_per_character": 1.9, ...}, "sample": "..."}

A run that is killed has lines after its last checkpoint, the last one perhaps cut in the middle. These steps will be
done again, so `trim` takes the lines away first; no line is ever double or half. No times are in it: two runs with
the same seed write the same file, byte for byte.

Tested    tests/test_checkpoint.py, tests/test_resume.py.
"""
import json
import os
from pathlib import Path

from nanolm import files

NAME = "metrics.jsonl"


def opened(folder):
    """Return the file, opened for appending; for the folder None, one that keeps nothing."""
    return open(Path(folder) / NAME if folder else os.devnull, "a", encoding="utf-8", newline="\n")


def write(file, record):
    """Append one line to the open file and hand it to the operating system, so that a kill cannot lose it."""
    file.write(json.dumps(record) + "\n")
    file.flush()


def to_disk(file):
    """Wait until the lines are on the disk: a checkpoint must not survive a power cut that its lines do not."""
    os.fsync(file.fileno())


def read(folder):
    """Return all complete lines, as dicts; the empty list if there is no file. What is no record is left out."""
    path = Path(folder) / NAME
    if not path.exists():
        return []
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:                    # the half line of a killed run
            continue
        if isinstance(record, dict) and isinstance(record.get("step"), int):
            records.append(record)
    return records


def trim(folder, step):
    """Remove the lines of steps after `step`, and what is left of a half line."""
    kept = [record for record in read(folder) if record["step"] <= step]
    files.atomic_write(Path(folder) / NAME, "".join(json.dumps(record) + "\n" for record in kept))
