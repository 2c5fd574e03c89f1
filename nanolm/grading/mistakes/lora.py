"""Wrong answers to the exercises on LoRA; the labels (LR1) and (LR2) are those of training/lora.py."""
import numpy as np

from nanolm.grading.exercise import ways
from nanolm.params import flatten, unflatten

A, B = ".lora_a", ".lora_b"


def matrices(adapters):
    return [name.removesuffix(A) for name in adapters if name.endswith(A)]


def scale(alpha, r, a, way):
    """Return s, alpha / r the right way."""
    return {"alpha / r": alpha / r, "alpha": alpha, "1 / r": 1 / r, "none": 1.0, "r / alpha": r / alpha, "root": alpha / r**0.5,
            "16 / r": 16.0 / r, "inputs": alpha / a.shape[0], "squared": (alpha / r)**2, "half": alpha / r / 2}[way]


def merged(p, adapters, alpha=16.0, s="alpha / r", product="a b", how="added", which="all", names="nested"):
    """lora.merged, with a switch wherever people go wrong."""
    flat = dict(flatten(p))
    found = matrices(adapters)
    for name in {"all": found, "first": found[:1], "last": found[-1:], "all but the last": found[:-1]}[which]:
        a, b = adapters[name + A], adapters[name + B]
        r = adapters[found[0] + A].shape[1] if s == "rank of the first" else a.shape[1]
        change = scale(alpha, r, a, "alpha / r" if s == "rank of the first" else s) * {
            "a b": lambda: a @ b, "b a": lambda: b @ a, "turned": lambda: (a @ b).T,
            "first rank": lambda: np.outer(a[:, 0], b[0]), "sums": lambda: np.outer(a.sum(axis=1), b.sum(axis=0))}[product]()
        w = flat[name]
        flat[name] = {"added": lambda: w + change, "alone": lambda: change, "minus": lambda: w - change, "nothing": lambda: w,
                      "twice": lambda: w + 2 * change, "times": lambda: w * change}[how]()
    if which == "last":
        flat = {**flatten(p), **{found[-1]: flat[found[-1]]}}
    if names == "adapted only":
        flat = {name: flat[name] for name in found}
    return flat if names == "flat" else unflatten(flat)


SCALES = {
    "r_forgotten": ("The product is multiplied by alpha alone; the factor is alpha / r, (LR1), with r the number of A's columns.",
                    {"s": "alpha"}),
    "alpha_forgotten": ("The product is divided by r alone; the factor is alpha / r, (LR1).", {"s": "1 / r"}),
    "scale_forgotten": ("The factor alpha / r is missing, (LR1).", {"s": "none"}),
    "scale_upside_down": ("The factor is r / alpha; it is alpha / r, (LR1).", {"s": "r / alpha"}),
    "scale_with_root": ("The factor is alpha / sqrt(r). There is a variant that does so; (LR1) divides by r.", {"s": "root"}),
    "alpha_fixed": ("alpha is always 16. It is an argument, and 16 is only what it is if it is left "
                    "out, (LR1).", {"s": "16 / r"}),
    "divided_by_inputs": ("The factor is alpha / I; r is the number of A's columns (A is (I, r)), not of its rows, (LR1).",
                          {"s": "inputs"}),
    "scale_twice": ("The factor alpha / r is there twice, (LR1).", {"s": "squared"}),
}

MERGED = ways(
    merged,
    **SCALES,
    rank_of_the_first=("r was taken from the first pair of adapters and used for all. Each matrix has an r of its own: "
                       "a.shape[1], (LR1).", {"s": "rank of the first"}),
    b_before_a=("B @ A in place of A @ B: A is (I, r) and B (r, O), so A stands first, (LR1). The other way round it runs only "
                "if W is square, and makes an r by r matrix.", {"product": "b a"}),
    product_turned=("The product A B is transposed. W is (in, out), and so is A B, (LR1). Some published adapters are stored "
                    "(out, in); these are not.", {"product": "turned"}),
    first_rank_only=("Only the first column of A and the first row of B were used. A B adds up r such products, (LR1).",
                     {"product": "first rank"}),
    sums_multiplied=("A and B were each summed over r and then multiplied. A B multiplies A_ik B_ko first, then adds up over "
                     "k, (LR1).", {"product": "sums"}),
    weight_replaced=("W' is the product alone: the published W is missing. W' = W + (alpha / r) A B, (LR1).", {"how": "alone"}),
    subtracted=("The product is subtracted; it is added, (LR1).", {"how": "minus"}),
    change_twice=("The product is added twice, (LR1).", {"how": "twice"}),
    nothing_merged=("The parameters came back as they were. W' = W + (alpha / r) A B, (LR1).", {"how": "nothing"}),
    multiplied=("W is multiplied by the product; it is added, (LR1).", {"how": "times"}),
    first_matrix_only=("Only the first matrix that has adapters was changed; each of them is, (LR1).", {"which": "first"}),
    last_matrix_only=("Only the last matrix that has adapters was changed. Are the parameters copied anew for each of "
                      "them? (LR1)",
                      {"which": "last"}),
    last_matrix_left_out=("The last matrix that has adapters was left as it is: does a loop end one too early? (LR1)",
                          {"which": "all but the last"}),
    others_left_out=("Only the matrices with adapters came back. What has none belongs to the model too, and is returned as "
                     "it is.", {"names": "adapted only"}),
    flat_returned=("The parameters came back as a flat dict with dotted names. They are nested as p is: params.unflatten.",
                   {"names": "flat"}),
)


