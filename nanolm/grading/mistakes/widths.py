"""Wrong answers to the exercises on the layers that widen and narrow: (MF1) mlp.py, (W1), (W2) swiglu.py, (K1) pooler.py."""
import numpy as np

from nanolm.grading.exercise import ways
from nanolm.layers import gelu, relu

SUM = "Every token uses the same weight, so their gradients add: a sum, not a mean."
TOTALS = dict(                                      # what goes wrong in the sum over the tokens, in any pair of linear layers
    weights_mean=("The gradients of the weights are divided by the number of rows. " + SUM, {"total": "mean"}),
    weights_mean_of_first_axis=("The gradients of the weights are divided by the length of the first axis. " + SUM,
                                {"total": "mean of first axis"}),
    weights_last_only=("The gradients of the weights come from the last sequence (the last of the first axis) alone: sum over "
                       "all rows.",
                       {"total": "last"}),
    weights_first_only=("The gradients of the weights come from the first sequence (the first of the first axis) alone: sum over "
                        "all rows.",
                        {"total": "first"}),
)


def rows(a):
    return a.reshape(-1, a.shape[-1])


def product(a, d, total="sum"):
    """Return the gradient of a weight, a^T @ d over all rows; or in one of the wrong ways."""
    if total in ("first", "last") and a.ndim > 1:
        a, d = (a[0], d[0]) if total == "first" else (a[-1], d[-1])
    n = {"mean": rows(a).shape[0], "mean of first axis": a.shape[0]}.get(total, 1)
    return rows(a).T @ rows(d) / n


# ---------------------------------------------------------------------------------------- mlp
def mlp_backward(dy, cache, bend="right", total="sum", bias="sum", fc="after", proj="h", dx="c_fc", dh="turned",
                 keys="right", back="dx dp"):
    """mlp.backward, with a switch wherever people go wrong."""
    form, (x, W_fc, _), c2, (h, W_proj, _) = cache

    def summed(d):
        return {"sum": rows(d).sum(axis=0), "mean": rows(d).mean(axis=0), "zero": np.zeros(d.shape[-1]),
                "first axis": d.sum(axis=0), "last": rows(d)[-1], "none": None}[bias]

    dh_out = dy @ (W_proj.T if dh == "turned" else W_proj)
    own = (relu if form == "relu" else gelu).backward
    before = c2[0]                                      # h before the bend; for relu after it, with the same sign

    def of_gelu(at, form):
        return gelu.backward(dh_out, gelu.forward(at, form)[1])
    if form == "relu" and bend in ("tanh", "erf", "share", "after"):
        bend = "right"
    da = {"right": lambda: own(dh_out, c2), "skipped": lambda: dh_out, "relu": lambda: dh_out * (before > 0),
          "tanh": lambda: of_gelu(before, "tanh"), "erf": lambda: of_gelu(before, "erf"), "share": lambda: dh_out * c2[2],
          "after": lambda: of_gelu(h, form),
          "forward": lambda: gelu.forward(dh_out, form)[0] if form != "relu" else np.maximum(dh_out, 0),
          "dy forgotten": lambda: own(np.ones_like(dh_out), c2)}[bend]()
    dx = da @ W_fc.T if dx == "c_fc" else dh_out @ W_fc.T
    c_fc = {"weight": product(x, da if fc != "before" else dh_out, total), "bias": summed(dh_out if fc == "bias before" else da)}
    c_proj = {"weight": product({"h": h, "before": before if form != "relu" else h}[proj], dy, total), "bias": summed(dy)}
    dp = {"c_fc": c_fc, "c_proj": c_proj} if keys == "right" else {"c_fc": c_proj, "c_proj": c_fc}
    dp = {name: {"weight": d["weight"]} for name, d in dp.items()} if bias == "none" else dp
    return {"dp dx": (dp, dx), "skip": (dx + dy, dp), "zero": (np.zeros_like(dx), dp)}.get(back, (dx, dp))


