"""Wrong answers to the exercises on attention; the labels (A1) to (A6) are those of layers/attention.py."""
import numpy as np

from nanolm.grading.exercise import ways
from nanolm.layers import dropout as dropout_layer
from nanolm.layers import softmax as softmax_layer


def turned(a):
    """Return a with its last two axes exchanged."""
    return a.swapaxes(-1, -2)


def attention_backward(dy, cache, scale="both", softmax="full", weights="cached", dropped="kept", upstream="dy", values="v",
                       dv="kept", dq="k", dk="q", order="q k v"):
    """attention.backward, with a switch wherever people go wrong."""
    q, k, v, kept, s, (P, _), (keep, more) = cache
    dy = dy if upstream == "dy" else np.ones_like(dy)
    if weights == "without the mask":
        P, _ = softmax_layer.forward(q @ turned(k) * s)
        kept = P if keep is None else P * keep * more
    P = {"after dropout": kept, "rows": P / P.sum(axis=-1, keepdims=True)}.get(weights, P)
    dP = dy @ turned(v if values == "v" else k)
    if keep is not None:
        dP = {"kept": dP * keep * more, "forgotten": dP, "not scaled": dP * keep, "twice": dP * keep * more**2,
              "inverted": dP * ~keep * more}[dropped]
    average = {"average missing": 0, "diagonal": P * dP, "sign": -(dP * P).sum(axis=-1, keepdims=True),
               "queries": (dP * P).sum(axis=-2, keepdims=True), "plain mean": dP.mean(axis=-1, keepdims=True),
               "mean of the products": (dP * P).mean(axis=-1, keepdims=True), "plain sum": dP.sum(axis=-1, keepdims=True),
               "all rows": (dP * P).sum(axis=(-2, -1), keepdims=True)}.get(softmax, (dP * P).sum(axis=-1, keepdims=True))
    ds = {"skipped": dP, "P missing": dP - average, "P times dP": P * dP - average}.get(softmax, P * (dP - average))
    for_q, for_k = {"both": (s, s), "missing": (1, 1), "twice": (s * s, s * s), "upside down": (1 / s, 1 / s), "dq": (s, 1),
                    "dk": (1, s), "values": (v.shape[-1]**-0.5,) * 2, "keys": (k.shape[-2]**-0.5,) * 2}[scale]
    dq = for_q * {"k": lambda: ds @ k, "turned": lambda: turned(ds) @ k, "q": lambda: ds @ q, "v": lambda: ds @ v}[dq]()
    dk = for_k * {"q": lambda: turned(ds) @ q, "not turned": lambda: ds @ q, "k": lambda: turned(ds) @ k,
                  "dq": lambda: turned(ds) @ dq, "zero": lambda: np.zeros_like(k)}[dk]()
    dv = {"kept": lambda: turned(kept) @ dy, "not turned": lambda: kept @ dy, "before dropout": lambda: turned(P) @ dy,
          "scaled": lambda: turned(kept) @ dy * s, "ds": lambda: turned(ds) @ dy, "v": lambda: turned(kept) @ v,
          "zero": lambda: np.zeros_like(v)}[dv]()
    return {"q k v": (dq, dk, dv), "k q v": (dk, dq, dv), "q v k": (dq, dv, dk), "v k q": (dv, dk, dq)}[order]