def backward(dp, adapters, alpha=16.0, s="alpha / r", da="dW B^T", db="A^T dW", sign=1, which="all", names="adapters"):
    """lora.backward, with a switch wherever people go wrong."""
    flat, gradients, found = flatten(dp), {}, matrices(adapters)
    for name in {"all": found, "first": found[:1], "last": found[-1:], "all but the last": found[:-1]}[which]:
        a, b, dw = adapters[name + A], adapters[name + B], flat[name]
        factor = sign * scale(alpha, a.shape[1], a, s)
        right_a, right_b = factor * (dw @ b.T), factor * (a.T @ dw)
        of_a = {"dW B^T": lambda: right_a, "scaled twice": lambda: factor * right_a,
                "unscaled": lambda: dw @ b.T, "not turned": lambda: factor * (dw @ b),
                "dW turned": lambda: factor * (dw.T @ b.T), "dB used": lambda: factor * (dw @ right_b.T),
                "dW forgotten": lambda: factor * (np.ones_like(dw) @ b.T), "A too": lambda: right_a * a, "sign": lambda: -right_a,
                "mean": lambda: right_a / b.shape[1], "zero": lambda: np.zeros_like(a), "turned": lambda: right_a.T}[da]()
        of_b = {"A^T dW": lambda: right_b, "scaled twice": lambda: factor * right_b,
                "unscaled": lambda: a.T @ dw, "not turned": lambda: factor * (a @ dw),
                "dW turned": lambda: factor * (a.T @ dw.T), "dA used": lambda: factor * (right_a.T @ dw),
                "dW forgotten": lambda: factor * (a.T @ np.ones_like(dw)), "B too": lambda: right_b * b, "sign": lambda: -right_b,
                "mean": lambda: right_b / a.shape[0], "zero": lambda: np.zeros_like(b), "turned": lambda: right_b.T}[db]()
        if names == "exchanged":
            of_a, of_b = of_b, of_a
        gradients[name + A], gradients[name + B] = of_a, of_b
        if names == "with W":
            gradients[name] = dw
    if names == "all W":
        gradients = {**flat, **gradients}
    if names == "without the matrix":                                       # "lora_a", the last matrix's only
        gradients = {key.rsplit(".", 1)[-1]: value for key, value in gradients.items()}
    if names == "A alone":
        return {key: value for key, value in gradients.items() if key.endswith(A)}
    if names == "B alone":
        return {key: value for key, value in gradients.items() if key.endswith(B)}
    return unflatten(gradients) if names == "nested" else gradients


def of_gradients(scales):
    """Return the sentences on the factor for backward: there it stands in (LR2)."""
    return {name: (sentence.replace("The product is", "The gradients are").replace("(LR1)", "(LR2)"), switches)
            for name, (sentence, switches) in scales.items()}


