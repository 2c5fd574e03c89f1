"""Wrong answers to the exercises on dropout; the labels (D1) and (D2) are those of layers/dropout.py."""
import numpy as np

from nanolm.grading.exercise import ways


def dropout_backward(dy, cache, mask="keep", scale="once", off="dy", dropped="zero", shape="kept"):
    """dropout.backward, with a switch wherever people go wrong."""
    keep, s = cache
    if keep is None and off != "not asked":
        return {"dy": lambda: dy, "zero": lambda: np.zeros_like(dy), "ones": lambda: np.ones_like(dy)}[off]()
    rng = np.random.default_rng(0)
    mask = {"keep": lambda: keep, "all": lambda: np.ones_like(keep), "turned round": lambda: ~keep, "new": lambda:
            rng.random(dy.shape) < 1 / s, "new, as forward": lambda: rng.random(dy.shape, dtype=np.float32) >= 1 - 1 / s,
            "first row": lambda: keep.reshape(-1, keep.shape[-1])[0], "channels": lambda: keep.any(axis=-1, keepdims=True),
            "by value": lambda: np.abs(dy) >= np.quantile(np.abs(dy), 1 - 1 / s)}[mask]()
    scale = {"once": lambda: s, "never": lambda: 1.0, "twice": lambda: s * s, "divided": lambda: 1 / s, "rate": lambda: 1 - 1 / s,
             "over rate": lambda: 1 / (1 - 1 / s), "counted": lambda: keep.size / max(keep.sum(), 1),
             "mean": lambda: 1 / keep.mean(), "two": lambda: 2.0}[scale]()
    if shape == "only kept":
        return dy[keep] * s
    if shape == "summed":
        return (dy * mask * scale).sum(axis=tuple(range(dy.ndim - 1)))
    if shape == "dy forgotten":
        return mask * scale
    return dy * mask * scale + {"zero": 0, "dy": dy * ~keep}[dropped]


BACKWARD = ways(
    dropout_backward,
    none_not_handled=("It raises an error where keep is None: then nothing was dropped, y = x, and dx = dy. Ask `if keep is "
                      "None` first.", {"off": "not asked"}),
    zero_when_off=("Where keep is None, nothing was dropped: y = x, and so dx = dy. Zeros came back.", {"off": "zero"}),
    ones_when_off=("Where keep is None, nothing was dropped: y = x, and so dx = dy. Ones came back: the chain rule multiplies by "
                   "dy.", {"off": "ones"}),
    mask_forgotten=("The numbers that forward dropped have a gradient: keep was forgotten. Where x did not reach y, dx is "
                    "zero, (D2).", {"mask": "all"}),
    mask_turned_round=("dx is zero where x was kept, and not zero where it was dropped: keep is the wrong way round. True "
                       "means kept, (D1).", {"mask": "turned round"}),
    new_mask=("A new mask was drawn, from a generator with seed 0. The numbers that are dropped in backward must be the very "
              "ones that forward dropped: the cache holds keep, (D2).", {"mask": "new"}),
    new_mask_as_forward=("A new mask was drawn as forward does it, from a generator with seed 0. It drops other numbers than "
                         "forward dropped: the cache holds keep, (D2).", {"mask": "new, as forward"}),
    mask_of_first_row=("The first row's mask was used for all rows. Each number has its own entry of keep, (D2).",
                       {"mask": "first row"}),
    mask_of_whole_rows=("A row was dropped only if all of it was. keep says it for each number: dy * keep, (D2).",
                        {"mask": "channels"}),
    small_gradients_dropped=("The smallest entries of dy were dropped. What is dropped was decided by forward, and is in "
                             "keep, (D2).", {"mask": "by value"}),
    scale_forgotten=("scale is missing: forward divided what it kept by 1 - rate, so backward does too. The cache's scale is "
                     "1 / (1 - rate), (D2).", {"scale": "never"}),
    scale_twice=("scale is there twice. y = x keep scale, so dx = dy keep scale, once, (D2).", {"scale": "twice"}),
    divided_by_scale=("dy was divided by scale, where it must be multiplied: scale is already 1 / (1 - rate), and backward "
                      "uses the same factor as forward, (D2).", {"scale": "divided"}),
    multiplied_by_rate=("dx is multiplied by the rate, and not by 1 / (1 - rate), which is the cache's scale, (D2).",
                        {"scale": "rate"}),
    divided_by_rate=("dx is divided by the rate, the share that is dropped. The cache's scale is 1 / (1 - rate), with the "
                     "share that is kept, (D2).", {"scale": "over rate"}),
    scale_always_two=("The scale is always 2. That fits the rate 0.5 alone; the cache's scale is 1 / (1 - rate), (D2).",
                      {"scale": "two"}),
    scale_counted=("The scale was made from how many numbers were in fact kept. Forward used 1 / (1 - rate), whatever the "
                   "chance: it is in the cache, (D2).", {"scale": "counted"}),
    divided_by_mean_of_keep=("dx is divided by keep.mean(), the share that was in fact kept, and is NaN if nothing was. Forward "
                             "used 1 / (1 - rate), whatever the chance: it is in the cache, (D2).", {"scale": "mean"}),
    dropped_passed_on=("Where a number was dropped, dy came through as it is. It did not reach y, so its gradient is zero, (D2).",
                       {"dropped": "dy"}),
    only_kept_returned=("Only the entries that were kept came back, in a row: dy[keep]. dx is shaped like x, with zeros where "
                        "numbers were dropped, (D2).", {"shape": "only kept"}),
    rows_summed=("dx was summed over the rows. Each number of x has a gradient of its own, (D2); only weights are shared.",
                 {"shape": "summed"}),
    dy_forgotten=("dx is keep * scale: that is the derivative of y by x. The chain rule multiplies it by dy, (D2).",
                  {"shape": "dy forgotten"}),
)


