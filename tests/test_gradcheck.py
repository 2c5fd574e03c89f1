"""check, check_model and the report: what they say, what they refuse, and what they must not be fooled by."""
import numpy as np
import pytest

from nanolm import gradcheck
from nanolm.layers import attention, cross_entropy, embedding, layernorm, linear, multihead, softmax
from nanolm.models import gpt2

rng = np.random.default_rng(0)
x, weight, bias = rng.standard_normal((2, 3, 5)), rng.standard_normal(5), rng.standard_normal(5)


def square(x):
    return x * x, (x,)


def square_backward(dy, cache):
    return 2 * cache[0] * dy


def unwrapped(report):
    """Return the text of the report with its lines joined."""
    return " ".join(str(report).split())


def check_square(backward, forward=square, **options):
    return gradcheck.check(gradcheck.pair(forward, backward), rng.standard_normal((3, 4)), **options)


# -------------------------------------------------------------------------------- what the report says
def test_right_layer():
    report = gradcheck.check(layernorm, x, weight, bias, eps=1e-3)
    assert report.passed and bool(report) and report.raise_if_failed() is report
    assert [g.name for g in report.gradients] == ["x", "weight", "bias"]
    assert [(g.shape, g.dtype) for g in report.gradients] == [(a.shape, np.float64) for a in (x, weight, bias)]
    assert all(g.error < 1e-12 and g.method == "complex step" for g in report.gradients)
    assert "RIGHT: 3 gradients" in str(report) and "inputs written to: none. second call different: no." in str(report)


def test_wrong_entry_is_named_with_got_and_expected():
    def backward(dy, cache):
        dx = square_backward(dy, cache)
        dx[1, 2] += 0.5
        return dx
    report = check_square(backward)
    g, = report.gradients
    assert g.verdict == "wrong" and g.where == (1, 2) and g.error == pytest.approx(0.5)
    assert g.got - g.expected == pytest.approx(0.5)
    assert g.wrong.sum() == 1 and g.wrong[1, 2]
    assert g.steps == pytest.approx((0.5, 0.5))
    text = str(report)
    for words in ("1 of 12 entries wrong", "[1,2]", "5.0e-01", "does not shrink with the step"):
        assert words in text
    with pytest.raises(AssertionError, match="1 of 12 entries wrong"):
        report.raise_if_failed()


@pytest.mark.parametrize("factor", [1 + 1e-6, 1 - 1e-8])
def test_a_tiny_error_in_one_entry_is_seen(factor):
    def backward(dy, cache):
        dx = square_backward(dy, cache)
        dx[2, 3] *= factor
        return dx
    g, = check_square(backward).gradients
    assert g.verdict == "wrong" and g.where == (2, 3) and g.wrong.sum() == 1


def test_shape_dtype_and_count():
    report = gradcheck.check(gradcheck.pair(layernorm.forward, lambda dy, c: (dy, dy, dy.sum((0, 1)))), x, weight, bias)
    assert "Its shape is (2, 3, 5), expected (5,)" in str(report) and report.gradients[1].got_shape == (2, 3, 5)
    report = check_square(lambda dy, c: square_backward(dy, c).astype(np.float32))
    assert report.gradients[0].got_dtype == np.float32 and "expected float64" in str(report)
    two = gradcheck.pair(layernorm.forward, lambda dy, c: layernorm.backward(dy, c)[:2])
    report = gradcheck.check(two, x, weight, bias)
    assert not report.passed and "returned 2 gradients, expected 3: dx, dweight, dbias" in unwrapped(report)


def test_written_and_second_call():
    def backward(dy, cache):
        dx = square_backward(dy, cache)
        cache[0][...] += 1
        return dx
    report = check_square(backward)
    assert report.inputs_written == ["x", "cache"] and report.second_call_differs and not report.passed

    def forward(x):
        y = x * x
        x += 1
        return y, (x,)
    report = check_square(lambda dy, c: 2 * (c[0] - 1) * dy, forward)
    assert report.inputs_written == ["x"] and "forward wrote to x" in str(report)

    def writes_to_dy(dy, cache):
        dy *= 2 * cache[0]
        return dy
    assert "dy" in check_square(writes_to_dy).inputs_written


