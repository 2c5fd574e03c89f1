"""PyTorch's side of `nanolm bench layers`: its operation for each layer, over the whole batch, a thread for each core."""
import numpy as np
import torch
from torch.nn import functional as F

from nanolm import params as parameters
from nanolm import threads
from nanolm.bench import ours, ours_layers


def prepare(shape):
    """Return {"gelu forward": function, ...}, as ours_layers.prepare does."""
    torch.set_num_threads(threads.cores())
    torch.manual_seed(0)
    functions = {}
    for name, (inputs, forward, ids) in operations(shape).items():
        functions[f"{name} forward"], functions[f"{name} backward"] = pair(inputs, forward, ids)
    for name, function in whole_model(shape).items():
        functions[f"{name} forward"] = ours_layers.repeated(function)
    return functions


def pair(inputs, forward, ids):
    """Return the functions of forward (which keeps what backward needs) and backward (from the same forward again)."""
    inputs = [a.requires_grad_() for a in inputs]
    kept = []

    def go():
        return forward(*inputs, *ids)

    def back():
        if not kept:
            y = go()
            kept.extend((y, torch.randn_like(y)))
        torch.autograd.grad(kept[0], inputs, kept[1], retain_graph=True)

    return ours_layers.repeated(go), ours_layers.repeated(back)


def operations(shape):
    """Return {layer: (float inputs, function, other inputs)}."""
    B, T, C, H, V = (shape[name] for name in ("batch", "tokens", "n_embd", "n_head", "vocab_size"))
    x, r = torch.randn(B, T, C), torch.randn
    ids = torch.randint(0, V, (B, T))
    wide, narrow = [r(4 * C, C), r(4 * C)], [r(C, 4 * C), r(C)]

    def attention(packed):
        q, k, v = (part.view(B, T, H, C // H).transpose(1, 2) for part in packed.split(C, dim=2))
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)

    def mlp(x, w1, b1, w2, b2):
        return F.linear(F.gelu(F.linear(x, w1, b1), approximate="tanh"), w2, b2)

    def swiglu(x, gate, up, down):
        return F.linear(F.silu(F.linear(x, gate)) * F.linear(x, up), down)

    def rotary(packed):                                 # as in transformers: x cos + half-turned x sin, the table made anew
        heads = packed.view(B, T, H, C // H).transpose(1, 2)
        angle = torch.arange(T)[:, None] * 10000.0 ** (-torch.arange(0, C // H, 2) / (C // H)).repeat(2)
        first, second = heads.chunk(2, dim=-1)
        return heads * angle.cos() + torch.cat([-second, first], dim=-1) * angle.sin()

    return {"linear": ([x, *wide], F.linear, ()),
            "attention": ([r(B, T, 3 * C)], attention, ()),
            "mlp": ([x, *wide, *narrow], mlp, ()),
            "gelu": ([r(B, T, 4 * C)], lambda x: F.gelu(x, approximate="tanh"), ()),
            "gelu_erf": ([r(B, T, 4 * C)], F.gelu, ()),
            "swiglu": ([x, wide[0], r(4 * C, C), narrow[0]], swiglu, ()),
            "layernorm": ([x, r(C), r(C)], lambda x, w, b: F.layer_norm(x, (C,), w, b), ()),
            "rmsnorm": ([x, r(C)], lambda x, w: F.rms_norm(x, (C,), w), ()),
            "rotary": ([r(B, T, C)], rotary, ()),
            "dropout": ([x], lambda x: F.dropout(x, 0.1), ()),
            "embedding": ([r(V, C)], lambda table, ids: F.embedding(ids, table), (ids,)),
            "cross_entropy": ([r(B * T, V)], F.cross_entropy, (ids.view(-1),))}


def whole_model(shape):
    """Return the functions that a step calls once, for all weights: fused AdamW; the gradients' norm and sum."""
    p = parameters.flatten(ours.gpt2.init(ours.config_of(shape), np.random.default_rng(0)))
    weights = [torch.nn.Parameter(torch.from_numpy(w)) for w in p.values()]
    for w in weights:
        w.grad = torch.randn_like(w)
    optimizer = torch.optim.AdamW(weights, lr=1e-3, fused=True)
    grads, others = [w.grad for w in weights], [w.grad.clone() for w in weights]

    def add():
        torch._foreach_mul_(others, 0.5)
        torch._foreach_add_(others, grads, alpha=0.5)

    return {"adamw": optimizer.step, "clipping": lambda: torch.nn.utils.get_total_norm(grads),
            "summing": add}