MLP_BACKWARD = ways(
    mlp_backward,
    bend_skipped=("The bend is skipped: between the two linear layers stands gelu (or relu), so dh goes through gelu.backward "
                  "before it reaches c_fc, (MF1).", {"bend": "skipped"}),
    bend_as_relu=("The derivative of ReLU is taken whatever form says: for \"tanh\" and \"erf\" it is gelu.backward(dh, "
                  "c2).", {"bend": "relu"}),
    form_always_tanh=("The derivative of the tanh form is taken whatever form says: form is in the cache, and gelu.backward "
                      "knows it by its own.", {"bend": "tanh"}),
    form_always_erf=("The derivative of the erf form is taken whatever form says: form is in the cache, and gelu.backward knows "
                     "it by its own.", {"bend": "erf"}),
    bend_without_product_rule=("GELU's derivative lacks a term: y = x share(x), so it is share + x dshare/dx, (G3) and (G4) of "
                               "gelu.py.",
                               {"bend": "share"}),
    bend_at_its_answer=("GELU's derivative is taken at h after the bend. It is taken where forward bent: at h before it, which "
                        "is in gelu's cache.", {"bend": "after"}),
    bend_forward_again=("dh goes through the bend's forward: on the way back it is multiplied by the derivative, "
                        "gelu.backward(dh, c2).",
                        {"bend": "forward"}),
    bend_alone=("The bend's derivative is not multiplied by what comes from above: dh = dh_above * "
                "gelu'(h).", {"bend": "dy forgotten"}),
    fc_weight_before_bend=("c_fc's weight gets dh as it is before the bend's backward. c_fc stands below the bend: use dh after "
                           "gelu.backward.", {"fc": "before"}),
    fc_bias_before_bend=("c_fc's bias gets dh as it is before the bend's backward. c_fc stands below the bend: use dh after "
                         "gelu.backward.", {"fc": "bias before"}),
    proj_weight_before_bend=("c_proj's weight is made with h before the bend. Its input was the bent h: gelu(h)^T @ "
                             "dy.", {"proj": "before"}),
    dx_before_bend=("dx is made with dh as it is before the bend's backward: first gelu.backward, then c_fc.", {"dx": "before"}),
    proj_not_turned=("dh = dy @ W_proj takes c_proj's weight as it is: on the way back it must be turned, dy @ W_proj^T. As it "
                     "is, it runs only if F = C.", {"dh": "not turned"}),
    **TOTALS,
    bias_mean=("The gradients of the biases are means over the rows. Every row got the same bias, so their gradients "
               "add.", {"bias": "mean"}),
    bias_first_axis=("The gradients of the biases are summed over the first axis alone: sum over every axis but the last.",
                     {"bias": "first axis"}),
    bias_last_row=("The gradients of the biases come from the last row alone: sum over all rows.", {"bias": "last"}),
    bias_zero=("The gradients of the biases are zero: every row got the bias, so its gradient is the sum over all "
               "rows.", {"bias": "zero"}),
    biases_forgotten=("The biases are missing in dp: it must have p's keys, {\"weight\", \"bias\"} in each of the "
                      "two.", {"bias": "none"}),
    keys_exchanged=("The gradients of c_fc and c_proj are in each other's place in dp.", {"keys": "exchanged"}),
    skip_added=("dy is added to dx. That is the residual connection's, in block.backward; the MLP itself has "
                "none.", {"back": "skip"}),
    dx_zero=("dx is zero: x came in through c_fc, so dx = dh @ W_fc^T.", {"back": "zero"}),
    dp_first=("dp comes first: the order is that of forward's arguments, dx, dp.", {"back": "dp dx"}),
)


def mlp_forward(x, p, form="tanh", bend="right", place="between", biases="both", second="c_proj", skip="no"):
    """mlp.forward's y, with a switch wherever people go wrong."""
    def bent(h):
        other = {"tanh": "erf", "erf": "tanh"}.get(form, form)
        as_form = {"right": form, "other": other}.get(bend, bend)
        return np.maximum(h, 0) if as_form == "relu" else gelu.forward(h, as_form)[0]

    b1 = p["c_fc"]["bias"] * (biases in ("both", "c_fc", "late"))
    b2 = p["c_proj"]["bias"] * (biases in ("both", "c_proj", "late"))
    h = x if place != "before" else bent(x)
    h = h @ p["c_fc"]["weight"] + (b1 if biases != "late" else 0)
    h = bent(h) if place in ("between", "twice") else h
    h = h + (b1 if biases == "late" else 0)
    y = h @ p["c_proj"]["weight"] + b2
    y = bent(y) if place in ("after", "twice") else y
    return y + x if skip == "added" else y


