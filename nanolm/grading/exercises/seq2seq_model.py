"""Exercise on the encoder-decoder Transformer: three users of one table, and a memory that every decoder block reads."""
import numpy as np

from nanolm.gradcheck.draws import randomised
from nanolm.grading.exercise import Term
from nanolm.grading.exercises import build
from nanolm.grading.exercises.models import dropped, model_call, model_cases, shape, targets_of
from nanolm.grading.inside import Step
from nanolm.grading.mistakes import seq2seq as mistakes
from nanolm.layers import block, cross_entropy, decoder_block, layernorm, linear
from nanolm.models import seq2seq, seq2seq_input


def arguments(draw):
    B, T, V, L, H, C = shape(draw)
    S, shared = draw.choice(T, draw.whole(1, 5)), draw.choice(True, True, False)
    (rate, rng), numbers = dropped(draw), draw.generator()
    config = seq2seq.Config(V, max(S, T) + 1, L, H, C, draw.whole(2, 6), 0 if shared else draw.choice(0, V + 2), shared, rate,
                            draw.share(0.1, 0.0, 0.3), draw.choice("post", "pre"), draw.share("relu", "tanh", "erf"),
                            draw.share(1e-5, 0.3))
    p, targets = randomised(seq2seq.init(config, numbers), numbers), targets_of(draw, B, T, V)
    args = p, draw.ids((B, S), config.source_vocab_size or V), draw.ids((B, T), V), targets, config
    options = {"source_lengths": np.array([draw.whole(1, S) for _ in range(B)])} if draw.choice(False, True) else {}
    sizes = {"B": B, "T": T, "S": S, "V": V, "L": L, "H": H, "C": C, "N": B * T, "M": int((targets != -100).sum())}
    return args, {**options, "rng": rng}, sizes


def seq2seq_backward(draw):
    args, options, sizes = arguments(draw)
    return model_call(seq2seq, args, options, sizes)


def way_down(cache):
    """Return dz, dhead, dy below each decoder block, memory's gradients, and dx below each encoder block."""
    shared, (c_source, c_encoder, c_norm_e), (c_target, c_decoder, c_norm_d, c_head), c_loss = cache
    dz = cross_entropy.backward(1.0, c_loss)
    dy, dhead, _ = linear.backward(dz, c_head)
    dy = dy if c_norm_d is None else layernorm.backward(dy, c_norm_d)[0]
    dys, dmemories, dxs = [], [], []
    for c in reversed(c_decoder):
        dy, dmemory, _ = decoder_block.backward(dy, c)
        dys, dmemories = [*dys, dy], [*dmemories, dmemory]
    dx = sum(dmemories)
    dx = dx if c_norm_e is None else layernorm.backward(dx, c_norm_e)[0]
    for c in reversed(c_encoder):
        dx, _ = block.backward(dx, c)
        dxs.append(dx)
    return dz, dhead, dys, dmemories, dxs


def steps(cache):
    dz, dhead, dys, dmemories, dxs = way_down(cache)
    found = [Step("dz", gradient=dz, called=("dlogits",)), Step("dhead", gradient=dhead, called=("dhead",))]
    L, above = len(dys), ("dz",)
    for i, dy in enumerate(dys):
        found.append(Step(f"dy below decoder block {L - 1 - i}", gradient=dy, after=above))
        above = (found[-1].name,)
    found.append(Step("dmemory, summed over the decoder's blocks", gradient=sum(dmemories), called=("dmemory",), after=above))
    return found + [Step(f"dx below encoder block {L - 1 - i}", gradient=dx) for i, dx in enumerate(dxs)]


def terms(cache):
    """The shared table's gradient is a sum of three."""
    if not cache[0]:
        return {}
    _, dhead, dys, _, dxs = way_down(cache)
    return {'dp["embed"]["weight"]': [Term("source", "the source's lookup", seq2seq_input.backward(dxs[-1], cache[1][0])),
                                      Term("target", "the target's lookup", seq2seq_input.backward(dys[-1], cache[2][0])),
                                      Term("output", "the output's gradient, dhead.T", dhead.T)]}


def exercises(constants):
    return [
        build.backward(seq2seq, ("dp",), seq2seq_backward, level=3, minutes=60, notebook="19_seq2seq", mistakes=mistakes.BACKWARD,
                       steps=steps,
                       terms=terms, cases=model_cases(seq2seq), own=(seq2seq.backward, seq2seq.encode_backward,
                                                                     seq2seq.decode_backward),
                       imports="from nanolm.layers import block, cross_entropy, decoder_block, layernorm, linear\n"
                               "from nanolm.models import seq2seq_input",
                       task="Write the backward of the encoder-decoder. The cache is (shared, c_encode, c_decode, c_loss), with "
                            "c_encode = (c_input, c_blocks, c_norm) and c_decode = (c_input, c_blocks, c_norm, c_head): of "
                            "seq2seq_input.forward (lookup, sqrt(C), positions, dropout), a list with one of block.forward or "
                            "decoder_block.forward for each block, of the layernorm.forward that ends a pre-norm stack (None for "
                            "post-norm), of linear.forward(y, head), and of cross_entropy.forward. Call their backwards. Return "
                            "dp with the keys encoder and decoder (each h with \"0\", \"1\", ..., and norm if there was one) "
                            "and, if shared, embed, else source_embed, target_embed and head, each with weight.",
                       hints=("Down through the decoder first: loss, output, norm, blocks, lookup. Then the encoder, from memory "
                              "down.",
                              "decoder_block.backward returns dx, dmemory, dp. memory went into every decoder block: add up all "
                              "their dmemory.",
                              "That sum is what the encoder begins with, where the decoder begins with dz.",
                              "seq2seq_input.backward(dx, c_input) is a lookup's gradient, (V, C). If shared, embed gets the "
                              "source's, the target's and dhead.T, added.")),
    ]
