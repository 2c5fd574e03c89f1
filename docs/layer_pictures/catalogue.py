"""All the pictures, in the order of the course, and the page that shows them."""
from layer_pictures import attending, blocks, first, later, learning, norms, whole
from nanolm import kernels

LESSONS = {                                     # picture: the lesson that derives what it shows
    "linear": "01_linear", "gelu": "02_gelu", "softmax": "03_softmax", "embedding": "04_embedding", "positions": "04_embedding",
    "layernorm": "05_layernorm", "cross_entropy": "06_cross_entropy", "attention": "07_attention", "masks": "08_masks",
    "multihead": "09_multihead", "dropout": "10_dropout", "residual": "11_block", "mlp": "11_block", "block": "11_block",
    "gpt2": "12_gpt2", "adamw": "13_optimizers", "kv_cache": "16_generation", "bert": "18_bert", "seq2seq": "19_seq2seq",
    "rmsnorm": "20_after_gpt2", "rotary": "20_after_gpt2", "swiglu": "20_after_gpt2", "grouped": "20_after_gpt2",
    "lora": "22_lora"}

PAGE = """# Pictures for slides

One picture for each layer or idea of the course: {count} of them, 16 : 9, made to be read from the last row. They are SVG files
in `docs/layers`, without outside fonts, style sheets or scripts: put one into a slide if your program takes SVG, or show it in
HTML or Markdown. For a program that does not, open it in a browser and take a picture of it. Each has a white ground of its own,
so it can stand on a dark slide.

**Free to use:** the pictures are under the MIT licence, as the whole project is. Use them in your slides, change them,
translate them.

How to read them:

- Blue, solid, from left to right: the way forth. Orange, dashed, from right to left: the gradient's way back. The colours were
  chosen so that colour-blind people can tell them apart; in print the dashes do.
- An array is a box to scale, one cell a number; the darker a cell, the larger its number, whatever its sign. A gradient stands
  beneath its array and has its shape. A thick frame: learned.
- Letters as in the course: B sequences, T queries, S keys, C channels, H heads, D channels a head, F hidden channels,
  V vocabulary, L blocks; G groups of heads that share keys, r LoRA's rank, M masked tokens.
- Every number was computed by nanolm when the picture was made, and rounded. Inputs are small random numbers, or were chosen so
  that something can be seen.

`python docs/layer_pictures.py` makes all of them again, and this page; `tests/test_layer_pictures.py` holds them to what nanolm
computes. To change a sentence or a number, or to translate, edit the files in `docs/layer_pictures` and run it.
"""
ENTRY = """
## {title}

![{alt}](../layers/{name}.svg)

{sees}

Lesson: [{lesson}](../../notebooks/{lesson}.ipynb). Source: [`{source}`](../../{source}).
File: [{name}.svg](../layers/{name}.svg).
"""


def pictures():
    """Return all pictures, each drawn anew, by the plain functions: the fast twin of dropout draws other random bits."""
    modules = (first, norms, attending, blocks, whole, later, learning)
    found = {name: function for module in modules for name, function in vars(module).items() if name.endswith("_picture")}
    with kernels.using("numpy"):
        return [found[name + "_picture"]() for name in LESSONS]


def page(drawn):
    """Return docs/teaching/pictures.md for these pictures."""
    return PAGE.format(count=len(drawn)) + "".join(ENTRY.format(
        title=picture.title, name=picture.name, sees=picture.sees, source=picture.source, lesson=LESSONS[picture.name],
        alt=f"{picture.title}: its arrays, the way forth and the gradient's way back. {picture.sees}") for picture in drawn)
