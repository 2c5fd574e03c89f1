"""From a trained model to text, one file an idea; and from an encoder to texts that are alike.

    sampling    logits -> one token: temperature, top-k, top-p, repetition penalty, the draw
    kv_cache    run only the new tokens through the model; llama_cache and seq2seq_cache: the same for those two
    window      what the model sees when the text outgrows its context
    generate    a stream of token ids
    beam        several texts at once, the likeliest wins
    translate   the same for a model that was given a source text: seq2seq
    int8        the same model in a quarter of the memory, rounded
    stopping    stop strings that straddle tokens, and half characters
    text        a prompt in, text out, as it is made
    conversation    turn by turn, with a model that was taught to converse
    console     write any text to any terminal

    sentences   BERT: a vector for a text, near those of texts that mean the same
    search      the passages of the reader's files whose vectors are nearest; search_files, search_passages, search_index
"""
