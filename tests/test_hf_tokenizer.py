"""Reading published tokenizers, tokenizer.json and GGUF's fields; a BPE with a model's own ids and another split."""
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanolm import text
from nanolm.text import BPE, byte_alphabet, hf_tokenizer, merging, splitter, store

CORPUS = "low low lower newest widest, the caf\u00e9 isn't low. \u4f4e\u4f4e 2024 2024\n" * 3
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
DIGITS = {"type": "Digits", "individual_digits": True}
SPLIT = {"type": "Split", "pattern": {"Regex": hf_tokenizer.LLAMA3}, "behavior": "Isolated", "invert": False}
BYTES_ONLY = {**BYTE_LEVEL, "use_regex": False}
ANY_STR = st.text(st.one_of(st.characters(), st.integers(0xD800, 0xDFFF).map(chr)))


def published(plain, lacking=b""):
    """A tokenizer.json's content: `plain`'s tokens after three special ones, without the bytes `lacking`."""
    show = byte_alphabet.show
    every = [plain.token_bytes(i) for i in range(256 + len(plain.merges))]
    tokens = [token for token in every if token not in [bytes([byte]) for byte in lacking]]
    vocab = {**{name: i for i, name in enumerate(SPECIAL)}, **{show(token): 3 + i for i, token in enumerate(tokens)}}
    merges = [f"{show(plain.token_bytes(a))} {show(plain.token_bytes(b))}" for a, b in plain.merges]
    return {"version": "1.0", "normalizer": None, "pre_tokenizer": sequence(DIGITS, BYTE_LEVEL),
            "added_tokens": [{"id": i, "content": name, "special": True, "single_word": False, "lstrip": False, "rstrip": False}
                             for i, name in enumerate(SPECIAL)],
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "byte_fallback": False, "ignore_merges": False, "vocab": vocab,
                      "merges": merges}}


@pytest.fixture(scope="module")
def plain():
    return BPE.train(CORPUS, 290)


@pytest.fixture(scope="module")
def content(plain):
    return published(plain, lacking=b"\x04\xf1\xff")


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


def read(folder, content):
    (folder / "hf.json").write_text(json.dumps(content), encoding="utf-8")
    return hf_tokenizer.from_json(folder / "hf.json")


def gguf_fields(content):
    tokens = sorted(content["model"]["vocab"], key=content["model"]["vocab"].get)
    return tokens, content["model"]["merges"], [3 if token in SPECIAL else 1 for token in tokens], "smollm"


