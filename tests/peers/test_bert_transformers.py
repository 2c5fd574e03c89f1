"""BERT of drawn shapes against transformers: hidden states, logits, losses and every gradient, float64 and float32."""
import numpy as np
import pytest

from nanolm.layers import pooler
from nanolm.models import bert, bert_names, bert_pretraining, bert_sequence, bert_span, bert_token
from nanolm.params import flatten, unflatten

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nanolm[peers]'")
transformers = pytest.importorskip("transformers", reason="transformers is not installed: pip install 'nanolm[peers]'")

# V, block, L, H, C, F, segments, classes, eps; then B, T, and whether some texts are padded
SHAPES = [(11, 9, 2, 2, 8, 12, 2, 3, 1e-12, 3, 7, True), (101, 16, 3, 4, 24, 96, 2, 5, 1e-12, 2, 16, False),
          (29, 40, 1, 1, 10, 7, 3, 2, 1e-3, 4, 33, True), (65, 12, 4, 8, 64, 200, 1, 9, 1e-12, 4, 12, True),
          (50, 70, 2, 3, 36, 144, 4, 2, 1e-5, 1, 70, False), (13, 4, 2, 2, 8, 8, 2, 4, 1e-12, 5, 1, False)]
PRECISE = [(np.float64, 1e-9, 1e-8), (np.float32, 1e-4, 1e-4)]         # dtype, logits absolute, gradients relative
THEIRS = {"encoder": "BertModel", "pretraining": "BertForPreTraining", "sequence": "BertForSequenceClassification",
          "token": "BertForTokenClassification", "span": "BertForQuestionAnswering"}


def everywhere(test):
    """Run a test for every shape, in float64 and float32."""
    test = pytest.mark.parametrize("dtype, absolute, relative", PRECISE, ids=["float64", "float32"])(test)
    return pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"C{shape[4]}T{shape[10]}")(test)


def pair(head, shape, dtype, **changes):
    """Return their model, our parameters and our config, with the same random weights; no gain is 1 and no bias 0."""
    V, block, L, H, C, F, segments, classes, eps = shape[:9]
    config = bert.Config(V, block, L, H, C, F, segments, classes, eps=eps, **changes)
    # pad_token_id None: with one, PyTorch leaves that row of the table without a gradient even where it is a token.
    theirs = getattr(transformers, THEIRS.get(head, head))(transformers.BertConfig(
        vocab_size=V, max_position_embeddings=block, num_hidden_layers=L, num_attention_heads=H, hidden_size=C,
        intermediate_size=F, type_vocab_size=segments, layer_norm_eps=eps, hidden_dropout_prob=0, pad_token_id=None,
        attention_probs_dropout_prob=0, num_labels=2 if head == "span" else classes)).to(torch_type(dtype))
    head = head if head in THEIRS else "pretraining"
    rng = np.random.default_rng(C)
    p = unflatten({name: drawn(name, s, rng).astype(dtype) for name, s in flatten(bert_names.shapes(config, head)).items()})
    theirs_now = dict(theirs.named_parameters())
    flat = bert_names.to_published(p)
    assert sorted(flat) == sorted(theirs_now)           # the same names: nothing is left as they drew it
    with torch.no_grad():
        for name, array in flat.items():
            theirs_now[name].copy_(torch.tensor(array))
    return theirs, p, config


def drawn(name, shape, rng):
    """Matrices that keep the size of what goes through: with larger ones attention is all or nothing, and both sides round."""
    gain, table = name.endswith(("ln_1.weight", "ln_2.weight", "ln_e.weight", "ln.weight")), name.removesuffix(".weight")
    spread = shape[0] ** -0.5 if len(shape) == 2 and table not in bert_names.TABLES else 0.3
    return gain + spread * rng.standard_normal(shape)


def torch_type(dtype):
    return torch.float64 if dtype == np.float64 else torch.float32