def dropout_forward(x, rate, rng, drawn="float32", scale="kept", off="x", zeros="multiplied"):
    """dropout.forward, with a switch wherever people go wrong."""
    if rate == 0:
        return x
    if rng is None:
        return {"x": lambda: x, "scaled": lambda: x * (1 - rate), "divided": lambda: x / (1 - rate),
                "zero": lambda: np.zeros_like(x),
                "not asked": lambda: x * rng.random(x.shape),               # an error: None has no random
                "dropped": lambda: dropout_forward(x, rate, np.random.default_rng(0), drawn, scale)}[off]()
    C, n = x.shape[-1], x.size
    if drawn.startswith("one wasted"):
        rng.random(1, dtype=np.float32 if drawn.endswith("float32") else np.float64)
        drawn = "float32"
    keep = {"float32": lambda: rng.random(x.shape, dtype=np.float32) >= rate, "float64": lambda: rng.random(x.shape) >= rate,
            "below": lambda: rng.random(x.shape, dtype=np.float32) < rate,
            "other end": lambda: rng.random(x.shape, dtype=np.float32) < 1 - rate,
            "other end, float64": lambda: rng.random(x.shape) < 1 - rate,
            "other end turned round": lambda: rng.random(x.shape, dtype=np.float32) >= 1 - rate,
            "binomial": lambda: rng.binomial(1, 1 - rate, x.shape),
            "choice of booleans": lambda: rng.choice([True, False], x.shape, p=[1 - rate, rate]),
            "one row": lambda: rng.random(C, dtype=np.float32) >= rate,
            "one column": lambda: rng.random((*x.shape[:-1], 1), dtype=np.float32) >= rate,
            "normal": lambda: rng.standard_normal(x.shape) >= rate, "uniform": lambda: rng.uniform(size=x.shape) >= rate,
            "own seed": lambda: np.random.default_rng(0).random(x.shape, dtype=np.float32) >= rate,
            "own seed, float64": lambda: np.random.default_rng(0).random(x.shape) >= rate,
            "flat": lambda: (rng.random(n, dtype=np.float32) >= rate).reshape(x.shape, order="F")}[drawn]()
    s = {"kept": lambda: 1 / (1 - rate), "none": lambda: 1.0, "rate": lambda: rate, "over rate": lambda: 1 / rate,
         "multiplied": lambda: 1 - rate, "twice": lambda: 1 / (1 - rate)**2, "counted": lambda: n / max(keep.sum(), 1),
         "mean": lambda: 1 / keep.mean(),
         "root": lambda: (1 - rate)**-0.5}[scale]()
    if zeros == "unscaled x":
        return np.where(keep, x * s, x)
    return x[np.broadcast_to(keep, x.shape) != 0] * s if zeros == "left out" else x * keep * s