BACKWARD = ways(
    attention_backward,
    scale_missing=("The scale is missing on the way back: scores = q k^T / sqrt(D), so dq and dk are divided by sqrt(D) too, "
                   "(A6). Yours are sqrt(D) times too large.", {"scale": "missing"}),
    scale_twice=("dq and dk are divided by D, but forward divided the scores by sqrt(D): the scale is in them once, not twice, "
                 "(A6).",
                 {"scale": "twice"}),
    scale_upside_down=("dq and dk are multiplied by sqrt(D) where they must be divided by it: the derivative of a product with "
                       "1/sqrt(D) is a product with 1/sqrt(D) again, (A6).", {"scale": "upside down"}),
    scale_on_dq_only=("dq has the scale 1/sqrt(D) and dk has not. q and k stand in the same product, (A1), so both get it: scale "
                      "dscores once, before both, (A6).", {"scale": "dq"}),
    scale_on_dk_only=("dk has the scale 1/sqrt(D) and dq has not. q and k stand in the same product, (A1), so both get it: scale "
                      "dscores once, before both, (A6).", {"scale": "dk"}),
    scale_from_values=("The scale is 1/sqrt(E), with the width E of the values. It comes from the width D of q and k, (A1): the "
                       "cache has it as `scale`.", {"scale": "values"}),
    scale_from_keys=("The scale is 1/sqrt(S), with the number of keys. It comes from the width D of q and k, (A1): the cache has "
                     "it as `scale`.", {"scale": "keys"}),
    softmax_skipped=("The softmax is skipped: dP is the gradient of the weights P, not of the scores. Between them stands "
                     "dscores = P (dP - sum(dP P)), the sum over each row, (A5).", {"softmax": "skipped"}),
    softmax_diagonal=("Only the diagonal of the softmax's Jacobian is there: P (1 - P) dP is how a score moves its own weight. "
                      "It moves the other weights of its row as well: P (dP - sum(dP P)), (A5).", {"softmax": "diagonal"}),
    softmax_average_missing=("The average is missing: dscores = P dP is not all. The weights of a row add up to one, so raising "
                             "one lowers the others: P (dP - sum(dP P)), (A5).", {"softmax": "average missing"}),
    softmax_factor_missing=("The factor P in front is missing: dscores = P (dP - sum(dP P)), and yours is the bracket alone, "
                            "(A5). Without it a key that is forbidden gets a gradient.", {"softmax": "P missing"}),
    softmax_factor_on_first=("The factor P stands before dP alone: it belongs before the whole bracket, P (dP - sum(dP P)), "
                             "(A5).",
                             {"softmax": "P times dP"}),
    softmax_over_queries=("The softmax's backward sums over the queries (axis -2). Each query's weights over the keys add up to "
                          "one, so the sum runs over the keys: axis=-1, keepdims=True, (A5).", {"softmax": "queries"}),
    softmax_over_all=("The softmax's backward sums over the whole matrix of a head. Each query is a softmax of its own, so the "
                      "sum runs over the keys alone: axis=-1, keepdims=True, (A5).", {"softmax": "all rows"}),
    softmax_plain_mean=("The mean of dP is subtracted with all keys counted alike. Each dP counts with its weight: sum(dP P), "
                        "(A5).",
                        {"softmax": "plain mean"}),
    softmax_plain_sum=("The sum of dP is subtracted, without the weights. Each dP counts with its weight: sum(dP P), (A5).",
                       {"softmax": "plain sum"}),
    softmax_mean_for_sum=("The average in the softmax is divided by S once too often: the weights P add up to one already, so "
                          "sum(dP P) is the average. Write sum and not mean, (A5).", {"softmax": "mean of the products"}),
    softmax_sign=("The average is added where it must be subtracted: P (dP - sum(dP P)), (A5).", {"softmax": "sign"}),
    softmax_of_dropped=("The softmax's backward takes the weights after dropout. The softmax gave P, before dropout: it is in "
                        "the softmax's cache, (A5). It is right only without dropout.", {"weights": "after dropout"}),
    mask_lost=("P is computed again from q and k, and the mask is lost on the way: take P from the cache. There it is 0 where "
               "the mask forbids, and so backward needs no mask.", {"weights": "without the mask"}),
    rows_divided_again=("P is divided by its row sums once more. They are one already, except for a query that may attend to "
                        "nothing: there they are 0, and 0 / 0 is NaN.", {"weights": "rows"}),
    dropout_forgotten=("Dropout is forgotten on the way back: dy @ v^T is the gradient of the weights after dropout. Those that "
                       "were dropped get none, the others 1 / (1 - rate) times: dropout.backward.", {"dropped": "forgotten"}),
    dropout_not_scaled=("The dropped weights get no gradient, as it should be, but the others are not divided by 1 - rate, as "
                        "forward did.", {"dropped": "not scaled"}),
    dropout_scaled_twice=("The gradient of the weights is divided by 1 - rate twice on its way through dropout: once is right.",
                          {"dropped": "twice"}),
    dropout_inverted=("The gradient goes through the weights that were dropped, and not through those that were kept: keep is "
                      "True where a weight was kept.", {"dropped": "inverted"}),
    dy_ignored=("dy is not used: the gradients are those of the sum of y, as if dy were all ones. Everything begins with "
                "dP = dy @ v^T, (A4).", {"upstream": "ones"}),
    dP_from_keys=("dP is computed with k, but y = P v: dP = dy @ v^T, (A4).", {"values": "k"}),
    dv_not_turned=("dv takes P as it is: dv_j = sum over the queries i of P_ij dy_i, so P must be turned, P^T @ dy, (A4). P @ dy "
                   "runs only if T = S.", {"dv": "not turned"}),
    dv_before_dropout=("dv takes the weights before dropout. y was made with the weights after it, `kept`: dv = kept^T @ dy, "
                       "(A4).",
                       {"dv": "before dropout"}),
    dv_scaled=("dv has the factor 1/sqrt(D), which belongs to the scores alone: dv = kept^T @ dy, (A4).", {"dv": "scaled"}),
    dv_from_dscores=("dv is made with dscores: y = P v, so it is the weights that lead back to v, dv = kept^T @ dy, (A4).",
                     {"dv": "ds"}),
    dv_from_values=("dv is made with v in the place of dy: dv = kept^T @ dy, (A4). A gradient always carries dy.", {"dv": "v"}),
    dv_zero=("dv is zero: v is an argument of forward, and dv = kept^T @ dy, (A4).", {"dv": "zero"}),
    dq_turned=("dq takes dscores turned: dq_i = sum over the keys j of ds_ij k_j, so it is ds @ k as it stands, (A6). ds^T @ k "
               "runs only if T = S.", {"dq": "turned"}),
    dq_from_q=("dq is made with q: the other factor of the product q . k is k, so dq = ds @ k, (A6).", {"dq": "q"}),
    dq_from_v=("dq is made with v: the scores are q . k, so dq = ds @ k, (A6).", {"dq": "v"}),
    dk_not_turned=("dk takes dscores as they are: dk_j = sum over the queries i of ds_ij q_i, so they must be turned, ds^T @ q, "
                   "(A6). ds @ q runs only if T = S.", {"dk": "not turned"}),
    dk_from_k=("dk is made with k: the other factor of the product q . k is q, so dk = ds^T @ q, (A6).", {"dk": "k"}),
    dk_from_dq=("dk is made with dq: the other factor of the product q . k is q itself, so dk = ds^T @ q, (A6).", {"dk": "dq"}),
    dk_zero=("dk is zero. The dk of all keys add up to zero, but each of them is not: dk = ds^T @ q, (A6).", {"dk": "zero"}),
    dq_and_dk_exchanged=("dq and dk are returned in each other's place. The order is that of forward's arguments: dq, dk, dv.",
                         {"order": "k q v"}),
    dk_and_dv_exchanged=("dk and dv are returned in each other's place. The order is that of forward's arguments: dq, dk, dv.",
                         {"order": "q v k"}),
    dq_and_dv_exchanged=("dq and dv are returned in each other's place. The order is that of forward's arguments: dq, dk, dv.",
                         {"order": "v k q"}),
)


