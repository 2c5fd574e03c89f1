"""What is said of a wrong answer as a whole: verdicts key by key, where it is wrong, and many signs in one sentence."""
from types import SimpleNamespace

import numpy as np
import pytest

from nanolm.grading import exercises, grade, summary
from nanolm.grading.compare import Difference
from nanolm.grading.diagnose import Finding
from nanolm.layers import dropout, layernorm, mlp, multihead


def trial(expected, *wrong, shown=None):
    return SimpleNamespace(expected=expected, differences=[Difference(name, "value", "") for name in wrong], right=not wrong,
                           call=SimpleNamespace(shown=shown or {}))


@pytest.fixture
def block():
    return exercises.find("block.backward")


def test_a_dict_of_gradients_counts_key_by_key(block):
    expected = (np.ones(2), {"ln_1": {"weight": np.ones(2)}, "mlp": {"bias": np.ones(2)}})
    tried = [trial(expected), trial(expected, 'dp["ln_1"]["weight"]')]
    assert summary.verdicts(block, tried) == {"dx": "right", 'dp["ln_1"]': "wrong", 'dp["mlp"]': "right"}
    assert summary.verdicts(block, tried, whole=True) == {"dx": "wrong", "dp": "wrong"}


def test_the_whole_dict_wrong_means_all_its_keys(block):
    expected = (np.ones(2), {"ln_1": np.ones(2), "mlp": np.ones(2)})
    assert summary.verdicts(block, [trial(expected, "dp")]) == {"dx": "right", 'dp["ln_1"]': "wrong", 'dp["mlp"]': "wrong"}


def test_a_key_that_nobody_asked_for_is_wrong(block):
    expected = (np.ones(2), {"ln_1": np.ones(2)})
    verdicts = summary.verdicts(block, [trial(expected, 'dp["ln_9"]')])
    assert verdicts == {"dx": "right", 'dp["ln_1"]': "right", "dp": "wrong"}


def test_the_argument_that_tells_wrong_from_right_is_named():
    wrong = [trial(None, "dx", shown={"norm": "pre", "eps": eps, "T": T}) for eps, T in ((1, 2), (1, 3), (2, 2), (2, 3))]
    right = [trial(None, shown={"norm": "post", "eps": eps, "T": T}) for eps, T in ((1, 2), (1, 3), (2, 2), (2, 3))]
    assert summary.only_where(wrong + right) == "It is wrong only where norm is 'pre'."
    assert summary.only_where(wrong + right[:1]) == ""          # one that is right may be chance
    mixed = [*right, trial(None, shown={"norm": "pre", "eps": 1, "T": 2})]
    assert summary.only_where(wrong + mixed) == ""


def test_many_signs_become_few_sentences():
    def signs(name, n):
        return [Finding(name, f"{name} {i}.", "signature", f"{name}[{i}]") for i in range(n)]
    few = signs("zero", 2)
    assert summary.grouped(few) == few
    found = summary.grouped(signs("zero", 5) + signs("partly", 4))
    assert [one.name for one in found] == ["zero", "partly"]
    assert found[0].sentence == "zero 0. The same holds for zero[1], zero[2], zero[3] and 1 more."
    assert "partly[0], partly[1], partly[2] and 1 more" in found[1].sentence
    alone = summary.grouped(signs("near", 5))
    assert len(alone) == 1 and alone[0].sentence.startswith("near 0. Wrong as well")


def test_a_half_that_is_wrong_in_pre_norm_alone_is_told_in_the_report():
    def mine(dy, cache):
        norm, c1, c2, c3, c4, c5, c6 = cache
        if norm == "pre":
            dh, dmlp = mlp.backward(dropout.backward(dy, c6), c5)
            dx, w2, b2 = layernorm.backward(dh, c4)
            dx = dy + 0.3 * dx
            dh, dattn = multihead.backward(dropout.backward(dx, c3), c2)
            dh, w1, b1 = layernorm.backward(dh, c1)
            dx = dx + dh
        else:
            dsum, w2, b2 = layernorm.backward(dy, c6)
            dx, dmlp = mlp.backward(dropout.backward(dsum, c5), c4)
            dsum, w1, b1 = layernorm.backward(dsum + dx, c3)
            dx, dattn = multihead.backward(dropout.backward(dsum, c2), c1)
            dx = dsum + dx
        return dx, {"ln_1": {"weight": w1, "bias": b1}, "attn": dattn, "ln_2": {"weight": w2, "bias": b2}, "mlp": dmlp}
    report = grade("block.backward", mine, shrinking=0.1)
    assert "It is wrong only where norm is 'pre'." in report.notes
    assert report.outputs['dp["mlp"]'] == "right" and report.outputs["dx"] == report.outputs['dp["attn"]'] == "wrong"
    assert report.score == pytest.approx(0.5 * 2 / 5) and any("0.3 times" in finding.sentence for finding in report.findings)
