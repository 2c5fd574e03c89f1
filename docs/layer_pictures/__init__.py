"""Slides-sized pictures of the layers, drawn as SVG by plain Python; every number in them is computed by nanolm.

    width.py        how wide a text is at most
    draw.py         a picture: boxes, arrays of numbers, arrows, text
    columns.py      the usual picture: arrays side by side, and beneath each its gradient
    flow.py         the other usual picture: steps in a row, the way forth above and the way back beneath
    first.py        linear, gelu, softmax, embedding, positions
    norms.py        layernorm, rmsnorm, dropout, cross_entropy
    attending.py    attention, masks, multihead
    later.py        rotary, grouped, kv_cache
    blocks.py       residual, mlp, swiglu, block
    whole.py        gpt2, bert, seq2seq
    learning.py     lora, adamw
    catalogue.py    all of them in the order of the course, and the page that shows them

docs/layer_pictures.py, beside this folder, is the command.
"""