def attention_forward(q, k, v, mask=None, dropout=0.0, rng=None, scale="D", masked="-inf", softmax="stable", weights="P",
                      dropped="weights", product="q k", values="v"):
    """attention.forward's y, with a switch wherever people go wrong."""
    D = q.shape[-1]
    s = {"D": D**-0.5, "missing": 1.0, "1/D": 1 / D, "upside down": D**0.5, "values": v.shape[-1]**-0.5,
         "keys": k.shape[-2]**-0.5, "queries": q.shape[-2]**-0.5}[scale]
    scores = (q @ turned(k) if product == "q k" else k @ turned(q)) * s
    if dropped == "scores":
        scores, _ = dropout_layer.forward(scores, dropout, rng)
    raw = scores
    if mask is not None:
        scores = {"-inf": lambda: np.where(mask, scores, -np.inf), "inverted": lambda: np.where(mask, -np.inf, scores),
                  "zero": lambda: np.where(mask, scores, 0), "-1e9": lambda: np.where(mask, scores, -1e9),
                  "-50": lambda: np.where(mask, scores, -50.0),
                  "lowest": lambda: np.where(mask, scores, np.finfo(np.float64).min),
                  "-1e9 added": lambda: scores + np.where(mask, 0, -1e9), "-50 added": lambda: scores + np.where(mask, 0, -50.0),
                  "-1e9, zeros": lambda: np.where(mask, scores, -1e9), "-50, zeros": lambda: np.where(mask, scores, -50.0),
                  "added": lambda: scores + mask}.get(masked, lambda: scores)()
    largest = scores.max(axis=-1, keepdims=True)
    largest = {"overflow": 0, "NaN": largest}.get(softmax, np.where(largest > -np.inf, largest, 0))
    e = np.exp(scores - largest)
    if softmax in ("overflow, zeros", "overflow, mask after exp"):          # no largest is subtracted
        e = np.exp(scores) if softmax == "overflow, zeros" or mask is None else np.exp(raw) * mask
    total = e.sum(axis=-1, keepdims=True)
    P = {"stable": lambda: e / np.where(total == 0, 1, total), "NaN": lambda: e / total, "overflow": lambda: e / total,
         "not divided": lambda: np.exp(scores), "skipped": lambda: scores,
         "whole": lambda: e / e.sum(axis=(-2, -1), keepdims=True),
         "queries": lambda: softmax_layer.forward(scores, axis=-2)[0], "absolute": lambda: scores / scores.sum(-1, keepdims=True),
         }.get(softmax, lambda: e / np.where(total == 0, 1, total))()
    if dropped == "masked scores":
        P, _ = softmax_layer.forward(dropout_layer.forward(scores, dropout, rng)[0])
    if mask is not None and masked == "after":
        P = P * mask
    if mask is not None and masked.endswith(", zeros"):     # a query that may attend to nothing is looked after
        P = P * mask.any(axis=-1, keepdims=True)
    if dropped == "weights":
        P, _ = dropout_layer.forward(P, dropout, rng)
    elif dropped == "not scaled":
        P = dropout_layer.forward(P, dropout, rng)[0] * (1 - dropout if rng is not None else 1)
    elif dropped == "divided again":
        P, _ = dropout_layer.forward(P, dropout, rng)
        total = P.sum(axis=-1, keepdims=True)
        P = P / np.where(total == 0, 1, total)
    y = (P if weights == "P" else turned(P)) @ (v if values == "v" else k)
    return dropout_layer.forward(y, dropout, rng)[0] if dropped == "answers" else y


