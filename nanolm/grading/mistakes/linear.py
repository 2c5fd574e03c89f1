"""Wrong answers to the exercises on the linear layer; the labels (L1) to (L4) are those of layers/linear.py."""
import numpy as np

from nanolm.grading.exercise import ways


def linear_backward(dy, cache, dx="turned", dweight="rows", over="sum", dbias="rows", without_bias="None", returned="in order"):
    """linear.backward, with a switch wherever people go wrong."""
    x, weight, has_bias = cache
    n_in, n_out = weight.shape
    rows_x, rows_dy = x.reshape(-1, n_in), dy.reshape(-1, n_out)
    N, ones = len(rows_x), np.ones_like(rows_dy)

    def of(part):
        """(dweight, dbias) of a part of the batch: x[part] and dy[part], whatever axes they have; a vector is one row."""
        part_x, part_dy = np.atleast_2d(x)[part].reshape(-1, n_in), np.atleast_2d(dy)[part].reshape(-1, n_out)
        return part_x.T @ part_dy, part_dy.sum(axis=0)

    dx = {"turned": lambda: dy @ weight.T, "not turned": lambda: dy @ weight,
          "reshaped": lambda: dy @ weight.reshape(n_out, n_in),
          "dy forgotten": lambda: np.ones_like(dy) @ weight.T, "y": lambda: x @ weight @ weight.T,
          "times x": lambda: x * (dy @ weight.T), "sign": lambda: -(dy @ weight.T), "outputs": lambda: dy @ weight.T / n_out,
          "relu": lambda: dy @ weight.T * (x > 0),
          "rows": lambda: dy @ weight.T / N, "summed": lambda: (rows_dy @ weight.T).sum(axis=0), "dy": lambda: dy,
          "dweight": lambda: dy @ (rows_x.T @ rows_dy).T}[dx]()
    dweight = {"rows": lambda: rows_x.T @ rows_dy, "dy first": lambda: rows_dy.T @ rows_x,
               "reshaped after": lambda: (rows_dy.T @ rows_x).reshape(n_in, n_out),
               "x reshaped": lambda: x.reshape(n_in, -1) @ rows_dy,
               "not summed": lambda: x.swapaxes(-1, -2) @ dy, "last": lambda: of(-1)[0], "first": lambda: of(0)[0],
               "last row": lambda: np.outer(rows_x[-1], rows_dy[-1]), "first row": lambda: np.outer(rows_x[0], rows_dy[0]),
               "outer of sums": lambda: np.outer(rows_x.sum(axis=0), rows_dy.sum(axis=0)),
               "outer of means": lambda: np.outer(rows_x.mean(axis=0), rows_dy.mean(axis=0)),
               "dy forgotten": lambda: rows_x.T @ ones, "x forgotten": lambda: np.ones_like(rows_x).T @ rows_dy,
               "times weight": lambda: weight * (rows_x.T @ rows_dy),
               "one row short": lambda: rows_x[:-1].T @ rows_dy[:-1]}[dweight]()
    B = len(dy) if dy.ndim > 1 else 1
    factor = {"sum": 1, "rows": 1 / N, "batch": 1 / B, "len": 1 / len(dy), "twice": 2, "half": 0.5, "sign": -1,
              "inputs": 1 / n_in}
    dweight = dweight + {"decay": 0.01, "more decay": 0.1}[over] * weight if "decay" in over else dweight * factor[over]
    dbias = {"rows": lambda: rows_dy.sum(axis=0), "not summed": lambda: dy, "axis 0": lambda: dy.sum(axis=0),
             "mean": lambda: rows_dy.mean(axis=0), "batch": lambda: rows_dy.sum(axis=0) / B,
             "len": lambda: rows_dy.sum(axis=0) / len(dy), "two axes": lambda: dy.sum(axis=(0, 1)),
             "one row short": lambda: rows_dy[:-1].sum(axis=0),
             "keepdims": lambda: rows_dy.sum(axis=0, keepdims=True), "last": lambda: of(-1)[1], "first": lambda: of(0)[1],
             "last row": lambda: rows_dy[-1], "first row": lambda: rows_dy[0], "dy forgotten": lambda: ones.sum(axis=0),
             "ones": lambda: np.ones_like(rows_dy[0]), "channels": lambda: dy.sum(axis=-1), "total": lambda: dy.sum(),
             "sign": lambda: -rows_dy.sum(axis=0), "zero": lambda: np.zeros_like(rows_dy[0])}[dbias]()
    if not has_bias:
        dbias = {"None": None, "computed": dbias, "zeros": np.zeros_like(rows_dy[0])}[without_bias]
    return {"in order": (dx, dweight, dbias), "dweight first": (dweight, dx, dbias), "dx last": (dweight, dbias, dx),
            "dbias second": (dx, dbias, dweight)}.get(returned, (dx, dweight, dbias))