BACKWARD = ways(
    backward,
    **of_gradients(SCALES),
    both_signs=("Both gradients have the wrong sign. backward returns the gradients themselves; the minus sign belongs to the "
                "optimizer's step.", {"sign": -1}),
    scale_twice_in_a=("dA has the factor alpha / r twice. W' = W + s A B, so both gradients have the factor s once, (LR2).",
                      {"da": "scaled twice"}),
    scale_missing_in_a=("dA lacks the factor alpha / r. W' = W + s A B, so both gradients have the factor s, (LR2).",
                        {"da": "unscaled"}),
    scale_twice_in_b=("dB has the factor alpha / r twice. W' = W + s A B, so both gradients have the factor s once, (LR2).",
                      {"db": "scaled twice"}),
    scale_missing_in_b=("dB lacks the factor alpha / r. W' = W + s A B, so both gradients have the factor s, (LR2).",
                        {"db": "unscaled"}),
    b_not_turned=("dA = dW B: B is not transposed. dA_ik sums over the outputs o, B's second axis: dW B^T, (LR2). Without the "
                  "T it runs only for some shapes, and then the numbers are wrong.", {"da": "not turned"}),
    a_not_turned=("dB = A dW: A is not transposed. dB_ko sums over the inputs i, A's first axis: A^T dW, (LR2). Without the T "
                  "it runs only for some shapes, and then the numbers are wrong.", {"db": "not turned"}),
    dw_turned_for_a=("dW is transposed in dA. dW is (I, O), like W: dW B^T, (LR2).", {"da": "dW turned"}),
    dw_turned_for_b=("dW is transposed in dB. dW is (I, O), like W: A^T dW, (LR2).", {"db": "dW turned"}),
    da_turned=("dA is transposed: it is shaped like A, (I, r). dW B^T, (LR2).", {"da": "turned"}),
    db_turned=("dB is transposed: it is shaped like B, (r, O). A^T dW, (LR2).", {"db": "turned"}),
    dw_forgotten_in_a=("dA does not depend on dW: the chain rule multiplies by it, dW B^T, (LR2).", {"da": "dW forgotten"}),
    dw_forgotten_in_b=("dB does not depend on dW: the chain rule multiplies by it, A^T dW, (LR2).", {"db": "dW forgotten"}),
    db_from_da=("dB was made with dA in the place of A: was the variable that held A overwritten? Both lines of (LR2) need A "
                "and B as they came.", {"db": "dA used"}),
    da_from_db=("dA was made with dB in the place of B: was the variable that held B overwritten? Both lines of (LR2) need A "
                "and B as they came.", {"da": "dB used"}),
    da_zero=("dA is zero. It is zero while B is zero, at the very beginning, but not after: dW B^T, (LR2).", {"da": "zero"}),
    db_zero=("dB is zero. B begins at zero, its gradient does not: A^T dW, (LR2).", {"db": "zero"}),
    da_times_a=("dA is multiplied by A. W' is linear in A, so A is not in its own gradient, (LR2).", {"da": "A too"}),
    db_times_b=("dB is multiplied by B. W' is linear in B, so B is not in its own gradient: while B is zero nothing would be "
                "learned, (LR2).", {"db": "B too"}),
    da_sign=("dA has the wrong sign. backward returns the gradient itself; the minus sign belongs to the optimizer's step.",
             {"da": "sign"}),
    db_sign=("dB has the wrong sign. backward returns the gradient itself; the minus sign belongs to the optimizer's step.",
             {"db": "sign"}),
    da_mean=("dA is divided by O. The outputs' shares add up, (LR2).", {"da": "mean"}),
    db_mean=("dB is divided by I. The inputs' shares add up, (LR2).", {"db": "mean"}),
    gradients_exchanged=("dA and dB stand under each other's name.", {"names": "exchanged"}),
    b_left_out=("Only the gradients of A came back. Both learn: each name of adapters has a gradient.", {"names": "A alone"}),
    a_left_out=("Only the gradients of B came back. Both learn: each name of adapters has a gradient.", {"names": "B alone"}),
    frozen_weights_too=("The gradients of the matrices W came back too. They are frozen: only the names of adapters have "
                        "gradients here.", {"names": "with W"}),
    whole_model_too=("All of dp came back too. The published weights are frozen: only the names of adapters have gradients here.",
                     {"names": "all W"}),
    nested=("The gradients came back as a nested dict. adapters is flat, with dotted names, and so are its gradients.",
            {"names": "nested"}),
    names_shortened=("The gradients are named lora_a and lora_b alone, so those of all matrices share one name, and the last "
                     "one's are left. Keep the names that adapters has.", {"names": "without the matrix"}),
    first_matrix_only=("Only the first matrix's adapters have gradients; each of them does.", {"which": "first"}),
    last_matrix_only=("Only the last matrix's adapters have gradients. Is the dict made anew in the loop?", {"which": "last"}),
    last_matrix_left_out=("The last matrix's adapters have no gradients: does a loop end one too early?",
                          {"which": "all but the last"}),
)
