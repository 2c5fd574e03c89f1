"""The optimizers against PyTorch's, step by step, float64, gradients of ordinary size and of 1e-6."""
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nanolm.training import clipping, penalties                                             # noqa: E402
from nanolm.training.optimizers import adam, adamw, momentum, sgd                           # noqa: E402

CASES = {
    "sgd": (sgd, {}, lambda ps: torch.optim.SGD(ps, lr=0.01)),
    "momentum": (momentum, {"momentum": 0.85}, lambda ps: torch.optim.SGD(ps, lr=0.01, momentum=0.85)),
    "nesterov": (momentum, {"momentum": 0.85, "nesterov": True},
                 lambda ps: torch.optim.SGD(ps, lr=0.01, momentum=0.85, nesterov=True)),
    "adam": (adam, {"beta1": 0.8, "beta2": 0.95, "eps": 1e-8},
             lambda ps: torch.optim.Adam(ps, lr=0.01, betas=(0.8, 0.95), eps=1e-8)),
    "adamw": (adamw, {"beta1": 0.8, "beta2": 0.95, "eps": 1e-8, "weight_decay": 0.3},
              lambda ps: torch.optim.AdamW(ps, lr=0.01, betas=(0.8, 0.95), eps=1e-8, weight_decay=0.3)),
}
SHAPES = {"a": (4, 3), "b": (4, 3), "c": (5,)}


def draw(rng, size=1.0):
    return {name: size * rng.standard_normal(shape) for name, shape in SHAPES.items()}


def assert_same_path(ours, theirs, start):
    """Compare how far the weights have moved, not where they are: that a step is tiny must not hide that it is wrong."""
    for name, p in zip(SHAPES, theirs):
        moved = p.detach().numpy() - start[name]
        assert np.abs(moved).max() > 0
        np.testing.assert_allclose(ours[name] - start[name], moved, rtol=1e-9, atol=1e-12 * np.abs(moved).max() + 3e-16)
        np.testing.assert_allclose(ours[name], p.detach().numpy(), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("size", [1.0, 1e-6])
@pytest.mark.parametrize("name", CASES)
def test_ten_steps_with_a_changing_rate(name, size):
    optimizer, hyper, make = CASES[name]
    rng = np.random.default_rng(11)
    params = draw(rng)
    start = {k: w.copy() for k, w in params.items()}
    theirs = [torch.nn.Parameter(torch.tensor(w.copy())) for w in params.values()]
    peer, state = make(theirs), optimizer.init(params)
    for k in range(10):
        grads, lr = draw(rng, size), 0.01 / (k + 1)
        for p, g in zip(theirs, grads.values()):
            p.grad = torch.tensor(g.copy())
        for group in peer.param_groups:
            group["lr"] = lr
        peer.step()
        optimizer.step(params, grads, state, lr, **hyper)
        assert_same_path(params, theirs, start)


@pytest.mark.parametrize("optimizer, make", [
    (sgd, lambda ps: torch.optim.SGD(ps, lr=0.01, weight_decay=0.2)),
    (adam, lambda ps: torch.optim.Adam(ps, lr=0.01, weight_decay=0.2)),
])
def test_the_l2_penalty_is_their_coupled_weight_decay(optimizer, make):
    rng = np.random.default_rng(12)
    params = draw(rng)
    start = {k: w.copy() for k, w in params.items()}
    theirs = [torch.nn.Parameter(torch.tensor(w.copy())) for w in params.values()]
    peer, state = make(theirs), optimizer.init(params)
    for _ in range(5):
        grads = draw(rng)
        for p, g in zip(theirs, grads.values()):
            p.grad = torch.tensor(g.copy())
        peer.step()
        penalties.add(params, grads, 0.0, 0.2)
        optimizer.step(params, grads, state, 0.01)
        assert_same_path(params, theirs, start)


@pytest.mark.parametrize("limit", [0.5, 100.0])
def test_clipping(limit):
    grads = draw(np.random.default_rng(13))
    theirs = [torch.nn.Parameter(torch.zeros(shape, dtype=torch.float64)) for shape in SHAPES.values()]
    for p, g in zip(theirs, grads.values()):
        p.grad = torch.tensor(g.copy())
    norm = torch.nn.utils.clip_grad_norm_(theirs, limit)
    assert clipping.clip(grads, limit) == pytest.approx(float(norm), rel=1e-13)
    for p, g in zip(theirs, grads.values()):
        np.testing.assert_allclose(g, p.grad.numpy(), rtol=1e-6)       # theirs divides by norm + 1e-6
