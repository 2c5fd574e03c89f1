"""`nanolm bench finetune`: a fine-tuning step of BERT that classifies texts (forward, backward, clipping, AdamW).

    ours, fast kernels      finetune.steps, the whole model learns       ours, plain NumPy       the same without the twins
    transformers eager      BertForSequenceClassification                torch.compile           the same, compiled
    limit                   the step's matrix products alone (limits.py), which is what 100 % stands for

All begin from the same random weights and see the same batch, so their losses must agree, and that is looked at. The batch
is as real ones are: pairs of sentences of different lengths, the longest fills its row, the others are padded, and a mask
says where. No dropout. The peer is given to clipping and to the fused AdamW as PyTorch's documentation says.

GFLOP/s: the operations of the matrix products, padding included and all T x T scores, by the time of the step. Whoever leaves
out what is padding (our attention does, in tiles of 64) is not counted as having done less.

Tested    tests/test_bench_finetune.py.
"""
from dataclasses import asdict

from nanolm.bench import limits, peers, train, turns

SHAPES = {"tiny": limits.Shape("tiny", 2, 128, 2, 30522, 16, 128, encoder=True),
          "minilm": limits.Shape("minilm", 6, 384, 12, 30522, 16, 128, encoder=True),
          "base": limits.Shape("base", 12, 768, 12, 30522, 4, 128, encoder=True)}
OURS, PLAIN, COMPILED, LIMIT = train.OURS, train.PLAIN, train.COMPILED, train.LIMIT
EAGER = "transformers eager"
HEADER = [name.replace("tokens/s", "texts/s") for name in train.HEADER]


def contestants(shape):
    """Return {name: (make, arguments, why it cannot take part or None)} for turns.field."""
    shape = asdict(shape)
    ours, theirs = "nanolm.bench.ours_finetune:prepare", "nanolm.bench.torch_bert:prepare"
    missing, uncompiled = (peers.missing("torch", "transformers", compiler=compiler) for compiler in (False, True))
    return {OURS: (ours, {"kernels": "numba", "shape": shape}, peers.no_kernels()),
            PLAIN: (ours, {"kernels": "numpy", "shape": shape}, None),
            EAGER: (theirs, {"shape": shape}, missing),
            COMPILED: (theirs, {"shape": shape, "compiled": True}, uncompiled),
            LIMIT: ("nanolm.bench.limits:prepare", {"shape": shape}, None)}


def run(shape=SHAPES["minilm"], rounds=7, say=turns.quiet, **options):
    """Return the result for one shape, a dict that JSON can hold. options: turn and pause, see turns.take."""
    return train.run(shape, rounds, say, contestants(shape), **options)


def table(result):
    """Return the rows under HEADER: those of train.table, with texts a second in place of tokens."""
    rows, column = train.table(result), HEADER.index("texts/s")
    for row, (name, t) in zip(rows, result["contestants"].items()):
        row[column] = "" if name == LIMIT else f"{result['shape']['batch'] / t['median']:,.1f}"
    return rows


def notes(result):
    """Return sentences for below the table."""
    return train.notes(result)
