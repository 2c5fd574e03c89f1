"""Wrong answers to the exercises on Adam and AdamW: one derivation with a switch wherever people go wrong."""
import numpy as np

from nanolm.grading.exercise import ways
from nanolm.grading.mistakes.steps import first_of_shape
from nanolm.training import groups as grouping


def adam_step(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0, groups=None, count="step",
              corrected="mv",
              power="t", m_way="average", v_way="average", square="g^2", root="eps outside", sign=-1, rate="lr",
              constants="as passed",
              shared="own", written="moved", decay="before", of="groups",
              spared="none"):
    """adam.step, and adamw.step where weight_decay is not 0. The values given here are the right ones."""
    if constants == "usual betas":
        beta1, beta2 = 0.9, 0.999
    eps = 1e-8 if constants == "usual eps" else eps
    if constants == "betas exchanged":
        beta1, beta2 = beta2, beta1
    t, n = state["t"], len(params)
    state["t"] = {"step": t + 1, "never": t, "late": t + 1, "parameter": t + n, "not stored": t}[count]
    lr = {"forgotten": 1.0, "squared": lr * lr}.get(rate, lr)
    ms, vs = ({name: state[letter + name] for name in params} for letter in ("m.", "v."))
    for i, (name, w) in enumerate(params.items(), start=1):
        g = grads[name]
        m, v = (first_of_shape(kept, name, params) if shared == "by shape" else kept[name] for kept in (ms, vs))
        group = grouping.EVERYTHING if of == "nobody" else grouping.of(name, groups)
        lambda_ = {"usual lambda": 0.01}.get(constants, weight_decay)
        lambda_ *= (w.ndim > 1) if spared in ("one axis", "one axis too") else 1.0
        lambda_ *= 1.0 if spared == "one axis" or of == "rate alone" else group.decay
        step_rate = lr if of == "decay alone" else lr * group.lr
        now = {"step": t + 1, "never": t, "late": t, "parameter": t + i, "not stored": t + 1}[count]
        if decay == "coupled":
            g = g + lambda_ * w
        new_m = {"average": beta1 * m + (1 - beta1) * g, "sum": beta1 * m + g, "exchanged": (1 - beta1) * m + beta1 * g,
                 "overwritten": (1 - beta1) * g, "none": 1.0 * g}.get(m_way, beta1 * m + (1 - beta1) * g)
        of_v = {"g^2": g * g, "g": g, "|g|": np.abs(g), "mean": (g * g).mean() + 0 * g, "m^2": new_m * new_m,
                "g - m": (g - new_m)**2}[square]
        new_v = {"average": beta2 * v + (1 - beta2) * of_v, "sum": beta2 * v + of_v, "exchanged": (1 - beta2) * v + beta2 * of_v,
                 "overwritten": (1 - beta2) * of_v, "beta1": beta1 * v + (1 - beta1) * of_v,
                 "largest": np.maximum(v, beta2 * v + (1 - beta2) * of_v)}.get(v_way, beta2 * v + (1 - beta2) * of_v)
        one, two = 1 - beta1**now, 1 - beta2**now
        if power == "times t":
            one, two = 1 - beta1 * now, 1 - beta2 * now
        elif power == "of the rest":
            one, two = (1 - beta1)**now, (1 - beta2)**now
        elif power == "first":
            one, two = 1 - beta1, 1 - beta2
        elif power == "exchanged":
            one, two = two, one
        m_hat = new_m / one if "m" in corrected else new_m * one if power == "multiplied" else new_m
        v_hat = new_v / two if "v" in corrected else new_v * two if power == "multiplied" else new_v
        if m_way != "not written":
            m[...] = m_hat if m_way == "corrected kept" else new_m
        if v_way != "not written":
            v[...] = v_hat if m_way == "corrected kept" else new_v
        with np.errstate(all="ignore"):
            std = {"eps outside": np.sqrt(v_hat) + eps, "eps inside": np.sqrt(v_hat + eps), "no eps": np.sqrt(v_hat),
                   "eps before": (np.sqrt(new_v) + eps) / np.sqrt(two), "no root": v_hat + eps,
                   "eps squared": np.sqrt(v_hat) + eps**2,
                   "eps in both": np.sqrt(v_hat + eps) + eps, "larger": np.maximum(np.sqrt(v_hat), eps),
                   "root alone": 1.0 + eps, "eps subtracted": np.sqrt(v_hat) - eps,
                   "eps squared inside": np.sqrt(v_hat + eps * eps),
                   "minus eps first": np.sqrt(new_v + eps) / np.sqrt(two)}[root]
            way = (g if m_way == "not used" else m_hat) / std
            way = way + eps if root == "no eps" and constants == "eps behind" else way
        if decay == "in the quotient":
            way = (m_hat + lambda_ * w) / std
        factor = {"without lr": lambda_, "lr squared": step_rate**2 * lambda_, "half": step_rate * lambda_ / 2,
                  "twice": 2 * step_rate * lambda_, "grows": -step_rate * lambda_, "t": step_rate * lambda_ * now,
                  "schedule only": lr * lambda_}.get(decay, step_rate * lambda_)
        pull = factor * {"sign": np.sign(w), "constant": 1.0}.get(decay, w)
        if decay in ("none", "coupled", "in the quotient", "after"):
            pull = 0.0
        if written == "moved":
            w += sign * step_rate * way - pull
            if decay == "after":
                w -= step_rate * lambda_ * w
        if decay == "alone":
            w -= sign * step_rate * way


