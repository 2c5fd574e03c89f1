"""The peer of `nanolm bench chat` reads and writes what ours does, each time it is asked."""
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nanolm[peers]'")
pytest.importorskip("transformers", reason="transformers is not installed: pip install 'nanolm[peers]'")

from nanolm import params
from nanolm.bench import ours_chat, transformers_chat
from nanolm.models import llama

TALK = {"package": None, "question": "", "prompt": 5, "tokens": 20,
        "config": {"vocab_size": 23, "block_size": 40, "n_layer": 2, "n_head": 4, "n_kv_head": 2, "n_embd": 8, "n_hidden": 12,
                   "tied": False}}


@pytest.mark.parametrize("changes", [{}, {"tied": True}, {"head_dim": 6, "base": 50.0}])
def test_the_same_tokens(changes, monkeypatch):
    """With weights so large that the next token depends on all before it: an answer that was not forgotten shows."""
    init = llama.init
    monkeypatch.setattr(llama, "init", lambda config, rng: params.unflatten(
        {name: 20 * a if a.ndim == 2 else a for name, a in params.flatten(init(config, rng)).items()}))
    settings = {**TALK, "config": {**TALK["config"], **changes}}
    ours, theirs = ours_chat.prepare("numpy", **settings), transformers_chat.prepare(**settings)
    for task in ("write", "read", "write"):
        assert ours[task]() == theirs[task]()
    assert len(ours["write"]()["tokens"]) == 20