MLP_FORWARD = ways(
    mlp_forward,
    bend_missing=("There is no bend between the two linear layers, so they are one: h = gelu(x W_fc + b_fc), "
                  "(MF1).", {"place": "nowhere"}),
    bend_after=("The bend comes after the second layer: it belongs between the two, (MF1).", {"place": "after"}),
    bend_before=("The bend comes before the first layer: it belongs between the two, (MF1).", {"place": "before"}),
    bend_twice=("There is a bend after the second layer too: y = h W_proj + b_proj is all, (MF1).", {"place": "twice"}),
    form_always_tanh=("The tanh form is used whatever form says: \"erf\" and \"relu\" are others.", {"bend": "tanh"}),
    form_always_erf=("The erf form is used whatever form says: \"tanh\" and \"relu\" are others.", {"bend": "erf"}),
    form_always_relu=("ReLU is used whatever form says: \"tanh\" and \"erf\" are GELU's.", {"bend": "relu"}),
    forms_exchanged=("The two forms of GELU are exchanged: \"tanh\" is GPT-2's, (G2), \"erf\" is BERT's, "
                     "(G1).", {"bend": "other"}),
    biases_missing=("The biases are missing, both of them, (MF1).", {"biases": "none"}),
    fc_bias_missing=("c_fc's bias is missing, (MF1).", {"biases": "c_proj"}),
    proj_bias_missing=("c_proj's bias is missing, (MF1).", {"biases": "c_fc"}),
    fc_bias_after_bend=("c_fc's bias is added after the bend: gelu(x W_fc + b_fc), (MF1).", {"biases": "late"}),
    skip_added=("x is added to the answer. That is the residual connection's, in block.forward; the MLP itself has none.",
                {"skip": "added"}),
)


# ---------------------------------------------------------------------------------------- pooler
def pooler_backward(dy, cache, bend="right", place="first", dense="turned", total="sum", bias="sum", weight="right",
                    before="dh", back="dx dp"):
    """pooler.backward, with a switch wherever people go wrong."""
    (B, T, C), (first, W, _), (y,) = cache
    slope = {"right": 1 - y * y, "skipped": np.ones_like(y), "of the answer": 1 - np.tanh(y)**2, "not squared": 1 - y,
             "sign": 1 + y * y, "logistic": y * (1 - y), "minus": y * y - 1, "square only": y * y}[bend]
    dh = dy * slope if before != "dy forgotten" else slope
    dfirst = dh @ (W.T if dense == "turned" else W)
    dx = np.zeros((B, T, C))
    if place == "every" or place == "spread":
        dx[:] = dfirst[:, None] / (T if place == "spread" else 1)
    elif place == "first text":
        dx[0, 0] = dfirst[0]
    elif place == "batch":
        dx[0] = dfirst[:T] if B == T else dfirst                            # x[0] in place of x[:, 0]: runs only if B = T
    else:
        dx[:, {"first": 0, "last": -1}.get(place, 0)] = dfirst
    upper = dy if before == "weight before" else dh
    dweight = {"right": lambda: product(first, upper, total), "turned": lambda: product(first, upper, total).T}[weight]()
    dbias = {"sum": dh.sum(axis=0), "mean": dh.mean(axis=0), "axis": dh.sum(axis=-1), "zero": np.zeros(C), "not summed": dh,
             "before": dy.sum(axis=0), "last": dh[-1]}[bias]
    dp = {"weight": dweight, "bias": dbias}
    dx = dfirst if place == "alone" else dx
    return (dp, dx) if back == "dp dx" else (dx, dp)


