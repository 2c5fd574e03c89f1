"""What a name means: a folder, an installed package that carries a model, the hub."""
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from nanolm import checkpoint
from nanolm.checkpoint import names
from nanolm.models import gpt2


def test_an_installed_package_that_carries_a_model(tmp_path, monkeypatch):
    """A package as pip installs it: its files are listed in RECORD."""
    config = gpt2.Config(13, 7, 1, 2, 8)
    checkpoint.save(tmp_path / "carrier" / "model", gpt2, gpt2.init(config, np.random.default_rng(0)), config)
    about = tmp_path / "carrier-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n")
    (about / "RECORD").write_text("carrier/model/config.json,,\ncarrier/model/model.safetensors,,\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert names.find("carrier") == tmp_path / "carrier" / "model" and checkpoint.load("carrier").config == config
    assert names.in_package("pytest") is None and names.in_package("no-such-package-anywhere") is None


def test_a_name_that_means_nothing_says_where_was_looked():
    with pytest.raises(FileNotFoundError, match="no file or folder 'nowhere', no installed package of this name"):
        checkpoint.load("nowhere")
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        checkpoint.load("some/folder/deep")


def test_a_file_that_is_no_gguf(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match="is a file, but not one in GGUF. Give the folder that holds it"):
        checkpoint.load(tmp_path / "model.safetensors")


def hub(answer):
    """A stand-in for huggingface_hub: this machine has no network."""
    asked = []

    def snapshot_download(name, allow_patterns, local_files_only=False):
        asked.append((name, local_files_only))
        return answer(local_files_only)
    return SimpleNamespace(snapshot_download=snapshot_download, asked=asked)


def test_the_hub_is_asked_once_and_says_so(tmp_path, monkeypatch, capsys):
    config = gpt2.Config(13, 7, 1, 2, 8)
    checkpoint.save(tmp_path / "snapshot", gpt2, gpt2.init(config, np.random.default_rng(0)), config)

    def answer(local):
        if local and len(stand_in.asked) == 1:
            raise FileNotFoundError("not here yet")
        return str(tmp_path / "snapshot")

    stand_in = hub(answer)
    monkeypatch.setitem(sys.modules, "huggingface_hub", stand_in)
    assert checkpoint.load("somebody/model").config == config
    assert stand_in.asked == [("somebody/model", True), ("somebody/model", False)]
    assert capsys.readouterr().err == "Downloading somebody/model from the hub, once.\n"
    assert checkpoint.load("somebody/model").config == config and capsys.readouterr().err == ""


def test_no_network_no_hub_package(monkeypatch):
    def answer(local):
        raise ConnectionError("no route to host\nand much more")
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub(answer))
    with pytest.raises(OSError, match="'somebody/model' is no folder here .* could not be downloaded: the hub could not be reached; is there no network\\? \\(no route to host\\)$"):
        checkpoint.load("somebody/model")
    class LocalEntryNotFoundError(Exception):
        """What the package raises for whatever kept it from asking."""

    def hidden(local):
        try:
            answer(local)
        except ConnectionError as error:
            raise ValueError("cannot send a request") from error
    for cause in (LocalEntryNotFoundError, TimeoutError, hidden):
        def failing(local, cause=cause):
            return cause(local) if cause is hidden else (_ for _ in ()).throw(cause("cannot send a request"))
        monkeypatch.setitem(sys.modules, "huggingface_hub", hub(failing))
        with pytest.raises(OSError, match="is there no network"):
            checkpoint.load("somebody/model")
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub(lambda local: (_ for _ in ()).throw(PermissionError("this model is gated"))))
    with pytest.raises(OSError, match="could not be downloaded: this model is gated$"):
        checkpoint.load("somebody/model")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match="pip install huggingface_hub"):
        checkpoint.load("somebody/model")


def test_no_code_of_a_model_is_asked_for():
    assert not any(Path(pattern).suffix == ".py" or pattern == "*" for pattern in names.WANTED)
