"""From a trained model to text: one file an idea, and each works without those below it.

    sampling    logits -> one token: temperature, top-k, top-p, repetition penalty, the draw
    kv_cache    run only the new tokens through the model
    window      what the model sees when the text outgrows its context
    generate    a stream of token ids
    beam        several texts at once, the likeliest wins
    translate   the same for a model that was given a source text: seq2seq
    stopping    stop strings that straddle tokens, and half characters
    text        a prompt in, text out, as it is made
    console     write any text to any terminal
"""