FORWARD = ways(
    attention_forward,
    scale_missing=("The scores are not divided by sqrt(D): without it q . k grows with D, and the softmax saturates, (A1).",
                   {"scale": "missing"}),
    scale_by_D=("The scores are divided by D. q . k has the variance D, so its square root brings it to one: sqrt(D), (A1).",
                {"scale": "1/D"}),
    scale_upside_down=("The scores are multiplied by sqrt(D) where they must be divided by it, (A1).", {"scale": "upside down"}),
    scale_from_values=("The scores are divided by sqrt(E), with the width E of the values: it is the width D of q and k that "
                       "counts, (A1).", {"scale": "values"}),
    scale_from_keys=("The scores are divided by sqrt(S), the number of keys: it is the width D of q and k that counts, "
                     "q.shape[-1], (A1).", {"scale": "keys"}),
    scale_from_queries=("The scores are divided by sqrt(T), the number of queries: it is the width D of q and k that counts, "
                        "q.shape[-1], (A1).", {"scale": "queries"}),
    mask_missing=("The mask is not used: where it is False the score must be -inf before the softmax, "
                  "(A1).", {"masked": "missing"}),
    mask_inverted=("The mask is used the wrong way round: True means that a query MAY attend. Put -inf where it is False, (A1).",
                   {"masked": "inverted"}),
    mask_after_softmax=("The mask comes after the softmax: the forbidden keys have taken their share by then, and the weights "
                        "that are left add up to less than one. Put -inf into the scores, before it, (A1).", {"masked": "after"}),
    mask_score_zero=("A forbidden score is set to 0. exp(0) = 1: such a key still gets weight, often more than others. It must "
                     "be -inf, (A1).", {"masked": "zero"}),
    mask_added=("The mask is added to the scores as it is, as 1 and 0. True means may attend: put -inf where it is False, (A1).",
                {"masked": "added"}),
    mask_minus_1e9=("A forbidden score is set to a large negative number. A query that may attend to nothing then gets an even "
                    "average of all values; it must get zeros. Use -inf, and divide by 1 where the row's sum is 0, "
                    "(A2).", {"masked": "-1e9"}),
    mask_lowest_number=("A forbidden score is set to the lowest number there is. A query that may attend to nothing then gets "
                        "an even average of all values; it must get zeros. Use -inf, (A1), and divide by 1 where the row's sum "
                        "is 0, (A2).", {"masked": "lowest"}),
    mask_minus_1e9_added=("A large negative number is added where the mask is False. A query that may attend to nothing then "
                          "has all its scores lowered alike, and answers as if nothing were forbidden; it must get zeros. Put "
                          "-inf where the mask is False, (A1), and divide by 1 where the row's sum is 0, (A2).",
                          {"masked": "-1e9 added"}),
    mask_minus_50_added=("A number like -50 is added where the mask is False. Scores may differ by more than that, and then a "
                         "forbidden key is attended to all the same. Put -inf where the mask is False, before the softmax, "
                         "(A1).", {"masked": "-50 added"}),
    mask_minus_50=("A forbidden score is set to a number like -50. The allowed ones may lie lower, and then the forbidden key "
                   "takes all the weight. Only -inf is below every score, (A1).", {"masked": "-50"}),
    mask_finite=("A forbidden score is set to a large negative number. However large it is, the allowed scores may lie lower, "
                 "and then a forbidden key takes all the weight. Only -inf is below every score, (A1).",
                 {"masked": "-1e9, zeros"}),
    mask_minus_50_with_zeros=("A forbidden score is set to a number like -50; a query that may attend to nothing gets zeros, as"
                              " it should. But allowed scores may lie below -50, and then the forbidden key takes all the "
                              "weight. Only -inf is below every score, (A1).", {"masked": "-50, zeros"}),
    nan_in_empty_rows=("A query that may attend to nothing gets NaN: its scores are all -inf, and -inf - -inf or 0 / 0 is NaN. "
                       "Its answer must be zeros: subtract 0 and divide by 1 in such a row, as softmax.forward "
                       "does.", {"softmax": "NaN"}),
    overflow=("The largest score is not subtracted before exp: exp of 710 and more is infinite, and inf / inf is NaN; and a "
              "query that may attend to nothing gets 0 / 0, NaN too. Use softmax.forward, (A2).", {"softmax": "overflow"}),
    overflow_with_zeros=("The largest score is not subtracted before exp: exp of 710 and more is infinite, and inf / inf is NaN; "
                         "and where all scores lie below -745 every exp is 0. Subtract it, or use softmax.forward, (A2).",
                         {"softmax": "overflow, zeros"}),
    overflow_and_mask_after_exp=("The largest score is not subtracted before exp, and the mask multiplies afterwards: exp of 710 "
                                 "and more is infinite, inf / inf and inf times 0 are NaN. Put -inf into the scores, (A1), and "
                                 "subtract the largest, or use softmax.forward, (A2).", {"softmax": "overflow, mask after exp"}),
    softmax_over_queries=("The softmax runs over the queries (axis -2). Each query shares its attention among the keys: axis=-1, "
                          "(A2).",
                          {"softmax": "queries"}),
    softmax_over_all=("The exponentials are divided by the sum of the whole matrix. Each query's weights add up to one: sum over "
                      "the keys alone, axis=-1, keepdims=True, (A2).", {"softmax": "whole"}),
    softmax_not_divided=("exp(scores) is not divided by the sum of its row, so the weights do not add up to one, (A2).",
                         {"softmax": "not divided"}),
    softmax_skipped=("There is no softmax: the scores themselves are taken for weights. P = softmax(scores), (A2).",
                     {"softmax": "skipped"}),
    exp_missing=("The scores are divided by their sum without exp: weights must be positive, P = softmax(scores), (A2).",
                 {"softmax": "absolute"}),
    dropout_forgotten=("dropout and rng are not used: with an rng the weights P go through dropout.forward before they meet v.",
                       {"dropped": "forgotten"}),
    dropout_not_scaled=("The weights that dropout keeps are not divided by 1 - dropout.", {"dropped": "not scaled"}),
    dropout_rows_divided=("After dropout the weights are divided by their sum again. They may add up to more or less than one "
                          "there: only on average it is one.", {"dropped": "divided again"}),
    dropout_on_scores=("Dropout acts on the scores, before mask and softmax. A score of 0 is no weight of 0: exp(0) = 1. It "
                       "belongs on the weights P, between (A2) and (A3).", {"dropped": "scores"}),
    dropout_on_masked_scores=("Dropout acts on the scores, after the mask and before the softmax. A score that is dropped "
                              "becomes 0, and exp(0) = 1 is weight, also where the mask forbids (-inf times 0 is NaN). It "
                              "belongs on the weights P, between (A2) and (A3).", {"dropped": "masked scores"}),
    dropout_on_answers=("Dropout acts on the answers y. It belongs on the weights P, before they meet "
                        "v.", {"dropped": "answers"}),
    weights_turned=("y is made with the weights turned: y_i = sum over the keys j of P_ij v_j is P @ v as it stands, (A3). P^T @ "
                    "v runs only if T = S.", {"weights": "turned"}),
    q_and_k_exchanged=("The scores are turned: q @ k^T has a row for each query, k @ q^T a row for each key, (A1). It runs only "
                       "if T = S.", {"product": "k q"}),
    keys_for_values=("The answer is an average of the keys: y_i = sum_j P_ij v_j takes the values, (A3).", {"values": "k"}),
)