def batch(shape, config):
    """Return ids, segments, the mask (booleans) and a generator, for B texts of T tokens."""
    B, T, padded = shape[9:]
    rng = np.random.default_rng(T)
    ids, segments = rng.integers(0, config.vocab_size, (B, T)), rng.integers(0, config.n_segment, (B, T))
    lengths = rng.integers(1, T + 1, B) if padded else np.full(B, T)
    return ids, segments, np.arange(T) < lengths[:, None], rng


def inputs(ids, segments, mask):
    return {"input_ids": torch.tensor(ids), "token_type_ids": torch.tensor(segments), "attention_mask": torch.tensor(mask).long()}


def compare_gradients(dp, theirs, relative):
    """Every parameter: error norm against the norm of the expected array, plus ten roundings of the largest of all.

    The roundings are for gradients that are truly zero: of the keys' biases, which shift all scores of a row alike, and, for
    bert_span, of the last two biases, which shift the scores of all places alike. Both sides hold rounding alone there.
    """
    got, wanted = bert_names.to_published(dp), dict(theirs.named_parameters())
    assert sorted(got) == sorted(wanted)
    grads = {name: np.zeros(p.shape) if p.grad is None else p.grad.numpy() for name, p in wanted.items()}
    largest = max(np.linalg.norm(grad) for grad in grads.values())
    for name, array in got.items():
        size, error = np.linalg.norm(grads[name]), np.linalg.norm(array - grads[name])
        assert error <= relative * size + 10 * np.finfo(array.dtype).eps * largest, f"{name}: {error} of {size}"


def near(got, expected, absolute):
    assert got.dtype == expected.numpy(force=True).dtype
    np.testing.assert_allclose(got, expected.numpy(force=True), rtol=0, atol=absolute)


@everywhere
def test_bert_model(shape, dtype, absolute, relative):
    theirs, p, config = pair("encoder", shape, dtype)
    ids, segments, mask, rng = batch(shape, config)
    out = theirs(**inputs(ids, segments, mask))
    x, cache = bert.forward(p["bert"], ids, config, segments, mask)
    pooled, c_pooler = pooler.forward(x, p["pooler"])
    near(x[mask], out.last_hidden_state[torch.tensor(mask)], absolute)
    near(pooled, out.pooler_output, absolute)
    up, up_pooled = rng.standard_normal(x.shape).astype(dtype), rng.standard_normal(pooled.shape).astype(dtype)
    up[~mask] = 0                                       # nobody uses what comes out at padding
    ((out.last_hidden_state * torch.tensor(up)).sum() + (out.pooler_output * torch.tensor(up_pooled)).sum()).backward()
    dx, dpooler = pooler.backward(up_pooled, c_pooler)
    compare_gradients({"bert": bert.backward(up + dx, cache), "pooler": dpooler}, theirs, relative)


@everywhere
@pytest.mark.parametrize("peer", ["pretraining", "BertForMaskedLM"])
def test_pretraining(shape, dtype, absolute, relative, peer):
    with_pair = peer == "pretraining"
    theirs, p, config = pair(peer, shape, dtype, pooler=with_pair)
    ids, segments, mask, rng = batch(shape, config)
    targets = np.where(mask & (rng.random(ids.shape) < 0.4), rng.integers(0, config.vocab_size, ids.shape), -100)
    targets[0, 0] = 3
    follows = rng.integers(0, 2, len(ids))
    more = {"next_sentence_label": torch.tensor(follows)} if with_pair else {}
    out = theirs(**inputs(ids, segments, mask), labels=torch.tensor(targets), **more)
    out.loss.backward()
    z, y = bert_pretraining.logits(p, ids, config, segments, mask)
    near(z[mask], (out.prediction_logits if with_pair else out.logits)[torch.tensor(mask)], absolute)
    if with_pair:
        near(y, out.seq_relationship_logits, absolute)
    loss, cache = bert_pretraining.forward(p, ids, targets, config, follows if with_pair else None, segments, mask)
    assert loss.dtype == dtype and abs(loss - out.loss.item()) <= absolute
    compare_gradients(bert_pretraining.backward(cache), theirs, relative)


