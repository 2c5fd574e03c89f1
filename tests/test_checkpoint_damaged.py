"""Published files that are damaged or made to do harm: one sentence names the file; nothing is run, hardly anything allocated."""
import copy
import json
import os
import pickle
import struct
import sys
import tracemalloc

import numpy as np
import pytest

from nanolm import checkpoint, params
from nanolm.models import bert, gpt2, llama
from nanolm.text import BPE, WordPiece

CORPUS = "low low lower newest widest, the isn't low. 2024\n" * 3
PLAIN = BPE.train(CORPUS, 265)
TOKENIZERS = {"gpt2": BPE(list(PLAIN.merges), ["<|endoftext|>"]),
              "bpe": BPE(list(PLAIN.merges), {"<|im_start|>": 0, "<|im_end|>": 1}, "smollm", list(range(2, 267))),
              "llama": BPE(list(PLAIN.merges), {"<|end_of_text|>": 265}, "llama3", list(range(265))),
              "wordpiece": WordPiece(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "l", "##o", "##w"])}


def saved(folder, kind="gpt2"):
    tokenizer, rng = TOKENIZERS[kind], np.random.default_rng(0)
    if kind == "wordpiece":
        config = bert.Config(tokenizer.vocab_size, 8, 1, 2, 4, 6, pooler=False)
        checkpoint.save(folder, bert, {"bert": bert.init(config, rng)}, config, tokenizer)
    elif kind == "llama":
        config = llama.Config(tokenizer.vocab_size, 8, 1, 2, 1, 4, 6, scaling=("llama3", 8.0, 1.0, 4.0, 4))
        checkpoint.save(folder, llama, llama.init(config, rng), config, tokenizer)
    else:
        config = gpt2.Config(tokenizer.vocab_size, 8, 1, 2, 4)
        checkpoint.save(folder, gpt2, gpt2.init(config, rng), config, tokenizer)
    return folder


def refused(folder, words="", error=(ValueError, FileNotFoundError)):
    """Loading ends in one sentence that names a file of the folder, and allocates little."""
    tracemalloc.start()
    try:
        with pytest.raises(error, match=words or None) as caught:
            checkpoint.load(folder)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 700
    assert peak < 5_000_000
    return str(caught.value)


@pytest.mark.parametrize("text, words", [
    ("[]", r"config\.json holds no table of settings, but \[\]"), ("null", "holds no table of settings, but None"), ('"gpt2"', "holds no table of settings"),
    ("3", "holds no table"), ("{}", "says model_type = None; nanolm reads gpt2, "), ('{"model_type": ["gpt2"]}', "says model_type = "), ("", "is not valid JSON"),
    ('{"model_type": "gpt2"', "is not valid JSON"), ("[" * 100_000, "is not valid JSON"), ('{"n_layer": ' + "9" * 5000 + "}", "is not valid JSON"),
    ("\ud800".encode("utf-8", "surrogatepass"), "is not valid JSON"), (b"\x00" * 50, "is not valid JSON"), (b"PK\x03\x04", "is not valid JSON")])
def test_a_config_that_is_none(tmp_path, text, words):
    path = saved(tmp_path / "mine") / "config.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(path.parent, words)


def changes(value):
    """Yield every JSON value that has one place of `value` taken out or replaced by something of another kind or size."""
    for wrong in (None, [], {}, "x", "", -1, 0, 10**12, 1.5, True, [[]], {"type": "BPE"}, "\ud800"):
        yield wrong
    places = list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    for key, part in places[:6] + places[6:40][-18:]:         # of a long vocabulary, some
        for changed in changes(part):
            whole = copy.copy(value)
            whole[key] = changed
            yield whole
        whole = copy.copy(value)
        del whole[key]
        yield whole


@pytest.mark.parametrize("kind, file", [("gpt2", "vocab.json"), ("gpt2", "config.json"), ("bpe", "tokenizer.json"), ("llama", "tokenizer.json"),
                                        ("llama", "config.json"), ("wordpiece", "tokenizer.json"), ("wordpiece", "config.json"), ("wordpiece", "tokenizer_config.json")])
def test_any_one_place_of_a_json_file(tmp_path, kind, file, capsys):
    """Either the change does not matter, or a sentence names the file; never another exception."""
    folder = saved(tmp_path / "mine", kind)
    if file == "tokenizer_config.json":
        (folder / "tokenizer.json").unlink()            # then vocab.txt is read with its help
    whole, seen = json.loads((folder / file).read_text(encoding="utf-8")), {"read": 0, "refused": 0}
    for changed in changes(whole):
        (folder / file).write_text(json.dumps(changed))
        try:
            checkpoint.load(folder)
            seen["read"] += 1
        except (ValueError, FileNotFoundError) as error:
            assert str(folder) in str(error) and "\n" not in str(error), changed
            seen["refused"] += 1
    assert seen["refused"] >= 20 and seen["read"] > 0, seen
    for line in capsys.readouterr().err.splitlines():
        assert line.startswith("The weights are read without their tokenizer. ") and str(folder) in line or "truncated?" in line