def test_the_users_own_arrays_are_never_touched():
    mine = rng.standard_normal((2, 3))
    before = mine.copy()

    def forward(x):
        x *= 2
        return x.copy(), ()
    gradcheck.check(gradcheck.pair(forward, lambda dy, c: 2 * dy), mine)
    assert np.array_equal(mine, before)


def test_nan_is_wrong_and_counted():
    g, = check_square(lambda dy, c: square_backward(dy, c) * np.where(np.arange(4) == 1, np.nan, 1)).gradients
    assert g.verdict == "wrong" and "3 of 12 entries are NaN or inf" in g.reason


def test_patterns_are_named():
    assert "Every entry is 3 times" in check_square(lambda dy, c: 3 * square_backward(dy, c)).gradients[0].reason
    assert "zero everywhere" in check_square(lambda dy, c: 0 * dy).gradients[0].reason
    a = rng.standard_normal((3, 3))
    pair = gradcheck.pair(linear.forward, lambda dy, c: (dy @ c[1].T, (c[0].T @ dy).T, dy.sum(0)))
    assert "transpose" in gradcheck.check(pair, a, a + 1, a[0].copy()).gradients[1].reason


def test_text_is_ascii_and_narrow_whatever_it_holds():
    def backward(dy, cache):
        raise ValueError("d\u00e9riv\u00e9e \u2202x " + "x" * 300)
    text = str(check_square(backward))
    assert text.isascii() and max(map(len, text.splitlines())) < 100 and "backward raised ValueError" in text
    greek = gradcheck.pair(lambda θ: (θ * θ, (θ,)), lambda dy, c: dy)
    assert str(gradcheck.check(greek, x)).isascii() and gradcheck.check(greek, x).gradients[0].name == "θ"


def test_pictures():
    pytest.importorskip("matplotlib")
    report = gradcheck.check(gradcheck.pair(layernorm.forward, lambda dy, c: (dy, dy, dy.sum((0, 1)))), x, weight, bias)
    assert report._repr_png_().startswith(b"\x89PNG")
    html = report._repr_html_()
    assert "<pre style='font-family: monospace" in html and "data:image/png;base64," in html and "WRONG: 2 of 3" in html
    from nanolm.gradcheck import picture
    matplotlib_image = pytest.importorskip("matplotlib.image")
    import io
    pixels = matplotlib_image.imread(io.BytesIO(picture.png(report)))[..., :3]
    red = (pixels[..., 0] > 0.7) & (pixels[..., 1] < 0.3) & (pixels[..., 2] < 0.3)
    right = gradcheck.check(layernorm, x, weight, bias)
    grey = matplotlib_image.imread(io.BytesIO(picture.png(right)))[..., :3]
    assert red.sum() > 1000 and not ((grey[..., 0] > 0.7) & (grey[..., 1] < 0.3)).any()
    assert "base64" in gradcheck.check_backward("softmax", lambda dy, c: dy)._repr_html_()
    assert "base64" in gradcheck.check_layer("gpt2")._repr_html_()