def adamw_step(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01, groups=None, **switches):
    """adamw.step: the same with a decay that is 0.01 if nothing is said."""
    adam_step(params, grads, state, lr, beta1, beta2, eps, weight_decay, groups, **switches)


BOTH = dict(
    bias_not_corrected=("m and v are used uncorrected. They start at zero and are too small early on: m^ = m / (1 - beta1^t), v^ "
                        "= v / (1 - beta2^t). With the usual betas the first step is 0.1 / sqrt(0.001) = 3.16 times too long.",
                        {"corrected": ""}),
    only_m_corrected=("v is used uncorrected, so the root is too small: v^ = v / (1 - beta2^t). With the usual betas the first "
                      "step is 1 / sqrt(0.001) = 31.6 times too long.", {"corrected": "m"}),
    only_v_corrected=("m is used uncorrected: m^ = m / (1 - beta1^t). With beta1 = 0.9 the first step is 0.1 of what it should "
                      "be.",
                      {"corrected": "v"}),
    counted_too_late=("t is raised after it was used. At the first step t is 1: with t = 0, 1 - beta^0 is 0, and 0 / 0 is NaN.",
                      {"count": "late"}),
    steps_not_counted=("t stays as it was, in state and in the correction: with t = 0, 1 - beta^0 is 0, and 0 / 0 is NaN. First "
                       "t <- t + 1.", {"count": "never"}),
    count_not_stored=('t + 1 is used, but state["t"] stays as it was: the next step takes itself for this one. state["t"] += 1.',
                      {"count": "not stored"}),
    counted_per_parameter=("t is raised once for each parameter, so the second one believes that it is a step further: with the "
                           "usual betas its first step is 0.744 of the right one. Raise t once, before the loop.",
                           {"count": "parameter"}),
    beta_times_t=("The correction is 1 - beta t: it is a power, 1 - beta**t.", {"power": "times t"}),
    brackets_in_power=("The correction is (1 - beta)**t: the power is taken first, 1 - beta**t. It falls to 0 where it should go "
                       "to 1.",
                       {"power": "of the rest"}),
    eps_behind_quotient=("eps is added to the quotient: m^ / sqrt(v^) + eps, for lack of brackets. It belongs to the root, m^ / "
                         "(sqrt(v^) + eps). Where v is 0, 0 / 0 is NaN.", {"root": "no eps", "constants": "eps behind"}),
    first_correction_always=("The correction is 1 - beta at every step. That is right at the first one; later it is 1 - beta**t, "
                             "which goes to 1.", {"power": "first"}),
    corrections_exchanged=("m is divided by 1 - beta2^t and v by 1 - beta1^t: each average has a beta of its own.",
                           {"power": "exchanged"}),
    correction_multiplied=("m and v are multiplied by 1 - beta^t. They are too small by this factor: divide.",
                           {"power": "multiplied", "corrected": ""}),
    corrected_ones_kept=("m^ and v^ are written into state. The averages m and v stay there uncorrected; next time they would be "
                         "corrected again.", {"m_way": "corrected kept"}),
    m_is_a_sum=("g enters m whole: m <- beta1 m + (1 - beta1) g. The factor 1 - beta1 makes it an average; without it m is 10 "
                "times too large at 0.9.", {"m_way": "sum"}),
    v_is_a_sum=("g^2 enters v whole: v <- beta2 v + (1 - beta2) g^2. Without 1 - beta2 v is 1000 times too large at 0.999.",
                {"v_way": "sum"}),
    beta1_the_wrong_way=("m keeps 1 - beta1 of itself and takes beta1 of g. It is slow: it keeps beta1, 0.9, and takes 0.1.",
                         {"m_way": "exchanged"}),
    beta2_the_wrong_way=("v keeps 1 - beta2 of itself and takes beta2 of g^2. It is slow: it keeps beta2, 0.999, and takes "
                         "0.001.",
                         {"v_way": "exchanged"}),
    betas_exchanged=("beta1 and beta2 are exchanged: beta1 is m's, beta2 is v's.", {"constants": "betas exchanged"}),
    betas_ignored=("The betas are always 0.9 and 0.999, whatever the arguments say. Use those that were passed.",
                   {"constants": "usual betas"}),
    eps_ignored=("eps is always 1e-8, whatever the argument says. Use the one that was passed.", {"constants": "usual eps"}),
    old_m_forgotten=("The old m is thrown away: m <- beta1 m + (1 - beta1) g.", {"m_way": "overwritten"}),
    old_v_forgotten=("The old v is thrown away: v <- beta2 v + (1 - beta2) g^2.", {"v_way": "overwritten"}),
    beta1_for_v=("v is averaged with beta1: v <- beta2 v + (1 - beta2) g^2.", {"v_way": "beta1"}),
    m_not_kept=("The new m is used but not written back: m = beta1 * m + ... makes a new array, and state keeps the old one. "
                "m *= beta1; m += (1 - beta1) * g.", {"m_way": "not written"}),
    v_not_kept=("The new v is used but not written back: v = beta2 * v + ... makes a new array, and state keeps the old one. "
                "v *= beta2; v += (1 - beta2) * g * g.", {"v_way": "not written"}),
    averages_not_kept=("The new m and v are used but not written back: state keeps the old ones. m *= beta1; m += (1 - beta1) * "
                       "g; the same with v.", {"m_way": "not written", "v_way": "not written"}),
    largest_v_kept=("v never falls: the larger of the old and the new is kept, as in AMSGrad. Adam lets it fall.",
                    {"v_way": "largest"}),
    g_for_its_square=("v averages g itself: it averages g^2, v <- beta2 v + (1 - beta2) g^2. The root of a negative average is "
                      "NaN.",
                      {"square": "g"}),
    absolute_for_square=("v averages |g|: it averages g^2, of which the root is taken later.", {"square": "|g|"}),
    one_v_for_all=("v averages the mean of g^2 over the whole array. Each weight has a v of its own: g * g, element by element.",
                   {"square": "mean"}),
    m_squared_in_v=("v averages m^2. It averages the square of this step's gradient, g^2.", {"square": "m^2"}),
    deviation_squared_in_v=("v averages (g - m)^2, the deviation, as AdaBelief does. Adam averages g^2.", {"square": "g - m"}),
    gradient_for_m=("The step is g / (sqrt(v^) + eps): m is computed and not used. w <- w - lr m^ / (sqrt(v^) + eps).",
                    {"m_way": "not used"}),
    eps_inside_root=("eps is inside the root: sqrt(v^ + eps). It stands outside, sqrt(v^) + eps. At |g| = 1 the two differ by "
                     "1e-8, at |g| = 1e-6 by a factor of 100: eps = 1e-8 is then larger than v^ = "
                     "1e-12.", {"root": "eps inside"}),
    eps_before_correction=("eps is added to sqrt(v) before v is corrected. It is added to sqrt(v^), or it counts 1 / sqrt(1 - "
                           "beta2^t) times, 31.6 at the first step: at |g| = 1e-6 that step is 0.77 of the right one.",
                           {"root": "eps before"}),
    eps_inside_before_correction=("eps is inside the root and added before v is corrected: sqrt(v + eps). It is added to the "
                                  "root of v^: sqrt(v^) + eps.", {"root": "minus eps first"}),
    eps_missing=("eps does not appear. Where v is 0, 0 / 0 is NaN: divide by sqrt(v^) + eps.", {"root": "no eps"}),
    eps_twice=("eps is inside the root and outside of it. Outside alone: sqrt(v^) + eps.", {"root": "eps in both"}),
    eps_squared=("eps^2 is added: it is eps as it was passed, sqrt(v^) + eps.", {"root": "eps squared"}),
    eps_squared_inside=("eps^2 is added inside the root. It is sqrt(v^) + eps.", {"root": "eps squared inside"}),
    eps_subtracted=("eps is subtracted from the root: sqrt(v^) + eps.", {"root": "eps subtracted"}),
    larger_of_root_and_eps=("The larger of sqrt(v^) and eps is taken. It is their sum.", {"root": "larger"}),
    root_forgotten=("m^ is divided by v^, not by its root: sqrt(v^) + eps. A gradient of 1e-3 makes a step 1000 times too long.",
                    {"root": "no root"}),
    not_divided=("m^ is not divided by sqrt(v^) + eps: that is SGD with an average.", {"root": "root alone"}),
    uphill=("The weights move with the gradient, so the loss goes up: subtract, w <- w - lr m^ / (sqrt(v^) + eps).", {"sign": 1}),
    lr_forgotten=("lr is forgotten: every weight moves by about 1 at the first step.", {"rate": "forgotten"}),
    lr_squared=("lr multiplies twice.", {"rate": "squared"}),
    state_by_shape=("Parameters of the same shape share one m and one v, so the second of them goes on where the first left. "
                    "Each has its own, under its name.", {"shared": "by shape"}),
    nothing_moves=("The arrays of params are as before: w = w - ... makes a new array and gives it the name w; the array that "
                   "the model holds does not move. Write into it: w -= ..., or params[name][...] = ....", {"written": "rebound"}),
)

