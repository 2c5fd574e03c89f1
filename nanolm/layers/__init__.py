"""The layers, one file each, NumPy only: forward(...) -> y, cache and backward(dy, cache) -> gradients.

Read them in this order; each builds on those before it:

    GPT-2       linear, gelu (with erf), softmax, embedding, positions, layernorm, dropout, cross_entropy, masks, attention,
                multihead, mlp, block                                           -> models/gpt2.py
    BERT        tanh, pooler                                                    -> models/bert.py and its heads
    two stacks  relu, decoder_block                                             -> models/seq2seq.py
    Llama       rmsnorm, silu, swiglu, rotary, grouped, llama_block             -> models/llama.py

check.py holds the sentences for what does not fit.

The contract that every layer keeps:

    y, cache = layer.forward(x, weight, ...)     the cache is a tuple that only this layer opens
    dx, dweight, ... = layer.backward(dy, cache) one gradient per float array of forward, same order, shape, dtype

backward never writes to what it is given, so it can be called twice. One gradient alone comes bare, not in a tuple.
d + name is the gradient of the loss by that name. Letters: B batch, T query positions, S key positions, C channels,
H heads, D = C / H, F hidden width of the MLP, V vocabulary, L layers, N = B T tokens.
"""