@pytest.fixture(scope="module", params=["json", "json with merges in pairs", "gguf", "saved"])
def ours(request, content, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hf")
    if request.param == "gguf":
        return hf_tokenizer.from_gguf_fields(*gguf_fields(content))
    if "pairs" in request.param:
        merges = [line.split(" ") for line in content["model"]["merges"]]
        content = {**content, "model": {**content["model"], "merges": merges}}
    tokenizer = read(folder, content)
    if request.param == "saved":
        tokenizer.save(folder)
        return text.load(folder)
    return tokenizer


# ---- ids

def test_the_same_tokens_by_other_ids(ours, plain, content):
    s = "the lowest caf\u00e9 isn't low\n"
    ids = ours.encode(s).tolist()
    assert [ours.token_bytes(i) for i in ids] == [plain.token_bytes(i) for i in plain.encode(s)]
    assert ids == [content["model"]["vocab"][byte_alphabet.show(plain.token_bytes(i))] for i in plain.encode(s)]
    assert ours.vocab_size == len(content["model"]["vocab"]) == 290 and ours.decode(ids) == s
    assert ours.special == {"<|endoftext|>": 0, "<|im_start|>": 1, "<|im_end|>": 2}
    assert ours.token_bytes(1) == b"<|im_start|>" and ours.decode([1, *ids]) == "<|im_start|>" + s


def test_bytes_without_a_token_are_left_out(ours):
    assert ours.missing == b"\x04\xf1\xff"
    for _ in range(2):                                                       # from the cache too
        assert ours.encode("lo\x04w").tolist() == [*ours.encode("lo"), *ours.encode("w")] and ours.encode("\x04").size == 0
        assert ours.decode(ours.encode("a\U00040000b")) == "a\ufffd\ufffd\ufffdb"        # f1 80 80 80 without its f1


@given(ANY_STR)
def test_decode_gives_back_the_rest(ours, s):
    data = b"".join(map(ours.token_bytes, ours.encode(s)))
    assert data == s.encode("utf-8", "surrogatepass").translate(None, b"\x04\xf1\xff")


def test_special_names_on_demand(ours):
    s = "<|im_start|>low<|im_end|><|im_end"
    assert not {1, 2} & set(ours.encode(s).tolist()) and ours.decode(ours.encode(s)) == s
    ids = ours.encode(s, special=True).tolist()
    assert ids == [1, *ours.encode("low"), 2, *ours.encode("<|im_end")] and ours.decode(ids) == s
    assert ours.encode("", special=True).size == 0 and ours.id_of("<|im_end|>") == 2
    with pytest.raises(KeyError, match=r"no special token '<\|x\|>'. It has: <\|endoftext\|>, <\|im_start\|>"):
        ours.id_of("<|x|>")


def test_the_longest_name_is_taken(plain):
    tokenizer = BPE(plain.merges, ["<a>", "<a>b", "b"])
    assert tokenizer.encode("<a>bb<a>c", special=True).tolist() == [291, 292, 290, 66]


# ---- splits

@pytest.mark.parametrize("pre_tokenizer, kind", [
    (BYTE_LEVEL, "gpt2"), (sequence(BYTE_LEVEL), "gpt2"),
    (sequence(DIGITS, BYTE_LEVEL), "smollm"),
    (sequence(SPLIT, BYTES_ONLY), "llama3"),
    (sequence({**SPLIT, "pattern": {"Regex": hf_tokenizer.GPT2}}, BYTES_ONLY), "gpt2")])
def test_pre_tokenizers(tmp_path, content, pre_tokenizer, kind):
    tokenizer = read(tmp_path, {**content, "pre_tokenizer": pre_tokenizer})
    assert tokenizer.split == kind
    tokenizer.save(tmp_path)
    assert text.load(tmp_path).split == kind
    s = "the  low 2024 IT'S (low)!\n\n"
    assert [tokenizer.token_bytes(i) for i in tokenizer.encode(s)] == [
        tokenizer.token_bytes(i) for piece in splitter.split(s, kind) for i in tokenizer.merged(piece.encode())]


# ---- what is refused

@pytest.mark.parametrize("change, words", [
    ({"normalizer": {"type": "NFC"}}, "normalizer is .*NFC"), ({"pre_tokenizer": None}, "needs one that makes bytes"),
    ({"pre_tokenizer": {"type": "Whitespace"}}, "last step is 'Whitespace'"),
    ({"pre_tokenizer": {**BYTE_LEVEL, "add_prefix_space": True}}, "add_prefix_space is True"),
    ({"pre_tokenizer": BYTES_ONLY}, "steps ByteLevel, with use_regex=False"),
    ({"pre_tokenizer": sequence()}, "last step is None"),
    ({"pre_tokenizer": sequence({**DIGITS, "individual_digits": False}, BYTE_LEVEL)}, "individual_digits is False"),
    ({"pre_tokenizer": sequence(SPLIT, BYTE_LEVEL)}, "steps Split, ByteLevel, with use_regex=True"),
    ({"pre_tokenizer": sequence({**SPLIT, "behavior": "Removed"}, BYTES_ONLY)}, "behavior is 'Removed'"),
    ({"pre_tokenizer": sequence({**SPLIT, "invert": True}, BYTES_ONLY)}, "invert is True"),
    ({"pre_tokenizer": sequence({**SPLIT, "pattern": {"Regex": r"\w+"}}, BYTES_ONLY)}, "is not one"),
    ({"pre_tokenizer": sequence(DIGITS, DIGITS, BYTE_LEVEL)}, "steps Digits, Digits, ByteLevel"),
    ({"model": {"type": "Unigram"}}, "type is 'Unigram'"), ({"model": {"dropout": 0.1}}, "dropout is 0.1"),
    ({"model": {"continuing_subword_prefix": "##"}}, "prefix is '##'"),
    ({"model": {"end_of_word_suffix": "</w>"}}, "suffix is '</w>'"),
    ({"model": {"byte_fallback": True}}, "byte_fallback is True"),
    ({"model": {"unk_token": "<|endoftext|>"}}, "no token is '<.endoftext.>'"),
    ({"model": {"merges": ["ab"]}}, "merge 0, 'ab'"), ({"model": {"merges": []}}, "no merge makes the token"),
    ({"model": {"vocab": {"a": 0}}}, "the vocabulary does not have it"),
    ({"added_tokens": [{"id": 0, "content": "<|endoftext|>", "lstrip": True}]},
     "lstrip of the added token '<.endoftext.>' is True"),
    ({"added_tokens": []}, "no merge makes the token '<.endoftext.>', nor is it special .3 such"),
    ({"added_tokens": [{"id": i, "content": name} for i, name in enumerate(SPECIAL, 1)]},
     "have the same id, 3|no token has the id 0"),
    ({"added_tokens": [{"id": 500 * (i == 2) or i, "content": name} for i, name in enumerate(SPECIAL)]}, "no token has the id 2"),
    ({"added_tokens": [{"content": "x"}]}, "has no 'id'")])
def test_what_is_refused(tmp_path, content, change, words):
    if "model" in change:
        change = {"model": {**content["model"], **change["model"]}}
    with pytest.raises(ValueError, match=f"hf.json .*({words})"):
        read(tmp_path, {**content, **change})


def test_merges_that_ignore_merges_would_change(tmp_path):
    """abc is made of ab + c, but b c was learned before a b: the merges make a bc of it."""
    model = {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "bc": 3, "ab": 4, "abc": 5}, "merges": ["b c", "a b", "ab c"]}
    content = {"model": model, "pre_tokenizer": BYTE_LEVEL}
    assert read(tmp_path, content).encode("abc ab").tolist() == [0, 3, 4]
    with pytest.raises(ValueError, match="ignore_merges is True, and the merges do not make the token b'abc'"):
        read(tmp_path, {**content, "model": {**model, "ignore_merges": True}})
    model = {**model, "merges": ["a b", "b c", "ab c"]}
    assert read(tmp_path, {**content, "model": {**model, "ignore_merges": True}}).encode("abc").tolist() == [5]