LINEAR_BACKWARD = ways(
    linear_backward,
    # How much of a sum and in which order: these go together with other mistakes, so they stand first.
    dweight_mean=("dweight is divided by the number of rows. A weight is used by every row, and what is used N times gets the "
                  "sum of N gradients, (L3), not their mean. If a mean is wanted, the loss has taken it already, and it is in "
                  "dy.",
                  {"over": "rows"}),
    dweight_batch_mean=("dweight is divided by the size of the batch, the first axis. It must be the sum over all rows, (L3): "
                        "averaging over the batch is the loss's business, and is in dy already.", {"over": "batch"}),
    dweight_over_len_of_dy=("dweight is divided by len(dy), whatever axis that is. It must be the sum over all rows, (L3), "
                            "without a factor.",
                            {"over": "len"}),
    weight_decay_added=("0.01 weight is added to dweight. Weight decay is the optimizer's business; the gradient of the layer is "
                        "x^T dy alone, (L3).", {"over": "decay"}),
    more_weight_decay_added=("0.1 weight is added to dweight. Weight decay is the optimizer's business; the gradient of the "
                             "layer is x^T dy alone, (L3).", {"over": "more decay"}),
    relu_in_dx=("dx is zero where x is not positive, as if a ReLU stood before the layer. A linear layer has no activation: dx = "
                "dy weight^T for every x, (L2); what comes before has a backward of its own.", {"dx": "relu"}),
    dweight_sign=("dweight has the wrong sign. backward returns the gradient itself, x^T dy, (L3); the minus sign belongs to the "
                  "optimizer's step.", {"over": "sign"}),
    dweight_twice=("dweight is twice what it should be. Is it added up in two places?", {"over": "twice"}),
    dweight_half=("dweight is half of what it should be: (L3) has no factor 1/2.", {"over": "half"}),
    dweight_mean_over_inputs=("dweight is divided by I, the number of input channels. (L3) has no such factor.",
                              {"over": "inputs"}),
    dweight_returned_first=("The right gradients in another order: dweight comes first. They are returned in the order of "
                            "forward's arguments, x, weight, bias: dx, dweight, dbias.", {"returned": "dweight first"}),
    dx_returned_last=("The right gradients in another order: dx comes last. They are returned in the order of forward's "
                      "arguments, x, weight, bias: dx, dweight, dbias.", {"returned": "dx last"}),
    dbias_returned_second=("The right gradients in another order: dbias comes second. They are returned in the order of "
                           "forward's arguments, x, weight, bias: dx, dweight, dbias.", {"returned": "dbias second"}),
    dbias_without_bias=("Where has_bias is False there is no bias, and dbias must be None; a gradient for it was computed.",
                        {"without_bias": "computed"}),
    zeros_without_bias=("Where has_bias is False there is no bias, and dbias must be None; zeros are a gradient of something.",
                        {"without_bias": "zeros"}),
    # dx
    weight_not_turned=("dx = dy @ weight: weight is not turned. In (L2) the sum runs over weight's outputs, its second axis, "
                       "so it is dy @ weight.T. Without the .T it runs only if weight is square, and then the numbers are "
                       "wrong.", {"dx": "not turned"}),
    weight_reshaped=("weight was brought to (O, I) by a reshape. That keeps the numbers in their order in memory and mixes "
                     "them up; weight.T swaps the axes, (L2).", {"dx": "reshaped"}),
    dx_without_dy=("dx does not depend on dy: it is the sum of weight's rows. The chain rule, (L2), multiplies by dy: dy @ "
                   "weight.T.", {"dx": "dy forgotten"}),
    dx_from_y=("dx is y @ weight.T: the output stands where its gradient dy belongs, (L2).", {"dx": "y"}),
    dx_times_x=("dx is multiplied by x. The derivative of x weight by x is weight alone, (L2).", {"dx": "times x"}),
    dx_sign=("dx has the wrong sign. backward returns the gradient itself; the minus sign belongs to the optimizer's step.",
             {"dx": "sign"}),
    dx_mean_over_outputs=("dx is divided by O, the number of output channels. x_i reaches every output, and the ways add up, "
                          "(L2).", {"dx": "outputs"}),
    dx_mean_over_rows=("dx is divided by the number of rows. Each row has a gradient of its own, and nothing is averaged in "
                       "(L2).", {"dx": "rows"}),
    dx_summed=("dx is summed over the rows. Only what all rows share, weight and bias, gets a sum; each row of x has its own "
               "gradient, shaped like x, (L2).", {"dx": "summed"}),
    dx_from_dweight=("dx is dy @ dweight.T: the weight's gradient stands where the weight itself belongs, dy @ weight.T, (L2).",
                     {"dx": "dweight"}),
    dx_is_dy=("dx is dy itself: the way back through weight, dy @ weight.T, is missing, (L2).", {"dx": "dy"}),
    # dweight
    dweight_turned=("dweight = dy^T x is transposed. Weights are stored (in, out), and entry io is x_i dy_o, so x stands first: "
                    "x^T dy, (L3).", {"dweight": "dy first"}),
    dweight_reshaped=("dweight = dy^T x was brought to (in, out) by a reshape. That mixes the entries up; write x^T dy, (L3), "
                      "and the shape is right by itself.", {"dweight": "reshaped after"}),
    x_reshaped=("x was brought to (I, N) by a reshape. That keeps the numbers in their order in memory, so one column holds "
                "channels of several tokens. First x.reshape(-1, I), then .T.", {"dweight": "x reshaped"}),
    dweight_not_summed=("dweight has one matrix for each sequence. All of them share the weight, so their gradients add up: "
                        "reshape x and dy to rows first, or sum over the axes in front, (L3).", {"dweight": "not summed"}),
    dweight_last_of_batch=("dweight is that of the last entry of the first axis alone. Was dweight = ... written in a loop "
                           "where it should be dweight += ...? (L3) sums over all rows.", {"dweight": "last"}),
    dweight_first_of_batch=("dweight is that of the first entry of the first axis alone, x[0] and dy[0]. (L3) sums over all "
                            "rows.", {"dweight": "first"}),
    dweight_last_row=("dweight is that of the last row alone. Was dweight = ... written in a loop where it should be dweight "
                      "+= ...? (L3) sums over all rows.", {"dweight": "last row"}),
    dweight_first_row=("dweight is that of the first row alone. (L3) sums over all rows.", {"dweight": "first row"}),
    dweight_one_row_short=("dweight lacks the last row: does a loop end one too early? (L3) sums over all N rows.",
                           {"dweight": "one row short"}),
    outer_of_sums=("x and dy were each summed over the rows, and then multiplied. The sum over the rows comes after the "
                   "product of one row's x and dy, (L3): a sum of products is no product of sums.",
                   {"dweight": "outer of sums"}),
    outer_of_means=("x and dy were each averaged over the rows, and then multiplied. (L3) multiplies row by row, then adds up.",
                    {"dweight": "outer of means"}),
    dweight_without_dy=("dweight does not depend on dy: it holds sums of x. The chain rule, (L3), multiplies by dy: x^T dy.",
                        {"dweight": "dy forgotten"}),
    dweight_without_x=("dweight does not depend on x: each of its rows is dbias. The derivative of x_i weight_io by the "
                       "weight is x_i, (L3).", {"dweight": "x forgotten"}),
    dweight_times_weight=("dweight is multiplied by weight. The derivative of x_i weight_io by the weight is x_i alone, (L3).",
                          {"dweight": "times weight"}),
    # dbias
    dbias_not_summed=("dbias has the shape of dy. One bias is added to every row (broadcasting), so its gradient is the sum "
                      "over all rows, (L4).", {"dbias": "not summed"}),
    dbias_first_axis_only=("dbias is summed over the first axis alone. With (B, T, O) that leaves (T, O): sum over all axes "
                           "but the last, or reshape dy to (-1, O) first, (L4).", {"dbias": "axis 0"}),
    dbias_mean=("dbias is the mean over the rows. A bias that N rows use gets the sum of N gradients, (L4).", {"dbias": "mean"}),
    dbias_two_axes=("dbias is summed over the first two axes, whatever they are. That is right for (B, T, O); with (N, O) the "
                    "channels are added up too. Sum over all axes but the last, or reshape dy to (-1, O) first, (L4).",
                    {"dbias": "two axes"}),
    dbias_batch_mean=("dbias is divided by the size of the batch, the first axis. It is the sum over all rows, (L4).",
                      {"dbias": "batch"}),
    dbias_over_len_of_dy=("dbias is divided by len(dy), whatever axis that is. It is the sum over all rows, (L4), without a "
                          "factor.",
                          {"dbias": "len"}),
    dbias_one_row_short=("dbias lacks the last row: does a loop end one too early? (L4) sums over all N rows.",
                         {"dbias": "one row short"}),
    dbias_keepdims=("dbias holds the right numbers in the shape (1, O). It must be shaped like bias, (O,): leave keepdims "
                    "out, (L4).", {"dbias": "keepdims"}),
    dbias_last_of_batch=("dbias is that of the last entry of the first axis alone. (L4) sums over all rows; in a loop, += and "
                         "not =.", {"dbias": "last"}),
    dbias_first_of_batch=("dbias is that of the first entry of the first axis alone. (L4) sums over all rows.",
                          {"dbias": "first"}),
    dbias_last_row=("dbias is the last row of dy alone. (L4) sums over all rows; in a loop, += and not =.",
                    {"dbias": "last row"}),
    dbias_first_row=("dbias is the first row of dy alone. (L4) sums over all rows.", {"dbias": "first row"}),
    dbias_counts_rows=("dbias is the number of rows: dy was forgotten. The derivative of y by the bias is 1, and the chain rule "
                       "multiplies it by dy before the sum, (L4).", {"dbias": "dy forgotten"}),
    dbias_ones=("dbias is all ones: that is the derivative of y by the bias. The chain rule multiplies it by dy and sums, (L4).",
                {"dbias": "ones"}),
    dbias_over_channels=("dbias is summed over the last axis. That one holds the channels, and each has a bias of its own: "
                         "sum over all the others, (L4).", {"dbias": "channels"}),
    dbias_one_number=("dbias is one number: dy was summed over all its axes. The last one, the channels, stays, (L4).",
                      {"dbias": "total"}),
    dbias_sign=("dbias has the wrong sign. The bias is added, so its gradient is the sum of dy, (L4).", {"dbias": "sign"}),
    dbias_zero=("dbias is zero. The bias moves y by as much as it moves itself, so its gradient is the sum of dy over the "
                "rows, (L4).", {"dbias": "zero"}),
)