@pytest.mark.parametrize("kind, file", [("gpt2", "vocab.json"), ("gpt2", "merges.txt"), ("bpe", "tokenizer.json"), ("wordpiece", "tokenizer.json"), ("gpt2", "config.json")])
def test_cut_short_anywhere(tmp_path, kind, file):
    folder = saved(tmp_path / "mine", kind)
    data = (folder / file).read_bytes()
    for length in {0, 1, 10, len(data) // 3, len(data) // 2, len(data) - 20, len(data) - 3}:
        (folder / file).write_bytes(data[:length])
        refused(folder)


def test_a_vocabulary_with_an_id_twice(tmp_path):
    folder = saved(tmp_path / "mine", "bpe")
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    content["model"]["vocab"]["a"] = content["model"]["vocab"]["b"]
    (folder / "tokenizer.json").write_text(json.dumps(content))
    refused(folder, "have the same id")
    folder = saved(tmp_path / "cased", "wordpiece")
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\nl\nl\n")
    refused(folder, "has the token 'l' more than once")
    (folder / "vocab.txt").write_bytes(b"[UNK]\n\xff\xfe\n")
    refused(folder, r"vocab\.txt")


def safetensors(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize("data", [
    b"", b"\x00", safetensors({}, length=2**63), safetensors({}, length=2**64 - 1), safetensors({}, length=10**9), safetensors(b"[]"), safetensors(b"{", b""),
    safetensors(b"\xff\xfe"), safetensors({"a": 3}), safetensors({"a": {"dtype": "F32"}}), safetensors({"a": tensor()}), safetensors({"a": tensor()}, b"1234567"),
    safetensors({"a": tensor(), "b": tensor()}, b"12345678"), safetensors({"a": tensor(), "b": tensor(offsets=(4, 12))}, b"1" * 12),
    safetensors({"a": tensor(offsets=(8, 16))}, b"1" * 16), safetensors({"a": tensor(offsets=(8, 0))}, b"1" * 8), safetensors({"a": tensor(offsets=(-8, 0))}, b"1" * 8),
    safetensors({"a": tensor(shape=(-2,))}, b"1" * 8), safetensors({"a": tensor(shape=(2**62, 2**62))}, b"1" * 8), safetensors({"a": tensor(shape=(10**12,))}, b"1" * 8),
    safetensors({"a": tensor(shape=(2.5,))}, b"1" * 8), safetensors({"a": tensor(shape=(3,))}, b"1" * 8), safetensors({"a": tensor("F99")}, b"1" * 8),
    safetensors({"a": tensor(offsets=(0, 2**64 - 1))}, b"1" * 8), safetensors({"a": tensor()}, b"1" * 9), safetensors(b"[" * 100_000)])
def test_safetensors_that_are_none(tmp_path, data):
    folder = saved(tmp_path / "mine")
    (folder / "model.safetensors").write_bytes(data)
    refused(folder, r"model\.safetensors is damaged: it is truncated or not a safetensors file")


@pytest.mark.parametrize("kind, size", [("F8_E4M3", 1), ("F8_E5M2", 1), ("I32", 4), ("BOOL", 1), ("U8", 1)])
def test_numbers_of_another_kind(tmp_path, kind, size):
    folder = saved(tmp_path / "mine")
    (folder / "model.safetensors").write_bytes(safetensors({"transformer.wte.weight": tensor(kind, (266, 4), (0, 1064 * size))}, b"1" * 1064 * size))
    refused(folder, "which nanolm does not read. It reads F16" if kind[0] == "F" else "holds (int32|bool|uint8); nanolm reads float16")


def test_a_tensor_under_two_names(tmp_path):
    from safetensors.numpy import load, save
    folder = saved(tmp_path / "mine")
    path = folder / "model.safetensors"
    good = load(path.read_bytes())
    table = good["transformer.wte.weight"]
    path.write_bytes(save({**good, "wpe.weight": good["transformer.wpe.weight"]}))
    refused(folder, "has the tensor '(transformer.)?wpe.weight' twice, under two names of one meaning")
    path.write_bytes(save({**good, "lm_head.weight": table + 1}))
    refused(folder, "has a tensor 'lm_head.weight' that differs from 'wte.weight'")
    for both in ({**good, "lm_head.weight": table}, {"lm_head.weight": table, **{k: a for k, a in good.items() if k != "transformer.wte.weight"}}):
        path.write_bytes(save(both))
        assert np.array_equal(checkpoint.load(folder).p["wte"]["weight"], table)


def test_an_index_and_links(tmp_path):
    """A link in the folder is followed, as the hub's own cache needs it; what it points to must be there."""
    folder = saved(tmp_path / "mine")
    os.replace(folder / "model.safetensors", tmp_path / "blob")
    os.symlink(tmp_path / "blob", folder / "model.safetensors")
    assert checkpoint.load(folder).p
    os.replace(folder / "model.safetensors", folder / "part.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"transformer.wte.weight": "part.safetensors"}}))
    assert checkpoint.load(folder).p
    (tmp_path / "blob").unlink()
    refused(folder, "names the file 'part.safetensors', but there is none beside it")
    os.unlink(folder / "part.safetensors")
    os.symlink(folder / "part.safetensors", folder / "part.safetensors")
    refused(folder, "there is none beside it")
    for table in ({"a": "..\\x"}, {"a": ".."}, {"a": "."}, {"a": ""}, {"a": "/etc/passwd"}, {"a": "\x00"}, ["a"], {"a": None}, {"a": "x" * 5000}):
        index.write_text(json.dumps({"weight_map": table}))
        refused(folder)
    index.write_text("[]")
    refused(folder, "holds no table from tensors to files")
    index.unlink()
    (folder / "model.safetensors").mkdir()
    refused(folder, "holds no weights")


class Evil:
    """What a malicious pickle does when it is read."""
    def __reduce__(self):
        return os.mkdir, (os.environ["NANOLM_TEST_EVIL"],)


def test_a_pickle_is_not_opened_without_pytorch(tmp_path, monkeypatch):
    folder, trap = saved(tmp_path / "mine"), tmp_path / "trap"
    monkeypatch.setenv("NANOLM_TEST_EVIL", str(trap))
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Evil()))
    monkeypatch.setitem(sys.modules, "torch", None)
    refused(folder, "a pickle, which can hold code; only PyTorch can read it", ImportError)
    assert not trap.exists()


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x80\x04.", pickle.dumps({"a": 1}), pickle.dumps([1]), b"PK\x03\x04" + b"\x00" * 40, pickle.dumps({"a": np.zeros(2)})])
def test_a_pickle_that_is_none(tmp_path, data):
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nanolm[peers]'")
    folder = saved(tmp_path / "mine")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(data)
    with pytest.raises(ValueError, match=r"pytorch_model\.bin (was not read: it holds more than tensors, or is damaged|does not hold a table of tensors)"):
        checkpoint.load(folder)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_is_read_and_said(tmp_path, capsys, bad):
    folder = tmp_path / "mine"
    config = gpt2.Config(9, 8, 1, 2, 4)
    p = gpt2.init(config, np.random.default_rng(0))
    p["h"]["0"]["ln_1"]["weight"][2] = bad
    checkpoint.save(folder, gpt2, p, config)
    loaded = checkpoint.load(folder)
    assert np.array_equal(loaded.p["h"]["0"]["ln_1"]["weight"], p["h"]["0"]["ln_1"]["weight"], equal_nan=True)
    said = capsys.readouterr().err
    assert "1 of its tensors hold NaN or infinite numbers, first 'h.0.ln_1.weight'" in said and str(folder) in said and said.count("\n") == 1
    p["h"]["0"]["ln_1"]["weight"][2] = 1
    checkpoint.save(tmp_path / "good", gpt2, p, config)
    checkpoint.load(tmp_path / "good")
    assert capsys.readouterr().err == "" and len(params.flatten(p)) > 1


def test_a_tensor_in_two_shards_is_refused(tmp_path):
    from safetensors.numpy import load_file, save_file
    config = gpt2.Config(11, 8, 1, 2, 4)
    folder = tmp_path / "m"
    checkpoint.save(folder, gpt2, gpt2.init(config, np.random.default_rng(0)), config)
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    save_file(tensors, folder / "a.safetensors")
    first = next(iter(tensors))
    save_file({first: tensors[first] + 7}, folder / "b.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {**dict.fromkeys(tensors, "a.safetensors"), "x": "b.safetensors"}}))
    with pytest.raises(ValueError, match="which another file of .* holds too"):
        checkpoint.load(folder)


def test_a_truncated_vocabulary_is_said_and_a_larger_one_refused(tmp_path, capsys):
    from nanolm.text import WordPiece
    from nanolm.models import bert
    tokenizer = WordPiece.train("the cat sat on the mat, and the dog sat on the log " * 5, 60)
    config = bert.Config(tokenizer.vocab_size, 16, 1, 2, 4)
    checkpoint.save(tmp_path / "m", bert, {"bert": bert.init(config, np.random.default_rng(0)), "pooler": {"weight": np.zeros((4, 4), np.float32), "bias": np.zeros(4, np.float32)}}, config, tokenizer)
    (tmp_path / "m" / "tokenizer.json").unlink()
    words = (tmp_path / "m" / "vocab.txt").read_text().splitlines()
    assert checkpoint.load(tmp_path / "m").tokenizer.vocab_size == len(words) and capsys.readouterr().err == ""
    (tmp_path / "m" / "vocab.txt").write_text("\n".join(words[:len(words) // 2]) + "\n")
    checkpoint.load(tmp_path / "m")
    assert "Is the vocabulary's file truncated?" in capsys.readouterr().err
    (tmp_path / "m" / "vocab.txt").write_text("\n".join([*words, "more"]) + "\n")
    with pytest.raises(ValueError, match="they do not belong together"):
        checkpoint.load(tmp_path / "m")
