"""What a GPT-2 of a given shape costs: parameters, operations and memory, one row for each layer.

    B sequences of T tokens, N = B T;   C channels, H heads, F (4 C), V tokens in the vocabulary, S positions

    row      parameters             FLOPs of forward            numbers that forward keeps for backward
    wte      V C                    0, a lookup                 0
    wpe      S C                    0                           0
    ln_1     2 C                    0                           N C + 2 N         x, mean, rstd
    attn     4 C^2 + 4 C            8 N C^2 + 4 N T C           5 N C + H N T     input; q, k, v; P; the heads' answer
    ln_2     2 C                    0                           N C + 2 N
    mlp      2 C F + F + C          4 N C F                     N C + 3 N F       input; GELU's input, share, output
    ln_f     2 C                    0                           N C + 2 N                     not with norm "post"
    head     0, it is wte again     2 N C V                     N C + N V + N     input; logits; the log of their sum

(An MLP with form "relu" keeps N F numbers less.)

A FLOP is one addition or multiplication. Only matrix products are counted, 2 for each product of two numbers and its
sum: (N, I) @ (I, O) takes 2 N I O. What goes on between them is a few operations a number, but slow ones: time it.
The plain attention computes all T scores of a query, also those that the mask forbids, so all are counted.

Backward takes twice forward's products: y = x W needs dy W^T and x^T dy, scores and values likewise. A training step is
therefore three times the forward, about 6 N P for P parameters, where T is small against C.

Memory in bytes, with b bytes a number (4 in float32). Training holds 16 bytes a parameter: the weight, its gradient and
AdamW's two averages; and what forward keeps. Dropout keeps more: a boolean (1 byte) for each number it may drop, N C
after the embedding and after each attn and mlp and H N T inside attn, and there the weights after dropping, b H N T.
Generating holds the weights and the key-value cache, 2 C numbers a token and block. Arrays that live only within one
step (dlogits, N V numbers, is the largest) come on top.

Source    counting as in Kaplan et al. 2020, arXiv:2001.08361, table 1, but with the head, which their totals leave out.
Tested    tests/test_cost.py, against init, against counted matrix products, and against what the caches really hold.
"""
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Row:
    name: str               # as the parameters are called: "h.0.attn"; "head" for the product with wte at the end
    parameters: int
    flops: int              # of one forward pass; backward takes twice as many
    activations: int        # bytes that forward keeps for backward


def rows(config, batch_size=1, n_tokens=None, itemsize=4):
    """Return one Row for each layer of the model, in the order in which forward runs them.

    n_tokens: T, config.block_size by default; itemsize: bytes a number, 4 for float32, 8 for float64.
    Raises ValueError unless batch_size >= 1, 1 <= n_tokens <= block_size and itemsize is 4 or 8.
    """
    T = config.block_size if n_tokens is None else n_tokens
    if not 1 <= T <= config.block_size:
        raise ValueError(f"n_tokens must lie between 1 and block_size = {config.block_size}, but it is {n_tokens}.")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, but it is {batch_size}.")
    if itemsize not in (4, 8):
        raise ValueError(f"itemsize must be 4 (float32) or 8 (float64), the bytes of one number, but it is {itemsize}.")
    N, C, H, F, V, b = batch_size * T, config.n_embd, config.n_head, config.width, config.vocab_size, itemsize
    drops = config.dropout > 0
    scores = H * N * T                                                      # B H T T
    norm = Row("norm", 2 * C, 0, b * (N * C + 2 * N))
    attn = Row("attn", 4 * C * C + 4 * C, 8 * N * C * C + 4 * N * T * C,
               b * (5 * N * C + scores) + drops * (b * scores + scores + N * C))
    mlp = Row("mlp", 2 * C * F + F + C, 4 * N * C * F, b * (N * C + 3 * N * F) + drops * N * C)
    table = [Row("wte", V * C, 0, 0), Row("wpe", config.block_size * C, 0, drops * N * C)]
    for i in range(config.n_layer):
        table += [replace(norm, name=f"h.{i}.ln_1"), replace(attn, name=f"h.{i}.attn"),
                  replace(norm, name=f"h.{i}.ln_2"), replace(mlp, name=f"h.{i}.mlp")]
    if config.norm == "pre":
        table.append(replace(norm, name="ln_f"))
    return [*table, Row("head", 0, 2 * N * C * V, b * (N * C + N * V + N))]


def total(table):
    """Return the Row "total" that adds up a list of Rows."""
    return Row("total", sum(row.parameters for row in table), sum(row.flops for row in table),
               sum(row.activations for row in table))


def memory(config, batch_size=1, n_tokens=None, itemsize=4):
    """Return {what: bytes}: weights, gradients, optimizer (AdamW's two averages), activations, kv_cache (context full).

    Training needs the first four, generating the first and the last. Raises ValueError as rows does.
    """
    whole = total(rows(config, batch_size, n_tokens, itemsize))
    weights = whole.parameters * itemsize
    return {"weights": weights, "gradients": weights, "optimizer": 2 * weights, "activations": whole.activations,
            "kv_cache": batch_size * config.block_size * 2 * config.n_layer * config.n_embd * itemsize}


def shards(config, batch_size, n_tokens=None):
    """Return in how many shards (training/step.py) a step of this shape is best cut: 1 or 2. Never looks at the machine.

    Each shard that is computed makes a whole gradient. Where that is larger than what forward keeps, as in a large model
    on few tokens, the fast kernels share out each product instead, and one gradient is enough.
    """
    need = memory(config, batch_size, n_tokens)
    return 1 if need["gradients"] > need["activations"] else min(2, batch_size)