# -------------------------------------------------------------------------------- what is refused
@pytest.mark.parametrize("call, words", [
    (lambda: gradcheck.check(layernorm, x.astype(np.float32), weight, bias), ("x is float32", "float64", "1e-7")),
    (lambda: gradcheck.check(layernorm, x, weight.astype(np.float32), bias), ("weight is float32", "astype")),
    (lambda: gradcheck.check(layernorm, np.arange(5), weight, bias), ("x is int", "integer", "small step")),
    (lambda: gradcheck.check(gradcheck.pair(square, square_backward), np.arange(3)), ("x is int", "1 + 1e-5")),
    (lambda: gradcheck.check(gradcheck.pair(square, square_backward), [1.0, 2.0]), ("nothing to diff", "list")),
    (lambda: gradcheck.check(gradcheck.pair(square, square_backward), x + 0j), ("complex128", "real")),
    (lambda: gradcheck.check(layernorm, x, weight), ("missing a required argument: 'bias'",)),
    (lambda: gradcheck.check(np, x), ("no forward", "pair")),
    (lambda: gradcheck.check_model(linear, {"w": weight.astype(np.float32)}, 1), ("w is float32",)),
    (lambda: gradcheck.pair(square, None), ("backward", "NoneType")),
    (lambda: gradcheck.check_backward("gelu", 3), ("backward", "int")),
    (lambda: gradcheck.check(gradcheck.pair(lambda x: x, square_backward), x), ("y and cache", "array")),
    (lambda: gradcheck.check(gradcheck.pair(lambda x: ([1], ()), square_backward), x), ("first thing", "list")),
])
def test_type_errors(call, words):
    with pytest.raises(TypeError) as caught:
        call()
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize("call, words", [
    (lambda: check_square(square_backward, method="forward"), ("method", "forward", "auto")),
    (lambda: check_square(square_backward, wrt=["y"]), ("'y'", "x")),
    (lambda: check_square(square_backward, upstream=np.ones(3)), ("upstream", "(3,)", "(3, 4)")),
    (lambda: check_square(square_backward, lambda x: (np.abs(x), (x,)), method="complex"), ("complex step", "central")),
    (lambda: gradcheck.check_layer("convolution"), ("convolution", "layernorm")),
    (lambda: gradcheck.check(layernorm, np.zeros((0, 5)), weight, bias), ("x is empty", "(0, 5)")),
])
def test_value_errors(call, words):
    with pytest.raises(ValueError) as caught:
        call()
    assert all(word in str(caught.value) for word in words), caught.value


# -------------------------------------------------------------------------------- not to be fooled by
def test_forward_that_is_not_a_function_or_changes_precision():
    report = check_square(lambda dy, c: dy, lambda x: (x + np.random.random(), ()))
    assert not report.passed and "another result for the same arguments" in unwrapped(report)
    report = check_square(square_backward, lambda x: ((x * x).astype(np.float32), (x,)))
    assert not report.passed and "forward returned float32" in str(report)
    report = check_square(square_backward, lambda x: ((x.astype(np.float32) * x).astype(np.float64), (x,)))
    assert not report.passed                                             # float32 inside: central differences too noisy
    report = check_square(square_backward, lambda x: (x * x * np.ones(1), (x,)))
    assert not report.passed and "with float32 arguments, y is float64" in str(report)
    assert check_square(square_backward, lambda x: (x * x * np.ones(1), (x,)), float32=False).passed


def test_ones_upstream_are_blind_and_the_report_says_so():
    zeros = gradcheck.pair(softmax.forward, lambda dy, c: np.zeros_like(dy))
    a = rng.standard_normal((2, 3))
    assert not gradcheck.check(zeros, a).passed
    blind = gradcheck.check(zeros, a, upstream=np.ones((2, 3)))
    assert blind.passed and any("all ones" in note for note in blind.notes)
    assert gradcheck.check(softmax, a, upstream=np.ones((2, 3))).passed              # and rounding is not blamed


def test_weak_arguments_are_named_and_tried_again_with_better_ones():
    def no_gain(dy, cache):
        x, weight, mean, rstd = cache
        return (layernorm.backward(dy, (x, np.ones_like(weight), mean, rstd))[0], *layernorm.backward(dy, cache)[1:])
    report = gradcheck.check(gradcheck.pair(layernorm.forward, no_gain), x, np.ones(5), np.zeros(5))
    assert not report.passed and any("second set of arguments" in note for note in report.notes)

    def assigned(dy, cache):
        dweight = np.zeros((cache[1], dy.shape[-1]), dy.dtype)
        dweight[cache[0]] = dy
        return dweight
    table = rng.standard_normal((6, 2))
    assert not gradcheck.check(gradcheck.pair(embedding.forward, assigned), np.array([3, 1, 2]), table).passed
    report = gradcheck.check(layernorm, np.eye(3), np.ones(3), np.zeros(3))
    assert report.passed
    for words in ("one number everywhere in weight, bias", "axes of equal size in x"):
        assert words in unwrapped(report)


