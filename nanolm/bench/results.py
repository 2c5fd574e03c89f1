"""Keep a result: FOLDER/<bench>.json with every single time, the machine and the versions, and its pictures beside it.

The documentation's tables and pictures are made from these files: pictures.py takes what `load` returns.
"""
import json
from pathlib import Path

from nanolm import files
from nanolm.bench import machine


def save(folder, bench, result, pictures, about=None):
    """Write {"bench", "machine", "result"} and {name: PNG bytes} to the folder, each whole or not at all; return the paths."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{bench}.json", *(folder / f"{name}.png" for name in pictures)]
    whole = {"bench": bench, "machine": about or machine.describe(), "result": result}
    files.atomic_write(paths[0], json.dumps(whole, indent=1) + "\n")
    for path, data in zip(paths[1:], pictures.values()):
        files.atomic_write(path, data)
    return paths


def load(folder, bench):
    """Return what save has written: a dict. Raises FileNotFoundError or ValueError with a sentence."""
    return files.read_json(Path(folder) / f"{bench}.json")
