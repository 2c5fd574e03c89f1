"""From prompt to text: tokens with and without the cache, streaming, stop strings, seeds, edges and errors."""
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from nanolm import params
from nanolm import text as tokenizers
from nanolm.generation import generate, text
from nanolm.models import gpt2

SAMPLE = "the cat sat on the mat.\n\nthe dog \u20ac5 sat \u00e9t\u00e9 on the cat.\n" * 3


def tiny(vocab_size, seed=0, block_size=16, dtype=np.float64):
    config = gpt2.Config(vocab_size=vocab_size, block_size=block_size, n_layer=2, n_head=2, n_embd=8)
    rng = np.random.default_rng(seed)
    flat = params.flatten(gpt2.init(config, rng, dtype))
    return params.unflatten({name: rng.normal(0, 0.4, a.shape).astype(dtype) for name, a in flat.items()}), config


@pytest.fixture(scope="module")
def run():
    tokenizer = tokenizers.BPE.train(SAMPLE, 270)
    return (*tiny(tokenizer.vocab_size), tokenizer)


# ---- tokens

@pytest.mark.parametrize("policy", ["slide", "restart"])
@pytest.mark.parametrize("setting", [dict(temperature=0), dict(), dict(temperature=0.8, top_k=9, top_p=0.9),
                                     dict(repetition_penalty=1.5), dict(temperature=0, repetition_penalty=3.0)])
@pytest.mark.parametrize("prompt", [[3], list(range(15)), list(range(16)), list(range(20))])
def test_with_and_without_the_cache_the_same_tokens_past_the_context_too(policy, setting, prompt):
    p, config = tiny(30)

    def made(use_cache):
        return list(generate.tokens(p, config, prompt, 40, rng=np.random.default_rng(1), policy=policy,
                                    use_cache=use_cache, **setting))

    with_cache = made(True)
    assert with_cache == made(False) and len(with_cache) == 40
    assert all(type(token) is int and 0 <= token < 30 for token in with_cache)


def test_the_penalty_reads_the_prompt_and_all_that_was_made():
    """Greedy, by definition: one full forward a token, every token of the text so far divided or multiplied by 1.6."""
    p, config = tiny(30, block_size=40)
    ids = [4, 9]
    for _ in range(30):
        z = gpt2.logits(p, np.array([ids]), config)[0, -1]
        for i in set(ids):
            z[i] = z[i] / 1.6 if z[i] > 0 else z[i] * 1.6
        ids.append(int(z.argmax()))
    assert list(generate.tokens(p, config, [4, 9], 30, temperature=0, repetition_penalty=1.6)) == ids[2:]
    assert list(generate.tokens(p, config, [4, 9], 30, temperature=0)) != ids[2:]


def test_tokens_come_one_at_a_time_and_n_0_does_nothing():
    p, config = tiny(30)
    stream = generate.tokens(p, config, [1], 10 ** 9, rng=np.random.default_rng(0))
    first = [next(stream) for _ in range(5)]
    assert first == list(generate.tokens(p, config, [1], 5, rng=np.random.default_rng(0)))
    assert list(generate.tokens(p, config, [1], 0, temperature=0)) == []


def test_it_changes_nothing_it_was_given():
    p, config = tiny(30)
    before, prompt = {k: a.copy() for k, a in params.flatten(p).items()}, np.array([1, 2, 3])
    list(generate.tokens(p, config, prompt, 20, rng=np.random.default_rng(0)))
    assert prompt.tolist() == [1, 2, 3]
    assert all(np.array_equal(a, before[k]) for k, a in params.flatten(p).items())


@pytest.mark.parametrize("change, error, words", [
    (dict(ids=[]), ValueError, r"ids must be the prompt's token ids"), (dict(ids=[[1]]), ValueError, r"shape \(1, 1\)"),
    (dict(n=-1), ValueError, "n, the number of tokens to make, must be a whole number, 0 or more, but it is -1"),
    (dict(n=2.0), ValueError, "but it is 2.0"), (dict(rng=None), TypeError, "rng must be a numpy Generator, not None"),
    (dict(rng=3), TypeError, "rng must be"), (dict(temperature=-1), ValueError, "temperature is -1"),
    (dict(top_k=0), ValueError, "top_k is 0"), (dict(policy="x"), ValueError, "policy is 'x'")])
def test_errors_come_at_the_call_not_at_the_first_token(change, error, words):
    p, config = tiny(30)
    with pytest.raises(error, match=words):
        generate.tokens(p, config, **{**dict(ids=[1], n=2, rng=np.random.default_rng(0)), **change})


def test_a_broken_model_is_named():
    p, config = tiny(30)
    p["ln_f"]["bias"][0] = np.nan
    with pytest.raises(ValueError, match="the logits hold NaN"):
        next(generate.tokens(p, config, [1], 3, temperature=0))


# ---- text

