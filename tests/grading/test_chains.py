"""Composites and models: two mistakes in a chain are named together, and the first gradient that goes wrong is told."""
import answers_bert
import answers_blocks
import answers_gpt2
import answers_seq2seq
import pytest

from nanolm.grading import grade

TOGETHER = [("block.backward", answers_blocks.two_things_at_once, {"mlp_skip_forgotten", "norms_exchanged"}),
            ("gpt2.backward", answers_gpt2.two_at_once, {"head_only", "final_norm_skipped"}),
            ("bert.backward", answers_bert.two_of_them, {"head_forgotten", "segments_halved"}),
            ("seq2seq.backward", answers_seq2seq.two_at_once, {"memory_overwritten", "table_without_the_target"})]


@pytest.mark.parametrize("name, function, both", TOGETHER, ids=[name for name, *_ in TOGETHER])
def test_two_mistakes_at_once_are_both_named(name, function, both):
    report = grade(name, function, shrinking=0)
    named = {part for mistake in report.mistakes for part in mistake.split("+")}
    assert named == both, str(report)


def test_the_first_wrong_gradient_of_a_model_is_told():
    """A model's backward has no dy; its steps are looked for all the same."""
    report = grade("gpt2.backward", answers_gpt2.sum_over_the_wrong_axis, shrinking=0)
    words = " ".join(report.inside)
    assert "dx below the dropout" in words and "wpe's gradient is the first that goes wrong" in words, str(report)


def test_where_two_ways_meet():
    report = grade("bert_pretraining.backward", answers_bert.two_ways_multiplied, shrinking=0)
    words = " ".join(report.inside)
    assert "dx by way of the pooler" in words, str(report)
    assert "dx, the encoder's upstream gradient is the first that goes wrong" in words, str(report)
