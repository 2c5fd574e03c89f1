"""The peer: a plain GPT-2 in torch.nn, as one would write it today; the names of its parameters are ours.

scaled_dot_product_attention, fused AdamW, clipping as in PyTorch, float32, a thread for each core.
"""
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from nanolm import params as parameters
from nanolm import threads
from nanolm.bench import ours


class Attention(nn.Module):
    def __init__(self, C, H):
        super().__init__()
        self.n_head = H
        self.c_attn, self.c_proj = nn.Linear(C, 3 * C), nn.Linear(C, C)

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (part.view(B, T, self.n_head, C // self.n_head).transpose(1, 2) for part in self.c_attn(x).split(C, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C))


class MLP(nn.Module):
    def __init__(self, C):
        super().__init__()
        self.c_fc, self.c_proj = nn.Linear(C, 4 * C), nn.Linear(4 * C, C)

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, C, H):
        super().__init__()
        self.ln_1, self.attn, self.ln_2, self.mlp = nn.LayerNorm(C), Attention(C, H), nn.LayerNorm(C), MLP(C)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT2(nn.Module):
    def __init__(self, config):
        super().__init__()
        C = config.n_embd
        self.wte, self.wpe = nn.Embedding(config.vocab_size, C), nn.Embedding(config.block_size, C)
        self.h = nn.ModuleList([Block(C, config.n_head) for _ in range(config.n_layer)])
        self.ln_f = nn.LayerNorm(C)

    def forward(self, ids, targets):
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1]))
        for block in self.h:
            x = block(x)
        logits = F.linear(self.ln_f(x), self.wte.weight)                    # tied
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.reshape(-1))


def load(model, p):
    """Copy our parameters into the model, so that both compute the same loss. Linear weights are turned: (out, in) there."""
    with torch.no_grad():
        for name, w in parameters.flatten(p).items():
            to = model.get_parameter(name)
            to.copy_(torch.from_numpy(w.T if "c_" in name and w.ndim == 2 else w))


def train(shape, compiled=False):
    """Return {"step": function} for a worker: one whole training step, which returns the loss."""
    torch.set_num_threads(threads.cores())
    config = ours.config_of(shape)
    model = GPT2(config)
    load(model, ours.gpt2.init(config, np.random.default_rng(0)))
    matrices = [w for w in model.parameters() if w.ndim >= 2]
    others = [w for w in model.parameters() if w.ndim < 2]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}],
                                  lr=1e-3, fused=True)
    ids, targets = (torch.from_numpy(a.copy()) for a in ours.batch_of(shape))
    forward = torch.compile(model) if compiled else model

    def one():
        loss = forward(ids, targets)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)           # here, so that no gradient takes memory during the next forward
        return loss.item()

    return {"step": one}


def attention(batch, heads, tokens, channels):
    """Return {"step": function} for a worker: scaled_dot_product_attention, causal, forward and backward."""
    torch.set_num_threads(threads.cores())
    q, k, v, dy = (torch.from_numpy(a) for a in ours.inputs(batch, heads, tokens, channels))

    def leaf(a):
        return a.detach().requires_grad_()

    def both(q, k, v, dy):
        q, k, v = leaf(q), leaf(k), leaf(v)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        y.backward(dy)
        return y.detach(), q.grad, k.grad, v.grad

    both(*(a[:, :, :8].contiguous() for a in (q, k, v, dy)))                # libraries loaded before the memory is looked at

    def one():
        return ours.checks(*(a.numpy() for a in both(q, k, v, dy)))

    return {"step": one}
