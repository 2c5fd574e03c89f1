"""The models, one file each: a frozen dataclass Config, init, forward, backward, logits. They call layers/ only.

    gpt2                a stack of blocks that guesses the next token; with norm "post" it is the first GPT
    llama               what became of it: SmolLM2, Llama, TinyLlama
    bert                an encoder: every token sees the whole text. Its heads, each with a loss:
                        bert_pretraining, bert_sequence, bert_token, bert_span
    seq2seq             encoder and decoder: reads one text, writes another; seq2seq_input makes its vectors
    bert_names          BERT's parameters under their published names
    cost, cost_shapes   what GPT-2 costs, row by row; and what the others do
"""