def test_two_merges_of_one_token(tmp_path):
    """As Llama 3 lists them, aaa once as aa + a and once as a + aa: one token, but each merge has its own rank."""
    model = {"type": "BPE", "vocab": {"a": 0, "aa": 1, "aaa": 2, "b": 3, "ba": 4}, "merges": ["b a", "a a", "aa a", "a aa"]}
    tokenizer = read(tmp_path, {"model": model, "pre_tokenizer": BYTE_LEVEL})
    a, ba, aa, aaa, again = 64, 256, 257, 258, 259                           # our numbers; the second aaa's rank is 259
    assert tokenizer.vocab_size == 5 and tokenizer.merges[a, aa] == again
    assert merging.merge([a, aa], tokenizer.merges, tokenizer._again) == [aaa]
    assert merging.merge([a, aa, a], tokenizer.merges, tokenizer._again) == [a, aaa]      # aa + a has the lower rank
    assert tokenizer.encode("aaa").tolist() == [2] and tokenizer.encode("baaaa").tolist() == [4, 2]
    assert tokenizer.encode("aaaa").tolist() == [1, 1] and ba not in tokenizer._again
    vocab = {"a": 0, "b": 1, "c": 2, "d": 3, "bc": 4, "ab": 5, "abc": 6, "abcd": 7}
    model = {"type": "BPE", "vocab": vocab, "merges": ["b c", "a b", "ab c", "a bc", "abc d"]}
    tokenizer = read(tmp_path, {"model": model, "pre_tokenizer": BYTE_LEVEL})
    assert tokenizer.encode("abcd").tolist() == [7]                          # by a + bc, and the abc of that joins d too


def test_other_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file .*hf.json"):
        hf_tokenizer.from_json(tmp_path / "hf.json")
    for other in ([], {"model": 3}, {}):
        with pytest.raises(ValueError, match="hf.json is not a tokenizer.json"):
            read(tmp_path, other)
    with pytest.raises(ValueError, match="hf.json has no 'merges'"):
        read(tmp_path, {"model": {"type": "BPE", "vocab": {}}, "pre_tokenizer": BYTE_LEVEL})


def test_gguf_fields_that_are_refused(content):
    tokens, merges, kinds, pre = gguf_fields(content)
    for wrong, words in (((tokens, merges, kinds, "qwen2"), "pre is 'qwen2'.*smollm"),
                         ((tokens, merges, kinds, None), "pre is None"),
                         ((tokens, merges, kinds[:-1], pre), "289 entries, but there are 290"),
                         ((tokens, merges, [6] + kinds[1:], pre), "token 0, '<.endoftext.>', is of type 6"),
                         ((tokens, merges[:-3], kinds, pre), "no merge makes"),
                         ((tokens, merges, [1] * 290, pre), "no merge makes")):
        with pytest.raises(ValueError, match=words):
            hf_tokenizer.from_gguf_fields(*wrong)


@pytest.mark.parametrize("special, ids, error, words", [
    (["<a>"], range(256), TypeError, "special came as list"), ({}, range(255), ValueError, "255 entries"),
    ({}, [*range(255), 300], ValueError, "no token has the id 255"), ({}, [*range(255), 0], ValueError, "the same id, 0"),
    ({"<a>": 0}, range(256), ValueError, "the same id, 0"), ({}, [*range(255), "x"], TypeError, "must be an integer.*'x'"),
    ({"<a>": 1.0}, range(256), TypeError, "1.0"), ({"!": 0}, range(256), ValueError, "the same id, 0")])
def test_wrong_tables_of_ids(special, ids, error, words):
    with pytest.raises(error, match=words):
        BPE([], special, ids=ids)


def test_two_merges_of_one_token_need_one_id():
    merges = [(64, 64), (256, 64), (64, 256)]
    assert BPE(merges, {}, ids=[*range(256), 256, 257, 257]).vocab_size == 258
    with pytest.raises(ValueError, match="b'aaa', but its ids differ: 257, 258"):
        BPE(merges, {}, ids=[*range(256), 256, 257, 258])
    with pytest.raises(ValueError, match="same token"):
        BPE([(64, 64), (64, 64)], {}, ids=[*range(256), 256, 256])


def test_an_unknown_split(tmp_path):
    with pytest.raises(ValueError, match="split text called 'qwen2'. Choose one of: gpt2, smollm, llama3"):
        BPE([], split="qwen2")
    store.write(tmp_path, {"type": "bpe", "merges": [], "special": [], "split": "qwen2"})
    with pytest.raises(ValueError, match="does not describe a 'bpe' tokenizer"):
        text.load(tmp_path)
