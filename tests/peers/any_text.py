"""Strings of every kind for comparing tokenizers: all planes of Unicode, and pieces that splitters stumble over."""
import os

from hypothesis import settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("NANOLM_EXAMPLES", "1500"))                      # 10,000 were run by hand
MANY = settings(max_examples=EXAMPLES, derandomize="NANOLM_EXAMPLES" not in os.environ, deadline=None)

EVERY = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]             # tokenizers takes no lone surrogates
IN_USE = [c for c in EVERY if c < 0x33000 or c // 0x1000 in (0xE0, 0xFF, 0x10F) or c % 50 == 0]   # of empty planes, one in 50
UNIFORM = st.sampled_from(EVERY).map(chr)                                    # st.characters() alone likes the small ones
CHARACTERS = st.one_of(st.characters(exclude_categories=["Cs"]), UNIFORM, st.integers(0x80, 0x3000).map(chr),
                       st.integers(0xA000, 0xD7FF).map(chr), st.integers(0x10000, 0x1FFFF).map(chr))
MARKS = st.sampled_from("\u0301\u0316\u0334\u0345\u05b0\u302e\u302f\u08d4\u1dfb\u1e94\u1b44\u034f\u0f71\u0f72\u0f74"
                        "\U0001d165\U0001d16d\U0001d16e\U0001e001\U0001e94a\U0001e944\U00011446\U00011442")
PIECES = st.sampled_from([
    *"aZ\u00e9\u4e2d1\u00b2\u0663.'-\u2019 \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u180e\u2003\u2028\u2029\u202f\u205f"
    "\u200b\u200d\u2060\u3000\ufeff\u0301\ufe0f\x00\ue000\u0378\u088f\u0130\u03a3\u1e9e\u212a\u017f\u2260\u037e\u1fef\uac01"
    "\ufb01\u1734\u166d\U0001f600\U0001f3fd\U000f0000\U0003d000\U00011de3\U00016ff4\U0002b830\U00011938\U000105c9",
    "'s", "'ll", "'S", "'LL", "'\u017f", "  ", "the", " the", "ing", "un", "##", "$+<", "!\n", " \n", "123", "don't", "caf\u00e9",
    "cafe\u0301", "word " * 3, "x" * 101, "\u00c5ngstr\u00f6m", "<|im_end|>", "[MASK]", "[UNK]"])
MIXED = st.one_of(PIECES, CHARACTERS, MARKS)
STRINGS = st.one_of(
    st.text(CHARACTERS), st.lists(PIECES, max_size=25).map("".join), st.lists(MIXED, max_size=25).map("".join),
    st.lists(st.one_of(MARKS, st.sampled_from("ae \u00e9\u05b0")), max_size=15).map("".join),
    st.text("aeinorstAEST '.,\n", max_size=60))