FORWARD = ways(
    dropout_forward,
    scale_forgotten=("What is kept is not divided by 1 - rate. Without it y is smaller than x on average, and everything "
                     "behind it would have to change once training is over, (D1).", {"scale": "none"}),
    divided_by_rate=("What is kept is divided by the rate, the share that is dropped. Divide by the share that is kept, 1 - "
                     "rate, (D1).", {"scale": "over rate"}),
    multiplied_by_rate=("What is kept is multiplied by the rate. Divide it by the share that is kept, 1 - rate, (D1).",
                        {"scale": "rate"}),
    multiplied_by_share_kept=("What is kept is multiplied by 1 - rate; it must be divided by it, to make up for what is "
                              "dropped, (D1).", {"scale": "multiplied"}),
    scale_twice=("What is kept is divided by 1 - rate twice, (D1).", {"scale": "twice"}),
    scale_counted=("What is kept is divided by the share that was in fact kept this time. (D1) divides by 1 - rate, whatever "
                   "the chance.", {"scale": "counted"}),
    divided_by_mean_of_keep=("What is kept is divided by keep.mean(), the share that was in fact kept this time, and is NaN if "
                             "nothing was. (D1) divides by 1 - rate, whatever the chance.", {"scale": "mean"}),
    divided_by_root=("What is kept is divided by sqrt(1 - rate). That keeps the spread of y; (D1) keeps its mean and divides "
                     "by 1 - rate.", {"scale": "root"}),
    scaled_when_off=("With rng None nothing is dropped and y = x, but x came back times 1 - rate. The first paper scaled "
                     "then; here what is kept in training is divided by 1 - rate, so that nothing is left to do, (D1).",
                     {"off": "scaled"}),
    divided_when_off=("With rng None nothing is dropped and y = x, but x came back divided by 1 - rate. That makes up for "
                      "what is dropped, and nothing was, (D1).", {"off": "divided"}),
    active_when_off=("With rng None, which means that training is over, numbers are dropped, by a generator with seed 0. y "
                     "must be x then.", {"off": "dropped"}),
    none_not_handled=("It raises an error where rng is None: then nothing is dropped, and y is x.", {"off": "not asked"}),
    zero_when_off=("With rng None y is zero; nothing is dropped then, and y is x.", {"off": "zero"}),
    dropped_for_kept=("What should be kept was dropped: a number is kept if the one that was drawn is at least rate. rate is "
                      "the share that is dropped, (D1).", {"drawn": "below"}),
    other_end_kept=("Numbers below 1 - rate are kept. The chance is right, but the entries are others than those asked for: "
                    "keep where rng.random(x.shape, dtype=np.float32) >= rate.", {"drawn": "other end"}),
    other_end_dropped=("Numbers at least 1 - rate are kept: the share rate of x is kept and the rest dropped. Keep where the "
                       "number that was drawn is at least rate.", {"drawn": "other end turned round"}),
    drawn_in_float64=("The numbers were drawn in float64 (rng.choice does so too). The chance is right, but the generator then "
                      "gives others than those asked for: rng.random(x.shape, dtype=np.float32).", {"drawn": "float64"}),
    other_end_in_float64=("The numbers were drawn in float64, and those below 1 - rate kept. The chance is right, but the "
                          "entries are others than those asked for: rng.random(x.shape, dtype=np.float32) >= rate.",
                          {"drawn": "other end, float64"}),
    one_number_wasted=("A number was drawn from rng before the mask, by rng.random(1) or rng.random(): the chance is right, but "
                       "the generator then gives others than those asked for. Draw once, x.shape of them, (D1).",
                       {"drawn": "one wasted"}),
    one_float32_wasted=("A float32 was drawn from rng before the mask: the chance is right, but each entry gets its neighbour's "
                        "number. Draw once, x.shape of them, (D1).", {"drawn": "one wasted, float32"}),
    drawn_by_binomial=("keep was drawn by rng.binomial. The chance is right, but the entries are others than those asked for: "
                       "rng.random(x.shape, dtype=np.float32) >= rate.", {"drawn": "binomial"}),
    drawn_normal=("The numbers were drawn from a normal distribution: half of them are negative, so far too many are dropped. "
                  "rng.random gives numbers spread evenly over 0 to 1, of which the share rate lies below rate.",
                  {"drawn": "normal"}),
    one_mask_for_all_rows=("One mask was drawn and used for every row. Each number of x has a chance of its own: draw x.shape of "
                           "them, (D1).", {"drawn": "one row"}),
    whole_rows_dropped=("One number a row was drawn, so whole rows are dropped. Each number of x has a chance of its own: "
                        "draw x.shape of them, (D1).", {"drawn": "one column"}),
    generator_of_its_own=("The numbers came from a generator with seed 0, made anew in each call: the same entries would be "
                          "dropped in every step. Draw from rng, which moves on by itself.", {"drawn": "own seed"}),
    generator_of_its_own_float64=("The numbers came from a generator with seed 0, made anew in each call: the same entries "
                                  "would be dropped in every step. Draw from rng, by rng.random(x.shape, dtype=np.float32).",
                                  {"drawn": "own seed, float64"}),
    mask_mixed_up=("The right numbers were drawn, and handed to other entries of x: draw them in x's own shape, "
                   "rng.random(x.shape, dtype=np.float32).", {"drawn": "flat"}),
    dropped_passed_on=("What is dropped came through as it is; it must become zero, (D1).", {"zeros": "unscaled x"}),
    left_out=("Only what is kept came back, in a row. y is shaped like x, with zeros where numbers are dropped, (D1).",
              {"zeros": "left out"}),
)
