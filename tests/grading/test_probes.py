"""The probes of attention and multi-head attention: silent on a right forward, and each speaks on the fault it is for."""
import numpy as np
import pytest

from nanolm.grading import draws, exercises
from nanolm.layers import attention, multihead

EXPECTED = {
    "attention.forward": {
        "future_leak": ("mask_missing", "mask_after_softmax", "mask_score_zero", "mask_added", "mask_inverted",
                        "softmax_over_queries", "softmax_over_all"),
        "padding_seen": ("mask_missing", "mask_after_softmax", "mask_score_zero", "mask_added", "mask_inverted"),
        "row_sums": ("mask_after_softmax", "softmax_over_queries", "softmax_over_all", "softmax_not_divided"),
        "wrong_scale": ("scale_missing", "scale_by_D", "scale_upside_down", "scale_from_values", "scale_from_keys",
                        "scale_from_queries"),
        "empty_row": ("mask_minus_1e9", "nan_in_empty_rows", "overflow", "mask_missing"),
    },
    "multihead.forward": {
        "future_leak": ("mask_missing",),
        "first_token": ("split_without_transpose", "heads_without_transpose", "v_and_k_exchanged", "packed_by_head",
                        "merge_strided"),
        "tokens_exchanged": ("split_without_transpose", "heads_without_transpose", "merge_without_transpose"),
        "padding_seen": ("mask_missing",),
    },
}
CASES = [(name, probe, mistake) for name, probes in EXPECTED.items() for probe, mistakes in probes.items()
         for mistake in mistakes]


def probe_of(name, probe):
    return next(one for one in exercises.find(name).probes if one.name == probe)


def run(name, probe, function, seed=0):
    with np.errstate(all="ignore"):
        return probe_of(name, probe).holds(function, draws.Random(np.random.default_rng(seed)))


@pytest.mark.parametrize("name, module", [("attention.forward", attention), ("multihead.forward", multihead)])
@pytest.mark.parametrize("seed", range(4))
def test_a_right_forward_passes_every_probe(name, module, seed):
    for probe in exercises.find(name).probes:
        assert run(name, probe.name, module.forward, seed) is True
        assert run(name, probe.name, lambda *args, **kwargs: module.forward(*args, **kwargs)[0], seed) is True


@pytest.mark.parametrize("name, probe, mistake", CASES, ids=["-".join(case) for case in CASES])
def test_a_probe_speaks_on_its_fault(name, probe, mistake):
    function = next(one.function for one in exercises.find(name).mistakes if one.name == mistake)
    said = run(name, probe, function)
    assert isinstance(said, str) and (any(letter.isdigit() for letter in said) or "nan" in said) and said.isascii(), said


def test_every_probe_is_tried():
    for name, probes in EXPECTED.items():
        assert {probe.name for probe in exercises.find(name).probes} == set(probes)


def test_what_is_no_answer_says_nothing():
    for name in EXPECTED:
        for probe in exercises.find(name).probes:
            assert run(name, probe.name, lambda *args, **kwargs: "not an array") is True