def test_true_zeros_are_not_blamed():
    p = gradcheck.cases.heads(rng, 4)
    report = gradcheck.check(multihead, rng.standard_normal((2, 3, 4)), p, 2)
    g = next(g for g in report.gradients if g.name == "c_attn.bias")
    assert report.passed and np.abs(g.expected_values[4:8]).max() < 1e-14 < np.abs(g.expected_values[:4]).max()
    q = rng.standard_normal((3, 4))
    assert gradcheck.check(attention, q, q[:1].copy(), q[:1].copy()).passed          # one key: dq and dk are zero


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_zeros_do_not_pass_for_small_gradients_nor_noise_for_large_ones(scale):
    assert check_square(lambda dy, c: scale * 2 * c[0] * dy, lambda x: (scale * x * x, (x,))).passed
    assert not check_square(lambda dy, c: 0 * dy, lambda x: (scale * x * x, (x,))).passed
    for method in ("auto", "central"):
        off = gradcheck.pair(lambda x: (scale * x * x, (x,)), lambda dy, c: scale * 2.00001 * c[0] * dy)
        assert not gradcheck.check(off, x, method=method).passed


def test_corners_are_told():
    relu = gradcheck.pair(lambda x: (np.maximum(x, 0), (x,)), lambda dy, c: dy * (c[0] > 0), "relu")
    report = gradcheck.check(relu, np.array([-1.0, 0.0, 2.0, 4e-5]))
    assert report.passed and report.gradients[0].corners == [(1,)] and "corner" in str(report)
    wrong = gradcheck.pair(relu.forward, lambda dy, c: dy * (c[0] > 0) + 2 * dy * (c[0] == 0), "relu")
    assert not gradcheck.check(wrong, np.array([-1.0, 0.0, 2.0])).passed             # 2 is no slope between 0 and 1
    assert not gradcheck.check(relu, np.array([-1.0, 2.0]), upstream=None, wrt="x", h=1e-4).gradients[0].corners


def test_a_jump_or_a_coarse_forward_is_not_called_right():
    report = check_square(lambda dy, c: 0 * dy, lambda x: (np.round(x, 6), ()))
    assert report.gradients[0].verdict != "right"


def test_not_analytic_falls_back_with_a_note():
    report = check_square(lambda dy, c: dy * np.sign(c[0]), lambda x: (np.abs(x), (x,)))
    assert report.passed and report.gradients[0].method == "central differences"
    assert any("central differences were used" in note for note in report.notes)
    half = gradcheck.pair(lambda x: (x * x.real, (x,)), square_backward)                 # keeps half of the derivative
    report = gradcheck.check(half, rng.standard_normal((3, 4)))
    assert report.passed and any("disagrees" in note for note in report.notes)


# -------------------------------------------------------------------------------- all kinds of arguments
def test_losses_floats_keywords_and_several_dicts():
    assert gradcheck.check(cross_entropy, rng.standard_normal((3, 5)), targets=np.array([1, 1, -100])).passed
    loss = gradcheck.pair(lambda x: (float(np.sum(x * x)), (x,)), lambda d, c: 2 * d * c[0])
    assert gradcheck.check(loss, rng.standard_normal(4)).passed
    two = gradcheck.pair(lambda x, p, q: (x * p["a"] + q["a"]["b"], (x, p["a"])),
                         lambda dy, c: (dy * c[1], {"a": (dy * c[0]).sum(0)}, {"a": {"b": dy.sum(0)}}))
    report = gradcheck.check(two, x[0], {"a": weight}, {"a": {"b": bias}})
    assert report.passed and [g.name for g in report.gradients] == ["x", "a", "q.a.b"]
    assert gradcheck.check(linear, x, rng.standard_normal((5, 2))).passed                # bias None: dbias None
    report = gradcheck.check(layernorm, bias=bias, weight=weight, x=x)                    # reported in forward's order
    assert report.passed and [g.name for g in report.gradients] == ["x", "weight", "bias"]
    assert [g.name for g in gradcheck.check(layernorm, x, weight, bias, wrt="weight").gradients] == ["weight"]