POOLER_BACKWARD = ways(
    pooler_backward,
    tanh_skipped=("The tanh is skipped: dh = dy (1 - y^2), and only then comes the linear layer, (K1).", {"bend": "skipped"}),
    tanh_of_the_answer=("tanh is taken of y once more: y is tanh(h) already, so its slope is 1 - "
                        "y^2.", {"bend": "of the answer"}),
    tanh_square_forgotten=("The slope of tanh is 1 - y^2, not 1 - y.", {"bend": "not squared"}),
    tanh_sign=("The slope of tanh is 1 - y^2, not 1 + y^2: it is never above one.", {"bend": "sign"}),
    tanh_as_logistic=("y (1 - y) is the slope of the logistic function; that of tanh is 1 - y^2.", {"bend": "logistic"}),
    tanh_negative=("The slope of tanh has the wrong sign: it is 1 - y^2, not y^2 - 1.", {"bend": "minus"}),
    tanh_square_only=("The slope of tanh is 1 - y^2, not y^2.", {"bend": "square only"}),
    dy_forgotten=("dy is not used: dh = dy (1 - y^2).", {"before": "dy forgotten"}),
    last_token=("The gradient goes to the last token of each text. The pooler read the first: dx[:, 0].", {"place": "last"}),
    every_token=("Every token gets the gradient. Only the first of each text was read, so the others get zeros, "
                 "(K1).", {"place": "every"}),
    spread_over_tokens=("The gradient is spread evenly over the tokens, as after a mean. Only the first of each text was read, "
                        "so it gets all of it, (K1).", {"place": "spread"}),
    first_text_only=("Only the first text gets a gradient: the first TOKEN of each text was read, dx[:, "
                     "0].", {"place": "first text"}),
    first_text_for_first_token=("The gradient is put into dx[0], the first text, in place of dx[:, 0], the first token of each. "
                                "(It runs only if B = T, or B = 1.)", {"place": "batch"}),
    dx_of_first_token_alone=("dx has the shape (B, C), that of the first tokens: it must be (B, T, C), with zeros for the other "
                             "tokens.",
                             {"place": "alone"}),
    dense_not_turned=("dx is made with W as it is. It runs, because W is square, but on the way back it must be turned: dh @ "
                      "W^T.",
                      {"dense": "not turned"}),
    weight_turned=("dweight is turned: x_0^T @ dh and not dh^T @ x_0, because h = x_0 @ W.", {"weight": "turned"}),
    weight_before_tanh=("dweight is made with dy, before the tanh's backward: the linear layer stands below the tanh, so x_0^T @ "
                        "dh.",
                        {"before": "weight before"}),
    weight_mean=("dweight is divided by the number of texts. Every text uses the same weight, so their gradients "
                 "add.", {"total": "mean"}),
    bias_mean=("dbias is the mean over the texts. Every text got the same bias, so their gradients add.", {"bias": "mean"}),
    bias_over_channels=("dbias is summed over the channels: it must be summed over the texts, axis=0.", {"bias": "axis"}),
    bias_not_summed=("dbias is not summed over the texts: it must have the shape (C,), dh.sum(axis=0).", {"bias": "not summed"}),
    bias_zero=("dbias is zero: every text got the bias, so its gradient is the sum over the texts.", {"bias": "zero"}),
    bias_before_tanh=("dbias is made with dy, before the tanh's backward: the linear layer stands below the tanh, so "
                      "dh.sum(axis=0).",
                      {"bias": "before"}),
    bias_last_text=("dbias comes from the last text alone: sum over all of them.", {"bias": "last"}),
    dp_first=("dp comes first: the order is that of forward's arguments, dx, dp.", {"back": "dp dx"}),
)


def pooler_forward(x, p, place="first", bend="tanh", bias="added", weight="right"):
    """pooler.forward's y, with a switch wherever people go wrong."""
    h = {"first": lambda: x[:, 0], "last": lambda: x[:, -1], "mean": lambda: x.mean(axis=1), "sum": lambda: x.sum(axis=1),
         "max": lambda: x.max(axis=1), "all": lambda: x, "first text": lambda: x[0]}[place]()
    h = np.tanh(h) if bend == "before" else h
    h = h @ (p["weight"] if weight == "right" else p["weight"].T) + p["bias"] * (bias == "added")
    y = {"tanh": lambda: np.tanh(h), "logistic": lambda: 1 / (1 + np.exp(-h)), "relu": lambda: np.maximum(h, 0),
         "gelu": lambda: gelu.forward(h)[0]}.get(bend, lambda: h)()
    return y + p["bias"] if bias == "late" else y


POOLER_FORWARD = ways(
    pooler_forward,
    tanh_missing=("The tanh is missing: y = tanh(x_0 W + b), (K1).", {"bend": "none"}),
    tanh_before_linear=("The tanh comes before the linear layer: y = tanh(x_0 W + b), (K1).", {"bend": "before"}),
    logistic_for_tanh=("The logistic function stands in the place of tanh: y = tanh(x_0 W + b), (K1).", {"bend": "logistic"}),
    relu_for_tanh=("ReLU stands in the place of tanh: y = tanh(x_0 W + b), (K1).", {"bend": "relu"}),
    gelu_for_tanh=("GELU stands in the place of tanh: y = tanh(x_0 W + b), (K1).", {"bend": "gelu"}),
    last_token=("The last token of each text is read: [CLS] is the first, x[:, 0].", {"place": "last"}),
    mean_of_tokens=("The mean of all tokens is taken: only the first of each text is read, x[:, 0].", {"place": "mean"}),
    sum_of_tokens=("The sum of all tokens is taken: only the first of each text is read, x[:, 0].", {"place": "sum"}),
    max_of_tokens=("The largest over the tokens is taken: only the first of each text is read, x[:, 0].", {"place": "max"}),
    all_tokens=("All tokens go through: only the first of each text is read, x[:, 0], and y is (B, C).", {"place": "all"}),
    first_text=("The first text is read, x[0]: it must be the first token of each, x[:, 0].", {"place": "first text"}),
    bias_missing=("The bias is missing: y = tanh(x_0 W + b), (K1).", {"bias": "none"}),
    bias_after_tanh=("The bias is added after the tanh: y = tanh(x_0 W + b), (K1).", {"bias": "late"}),
    weight_turned=("The weight is turned: it is stored (in, out), so h = x_0 @ weight.", {"weight": "turned"}),
)