def linear_forward(x, weight, bias=None, product="rows", add="once", shape="kept"):
    """linear.forward, with a switch wherever people go wrong."""
    n_in, n_out = weight.shape
    if add == "to x":
        x = x if bias is None else x + bias
    y = {"rows": lambda: x @ weight, "turned": lambda: x @ weight.T, "mean": lambda: x @ weight / n_in,
         "scaled": lambda: x @ weight / np.sqrt(n_in),
         "first row": lambda: np.zeros((*x.shape[:-1], n_out)) + x.reshape(-1, n_in)[0] @ weight,
         "column sums": lambda: x.sum(axis=-1, keepdims=True) * weight.sum(axis=0)}[product]()
    first = np.arange(y.size // n_out).reshape(*y.shape[:-1], 1) == 0       # True for the first row
    if bias is not None or add == "not asked":
        y = {"once": lambda: y + bias, "not asked": lambda: y + bias, "never": lambda: y, "to x": lambda: y,
             "twice": lambda: y + bias + bias, "minus": lambda: y - bias, "times": lambda: y * bias,
             "mean": lambda: y + bias.mean(), "sum": lambda: y + bias.sum(), "down": lambda: y + bias[:, None],
             "first row": lambda: y + first * bias}[add]()
    y = np.maximum(y, 0) if shape == "relu" else y
    return {"flat": lambda: y.reshape(-1, n_out), "first": lambda: y.reshape(-1, n_out)[0]}.get(shape, lambda: y)()


LINEAR_FORWARD = ways(
    linear_forward,
    bias_forgotten=("bias is not added: y = x @ weight + bias, (L1).", {"add": "never"}),
    bias_twice=("bias is added twice, (L1).", {"add": "twice"}),
    bias_subtracted=("bias is subtracted; it is added, (L1).", {"add": "minus"}),
    bias_multiplied=("y is multiplied by bias; it is added, (L1).", {"add": "times"}),
    bias_averaged=("Every channel gets the mean of bias. Each output channel has a bias of its own, (L1).", {"add": "mean"}),
    bias_summed=("Every channel gets the sum of bias. Each output channel has a bias of its own, (L1).", {"add": "sum"}),
    bias_down_the_rows=("bias is added along the wrong axis: bias[:, None] gives each row one number. bias (O,) belongs to "
                        "the channels, the last axis of y, and broadcasts there by itself, (L1).", {"add": "down"}),
    bias_to_first_row_only=("bias is added to the first row alone; every row gets it, (L1).", {"add": "first row"}),
    bias_before_weight=("bias is added to x, before the product. It belongs to the outputs: x @ weight + bias, (L1).",
                        {"add": "to x"}),
    none_not_handled=("It raises an error where bias is None: then there is no bias to add. Ask `if bias is not None:` first.",
                      {"add": "not asked"}),
    weight_turned=("y = x @ weight.T: weight is stored (in, out), so it is not turned, (L1). With .T it runs only if weight "
                   "is square, and then the numbers are wrong.", {"product": "turned"}),
    product_averaged=("x @ weight is divided by I. A linear layer sums over the input channels, (L1), and takes no mean.",
                      {"product": "mean"}),
    product_scaled=("x @ weight is divided by sqrt(I). That scale belongs to attention's scores, or to how weights are "
                    "initialised; (L1) has none.", {"product": "scaled"}),
    first_row_everywhere=("Every row of y is that of the first row of x, (L1).", {"product": "first row"}),
    sums_multiplied=("x and weight were each summed over the input channels and then multiplied. Multiply x_i weight_io "
                     "first, then add up over i, (L1).", {"product": "column sums"}),
    axes_flattened=("y has the shape (N, O): the axes in front were flattened and not restored. y keeps x's axes but the last: "
                    "(..., O).", {"shape": "flat"}),
    relu_added=("Negative numbers became zero: a linear layer has no activation, (L1).", {"shape": "relu"}),
    first_row_alone=("Only the first row's y is returned; y has all of x's axes but the last, (..., O).", {"shape": "first"}),
)