def test_a_seed_makes_the_text_and_streaming_shows_the_same(run):
    p, config, tokenizer = run
    shown = []
    whole = text.generate(p, config, tokenizer, "the ", 60, stream=shown.append, seed=3)
    assert "".join(shown) == whole and len(shown) > 5 and all(shown)
    assert whole == text.generate(p, config, tokenizer, "the ", 60, seed=3)
    assert whole == text.generate(p, config, tokenizer, "the ", 60, seed=3, use_cache=False)
    assert whole != text.generate(p, config, tokenizer, "the ", 60, seed=4)
    ids = generate.tokens(p, config, tokenizer.encode("the "), 60, rng=np.random.default_rng(3))
    assert whole == tokenizer.decode(list(ids))


def test_a_stop_string_straddling_tokens_ends_the_text(run):
    p, config, tokenizer = run
    whole = text.generate(p, config, tokenizer, "the ", 80, seed=1)
    ids = list(generate.tokens(p, config, tokenizer.encode("the "), 80, rng=np.random.default_rng(1)))
    borders, straddling = set(np.cumsum([len(tokenizer.token_bytes(i)) for i in ids]).tolist()), 0
    for start in range(0, len(whole) - 3, 3):
        stop = whole[start:start + 3]
        shown = []
        got = text.generate(p, config, tokenizer, "the ", 80, seed=1, stop=[stop], stream=shown.append)
        assert got == whole[:whole.index(stop)] == "".join(shown)
        first = len(whole[:whole.index(stop)].encode("utf-8", "surrogatepass"))
        straddling += any(first < border < first + 3 for border in borders)
    assert straddling > 10


def test_a_stop_that_never_comes_loses_no_text(run):
    p, config, tokenizer = run
    whole = text.generate(p, config, tokenizer, "the ", 50, seed=1)
    assert text.generate(p, config, tokenizer, "the ", 50, seed=1, stop=whole[-1] + "never") == whole


@pytest.mark.parametrize("n, expected", [(1, ["\ufffd"]), (2, ["\ufffd"]), (3, ["\u20ac"]), (4, ["\u20ac", "!"]),
                                         (6, ["\u20ac", "!", "\ufffd"])])
def test_a_character_that_is_half_done_at_the_end(n, expected):
    """A model that writes a euro sign and a "!", again and again, a byte at a time."""
    following = {ord("a"): 0xE2, 0xE2: 0x82, 0x82: 0xAC, 0xAC: ord("!"), ord("!"): 0xE2}

    def logits(p, ids, config):
        z = np.zeros((1, ids.shape[1], 256))
        z[0, -1, following[int(ids[0, -1])]] = 9
        return z

    pieces = text.pieces(None, SimpleNamespace(vocab_size=256, block_size=8), tokenizers.Characters(()), "a", n, 0.0,
                         use_cache=False, model=SimpleNamespace(logits=logits))
    assert list(pieces) == expected


def test_a_long_prompt_keeps_its_end_and_says_so(run):
    p, config, tokenizer = run
    long = SAMPLE * 2
    ids = tokenizer.encode(long)
    with pytest.warns(UserWarning, match=rf"the prompt has {len(ids)} tokens, but the model sees 16") as caught:
        got = text.generate(p, config, tokenizer, long, 10, seed=0)
    assert len(caught) == 1
    rest = generate.tokens(p, config, ids[-16:], 10, rng=np.random.default_rng(0))
    assert got == tokenizer.decode(list(rest))


def test_a_prompt_that_just_fits_warns_of_nothing(run):
    p, config, tokenizer = run
    prompt = "the cat sat 777777777777"
    assert len(tokenizer.encode(prompt)) == 16
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text.generate(p, config, tokenizer, prompt, 5, seed=0)


def test_an_empty_prompt_starts_from_a_line_break(run):
    p, config, tokenizer = run
    assert text.generate(p, config, tokenizer, "", 20, seed=2) == text.generate(p, config, tokenizer, "\n", 20, seed=2)
    assert text.generate(p, config, tokenizer, "a", 0) == ""


def test_the_character_tokenizer_works_too():
    tokenizer = tokenizers.Characters.train(SAMPLE)
    p, config = tiny(tokenizer.vocab_size)
    shown = []
    whole = text.generate(p, config, tokenizer, "\u20ac", 200, seed=0, stream=shown.append)
    assert "".join(shown) == whole and len(whole) > 50


@pytest.mark.parametrize("change, error, words", [
    (dict(prompt=b"x"), TypeError, "prompt must be a string, not bytes"), (dict(stop=[""]), ValueError, "empty string"),
    (dict(temperature=-1), ValueError, "temperature is -1"), (dict(seed=-1), ValueError, "seed must be .* but is -1"),
    (dict(seed="x"), ValueError, "but is 'x'"), (dict(max_tokens=-1), ValueError, "n, the number of tokens")])
def test_text_errors_come_at_the_call(run, change, error, words):
    with pytest.raises(error, match=words):
        text.pieces(*run, **change)


def test_tokenizer_and_model_of_different_runs(run):
    p, config = tiny(30)
    with pytest.raises(ValueError, match="the tokenizer has 270 tokens and the model 30: they do not belong together"):
        text.pieces(p, config, run[2], "a")
