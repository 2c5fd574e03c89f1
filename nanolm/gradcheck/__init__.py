"""gradcheck: is this backward pass the derivative of that forward pass?

    report = gradcheck.check(layernorm, x, weight, bias)          elementwise, three random upstream gradients
    report = gradcheck.check(gradcheck.pair(forward, backward), x)        your own two functions
    report = gradcheck.check_model(gpt2, p, ids, targets, config)         one random direction a tensor
    report = gradcheck.check_backward("layernorm", mine)          your backward on every ready-made case of a layer
    with gradcheck.swap(layernorm, backward=mine): ...            GPT-2 runs on your function

Read numerical.py first (two ways to a derivative), then verdict.py (how far off is wrong), checker.py, contract.py.
"""
from nanolm.gradcheck import cases
from nanolm.gradcheck.checker import check, pair
from nanolm.gradcheck.models import check_model
from nanolm.gradcheck.report import Gradient, Report
from nanolm.gradcheck.suite import check_backward, check_layer
from nanolm.gradcheck.swapping import swap

__all__ = ["cases", "check", "check_backward", "check_layer", "check_model", "Gradient", "pair", "Report", "swap"]