def test_large_tensors_are_checked_along_directions():
    a = rng.standard_normal((70, 80))
    assert gradcheck.check(gradcheck.pair(square, square_backward), a).passed

    def one_off(dy, cache):
        dx = square_backward(dy, cache)
        dx[41, 3] *= 1 + 1e-6
        return dx
    g, = gradcheck.check(gradcheck.pair(square, one_off), a).gradients
    assert g.verdict == "wrong" and g.where == (41, 3)


def test_model_names_the_wrong_entry():
    config = gpt2.Config(9, 5, 2, 1, 4)
    p, ids = gradcheck.cases.randomised(gpt2.init(config, rng), rng), rng.integers(0, 9, (2, 5))
    report = gradcheck.check_model(gpt2, p, ids, ids, config)
    assert report.passed and len(report.gradients) == 28 and report.gradients[0].name == "wte.weight"

    def backward(cache):
        dp = gpt2.backward(cache)
        dp["h"]["1"]["mlp"]["c_fc"]["weight"][2, 7] += 1e-6
        return dp
    report = gradcheck.check_model(gradcheck.pair(gpt2.forward, backward), p, ids, ids, config)
    wrong, = [g for g in report.gradients if not g.passed]
    assert wrong.name == "h.1.mlp.c_fc.weight" and wrong.where == (2, 7)
    assert wrong.error == pytest.approx(1e-6, rel=1e-4)
    report = gradcheck.check_model(gpt2, gpt2.init(config, rng, np.float64), ids, ids, config)
    assert report.passed and any("everywhere" in note for note in report.notes)

    def gain_forgotten(dy, cache, own=layernorm.backward):                          # invisible at init: gains are 1
        return (own(dy, (cache[0], np.ones_like(cache[1]), *cache[2:]))[0], *own(dy, cache)[1:])
    with gradcheck.swap(layernorm, backward=gain_forgotten):
        report = gradcheck.check_model(gpt2, gpt2.init(config, rng, np.float64), ids, ids, config)
    assert not report.passed and any("second set of arguments" in note for note in report.notes)
    assert gradcheck.check(gpt2, p, ids, ids, config).passed                              # elementwise


# -------------------------------------------------------------------------------- wrt, float32 and wording
def test_wrt_takes_the_gradients_asked_for_alone():
    half = gradcheck.pair(lambda x, t: ((x - t)**2, (x, t)), lambda dy, c: 2 * dy * (c[0] - c[1]))
    a, t = rng.standard_normal((2, 3, 4))
    assert gradcheck.check(half, a, t, wrt="x").passed
    report = gradcheck.check(half, a, t)
    assert not report.passed and "If t is data and needs no gradient, say wrt=[...]." in unwrapped(report)
    wrong = gradcheck.pair(half.forward, lambda dy, c: dy * (c[0] - c[1]))
    assert not gradcheck.check(wrong, a, t, wrt="x").passed
    assert not gradcheck.check(half, a, t, wrt="t").passed                       # dx is not dt


def test_float32_can_be_left_out_and_the_report_says_so():
    def wide(x):
        return x * np.ones(4), ()
    report = check_square(lambda dy, c: dy * np.ones(4), wide)
    assert "check(..., float32=False) leaves this rule out." in unwrapped(report)
    assert check_square(lambda dy, c: dy * np.ones(4), wide, float32=False).passed


def test_zeros_are_not_said_to_be_a_multiple():
    reason = check_square(lambda dy, c: 3 * dy * (c[0] > 0), lambda x: (np.maximum(x, 0), (x,))).gradients[0].reason
    assert reason.startswith("Every entry that is not zero is 3 times")
