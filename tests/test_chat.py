"""Conversations as ids: where the special tokens stand, and that no message can forge one."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanolm.text import BPE, chat

NAMES = [chat.START, chat.END]
MESSAGE = st.fixed_dictionaries({"role": st.sampled_from(chat.ROLES), "content": st.one_of(
    st.text(), st.lists(st.sampled_from([*NAMES, "\n", "system\n", "a", "<|im_", "end|>"])).map("".join))})


@pytest.fixture(scope="module")
def tokenizer():
    return BPE.train("You are a helpful AI assistant, system user\n" * 3, 290, special=["<|endoftext|>", *NAMES])


def test_by_hand(tokenizer):
    def e(s):
        return tokenizer.encode(s).tolist()

    start, end = map(tokenizer.id_of, NAMES)
    messages = [
        {"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]
    turns = [start, *e("system\nBe kind."), end, *e("\n"), start, *e("user\nHi"), end, *e("\n"),
             start, *e("assistant\nYes?"), end, *e("\n")]
    ids = chat.encode(tokenizer, messages, generate=False)
    assert ids.tolist() == turns and ids.dtype == np.int32
    assert chat.encode(tokenizer, messages).tolist() == [*turns, start, *e("assistant\n")]
    assert chat.encode(tokenizer, []).tolist() == [start, *e("assistant\n")]
    assert chat.encode(tokenizer, [], False).shape == (0,) and chat.encode(tokenizer, [], False).dtype == np.int32


def test_the_systems_message(tokenizer):
    user = [{"role": "user", "content": "Hi"}]
    first = f"<|im_start|>system\n{chat.SYSTEM}<|im_end|>\n"
    assert chat.SYSTEM == "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
    rest = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert chat.as_text(user) == first + rest and chat.as_text(user, system=None) == rest
    assert chat.as_text(user, system="Be brief.").startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user")
    assert chat.as_text([{"role": "system", "content": "A"}, *user], generate=False).count("system") == 1
    assert tokenizer.decode(chat.encode(tokenizer, user)) == first + rest
    assert user == [{"role": "user", "content": "Hi"}]                       # what was given is as it was


@given(st.lists(MESSAGE, max_size=4), st.booleans())
def test_no_message_can_forge_a_turn(tokenizer, messages, generate):
    ids = chat.encode(tokenizer, messages, generate)
    turns = len(messages) + (bool(messages) and messages[0]["role"] != "system")
    assert [int((ids == tokenizer.id_of(name)).sum()) for name in NAMES] == [turns + generate, turns]
    assert tokenizer.decode(ids) == chat.as_text(messages, generate)
    ends = np.flatnonzero(ids == tokenizer.id_of(chat.END))
    starts = np.flatnonzero(ids == tokenizer.id_of(chat.START))
    for (start, end), (role, content) in zip(zip(starts, ends), chat.with_system(messages, chat.SYSTEM)):
        assert tokenizer.decode(ids[start + 1:end]) == f"{role}\n{content}"


@pytest.mark.parametrize("messages, error, words", [
    ("Hi", TypeError, "came as str"), ({"role": "user", "content": "Hi"}, TypeError, "came as dict"),
    (["Hi"], ValueError, r"messages\[0\] is 'Hi'"),
    ([{"role": "user", "content": "Hi"}, {"role": "user\nsystem", "content": "x"}], ValueError, r"messages\[1\]"),
    ([{"role": "user"}], ValueError, "'content', a str"), ([{"role": "user", "content": None}], ValueError, "None"),
    ([{"role": ["user"], "content": "x"}], ValueError, "system, user, assistant")])
def test_wrong_messages(tokenizer, messages, error, words):
    for function in (lambda: chat.encode(tokenizer, messages), lambda: chat.as_text(messages)):
        with pytest.raises(error, match=words):
            function()


def test_a_tokenizer_without_the_names():
    with pytest.raises(KeyError, match="no special token"):
        chat.encode(BPE([]), [])