ADAM = ways(adam_step, **BOTH)

ADAMW = ways(
    adamw_step, **BOTH,
    decay_in_gradient=("The decay is added to the gradient, g + weight_decay w: that is Adam with an L2 penalty. It then runs "
                       "through m and v and is divided by sqrt(v^): at g = 0 the first step is lr sign(w), whatever "
                       "weight_decay. AdamW takes lr weight_decay w from w directly.", {"decay": "coupled"}),
    decay_in_quotient=("weight_decay w is added to m^ before the division by sqrt(v^) + eps, so weights with large gradients "
                       "decay less. The decay stands beside the quotient.", {"decay": "in the quotient"}),
    decay_without_lr=("The decay is not multiplied by lr: w loses the share weight_decay in each step, with lr = 0.01 a hundred "
                      "times too much. w <- w - lr weight_decay w.", {"decay": "without lr"}),
    decay_lr_squared=("The decay has lr^2: w <- w - lr weight_decay w. Is it added inside of what lr multiplies?",
                      {"decay": "lr squared"}),
    decay_sign=("The weights grow: the decay is subtracted, w <- w - lr weight_decay w.", {"decay": "grows"}),
    decay_missing=("Nothing decays. With g = 0 and m = 0 a weight must still lose the share lr weight_decay.", {"decay": "none"}),
    decay_after_step=("The decay is taken after Adam's step, so of the new weight. It takes its share of the old one: decay "
                      "first. The difference is lr weight_decay times the step, small but there.", {"decay": "after"}),
    decay_half=("The decay has half its size. The 1/2 of (lambda / 2) w^2 is gone when it is differentiated.", {"decay": "half"}),
    decay_twice=("The decay is twice too large: is it done twice?", {"decay": "twice"}),
    decay_by_sign=("The decay is lr weight_decay sign(w), that of an L1 penalty. It is a share of w itself.", {"decay": "sign"}),
    decay_constant=("lr weight_decay is subtracted from every weight: it is the share of a weight, w <- w - lr weight_decay w.",
                    {"decay": "constant"}),
    decay_times_t=("The decay grows with t: w <- w - lr weight_decay w in every step.", {"decay": "t"}),
    decay_alone=("The weights decay, and Adam's step is missing.", {"decay": "alone"}),
    weight_decay_ignored=("weight_decay is always 0.01, whatever the argument says. Use the one that was passed.",
                          {"constants": "usual lambda"}),
    groups_ignored=("groups is ignored: biases and gains decay too. The rate of a parameter is lr group.lr, its decay "
                    "weight_decay group.decay.", {"of": "nobody"}),
    group_decay_ignored=("A group's lr is used, its decay is not: biases and gains decay too. weight_decay group.decay.",
                         {"of": "rate alone"}),
    group_lr_ignored=("A group's decay is used, its lr is not: the rate of a parameter is lr group.lr.", {"of": "decay alone"}),
    group_lr_not_in_decay=("A group's lr multiplies the step but not the decay. Both have lr "
                           "group.lr.", {"decay": "schedule only"}),
    vectors_never_decay=("Arrays with one axis never decay, whatever groups says. Which ones decay is said by groups alone, by "
                         "weight_decay group.decay; without groups all do.", {"spared": "one axis too"}),
    matrices_decay_always=("Arrays with two axes decay, others never, whatever groups says. Which ones decay is said by groups "
                           "alone; without groups all do.", {"spared": "one axis"}),
)