@everywhere
def test_sequence_classification(shape, dtype, absolute, relative):
    theirs, p, config = pair("sequence", shape, dtype)
    ids, segments, mask, rng = batch(shape, config)
    targets = rng.integers(0, config.n_class, len(ids))
    out = theirs(**inputs(ids, segments, mask), labels=torch.tensor(targets))
    out.loss.backward()
    near(bert_sequence.logits(p, ids, config, segments, mask), out.logits, absolute)
    loss, cache = bert_sequence.forward(p, ids, targets, config, segments, mask)
    assert loss.dtype == dtype and abs(loss - out.loss.item()) <= absolute
    compare_gradients(bert_sequence.backward(cache), theirs, relative)


@everywhere
def test_token_classification(shape, dtype, absolute, relative):
    theirs, p, config = pair("token", shape, dtype)
    ids, segments, mask, rng = batch(shape, config)
    targets = np.where(mask, rng.integers(0, config.n_class, ids.shape), -100)
    targets[-1, 1:] = -100
    out = theirs(**inputs(ids, segments, mask), labels=torch.tensor(targets))
    out.loss.backward()
    near(bert_token.logits(p, ids, config, segments, mask)[mask], out.logits[torch.tensor(mask)], absolute)
    loss, cache = bert_token.forward(p, ids, targets, config, segments, mask)
    assert loss.dtype == dtype and abs(loss - out.loss.item()) <= absolute
    compare_gradients(bert_token.backward(cache), theirs, relative)


@everywhere
def test_question_answering(shape, dtype, absolute, relative):
    theirs, p, config = pair("span", shape, dtype)
    ids, segments, mask, rng = batch(shape, config)
    (B, T), lengths = ids.shape, mask.sum(axis=1)
    targets = np.sort(rng.integers(0, lengths[:, None], (B, 2)), axis=1)
    if B > 1:
        targets[1] = -100
    at = torch.tensor(np.where(targets == -100, T, targets))                # theirs leaves out places from T on
    out = theirs(**inputs(ids, segments, mask), start_positions=at[:, 0], end_positions=at[:, 1])
    expected = out.loss
    if not mask.all():                                                      # theirs lets padding compete: take it away
        z = [one.masked_fill(~torch.tensor(mask), -torch.inf) for one in (out.start_logits, out.end_logits)]
        expected = sum(torch.nn.functional.cross_entropy(one, at[:, i], ignore_index=T) for i, one in enumerate(z)) / 2
    expected.backward()
    for ours, other in zip(bert_span.logits(p, ids, config, segments, mask), (out.start_logits, out.end_logits)):
        near(ours[mask], other[torch.tensor(mask)], absolute)
        assert (ours[~mask] == -np.inf).all()
    loss, cache = bert_span.forward(p, ids, targets, config, segments, mask)
    assert loss.dtype == dtype and abs(loss - expected.item()) <= absolute
    compare_gradients(bert_span.backward(cache), theirs, relative)


@pytest.mark.parametrize("head", THEIRS)
def test_their_names_and_back(head):
    """Their own state, through from_published and back, to the same bits; without segments the same logits as theirs."""
    theirs, _, config = pair(head, SHAPES[0], np.float32)
    state = {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}
    p = bert_names.from_published(state, config, head)
    back = bert_names.to_published(p)
    tied = {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}
    assert set(state) - set(back) <= tied and set(back) <= set(state)
    assert all(np.array_equal(back[name], state[name]) and back[name].flags.c_contiguous for name in back)
    ids = np.array([[1, 5, 3, 2]])
    x, _ = bert.forward(p["bert"], ids, config)
    near(x, getattr(theirs, "bert", theirs)(torch.tensor(ids)).last_hidden_state, 1e-5)
