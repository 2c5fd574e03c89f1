"""Linear layer: every output channel is a weighted sum of the input channels, plus a bias.

    y_o = sum_i x_i weight_io + bias_o                                      (L1)

    x (..., I)     weight (I, O)     bias (O,) or None     y (..., O)      all of one dtype, no units

Weights are stored (in, out), so the code reads x @ weight and GPT-2's published tensors fit without turning.

Backward, with dy (..., O) given and n running over all the rows (tokens):

    dx_ni     = sum_o dy_no weight_io           x_ni reaches every output of its own row         (L2)
    dweight_io = sum_n x_ni dy_no               one weight is used by every row, so the rows sum (L3)
    dbias_o   = sum_n dy_no                     and so is one bias                               (L4)

Source    Rumelhart, Hinton, Williams 1986, "Learning representations by back-propagating errors", Nature 323.
Derived   notebooks/01_linear.ipynb.  Tested  tests/test_contract.py, tests/test_golden.py.
"""
from nanolm.layers import check


def forward(x, weight, bias=None):
    """Return y (..., O) and cache = (x, weight, has_bias): both by reference, no new memory.

    Raises ValueError if weight is not (I, O) for x's last axis I, or bias is not (O,); TypeError on mixed dtypes.
    """
    check.floats(x=x, weight=weight, bias=bias, optional="bias")
    check.dimensions("x", x, 1, "(..., I)")
    if weight.ndim != 2 or weight.shape[0] != x.shape[-1]:
        raise ValueError(f"weight must have the shape (in, out) = ({x.shape[-1]}, out), because x has {x.shape[-1]} "
                         f"channels, but it has {weight.shape}. A PyTorch weight is (out, in): turn it with weight.T.")
    check.shape("bias", bias, weight.shape[1:], "one number for each of weight's output channels")
    y = x @ weight                                                          # (..., I) @ (I, O) -> (..., O)
    if bias is not None:
        y = y + bias
    return y, (x, weight, bias is not None)


def backward(dy, cache):
    """Return dx, dweight, dbias, shaped like x, weight, bias. dbias is None if there was no bias."""
    x, weight, has_bias = cache
    rows_x = x.reshape(-1, x.shape[-1])                                     # (N, I): every leading axis is "rows"
    rows_dy = dy.reshape(-1, dy.shape[-1])                                  # (N, O)
    dx = dy @ weight.T                                                      # y = x @ weight, (L2)
    dweight = rows_x.T @ rows_dy                                            # y = x @ weight, (L3)
    dbias = rows_dy.sum(axis=0) if has_bias else None                       # y = y + bias, (L4)
    return dx, dweight, dbias
