"""Make the golden arrays tests/golden/*.npz with PyTorch and transformers. Run it by hand: python tests/golden/make.py

Each file holds one case: the inputs `in.*`, the upstream gradient `up`, the output `out` and the gradients `grad.*`, all
float64, computed by PyTorch's own functions (never by ours). tests/test_golden.py compares without needing PyTorch.
Made with torch 2.13.0 and transformers 5.23.0; the seeds are fixed, so running it again makes the same arrays.
"""
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "peers"))              # for llama_exactly
rng = np.random.default_rng(20260)


def draw(*shape, around=0.0):
    return torch.tensor(around + rng.standard_normal(shape), dtype=torch.float64, requires_grad=True)


def save(name, inputs, out, fixed=None):
    """Run PyTorch's backward from a random upstream gradient and store everything. `fixed`: arguments without gradient."""
    up = torch.tensor(rng.standard_normal(tuple(out.shape)), dtype=torch.float64)
    out.backward(up)
    arrays = {"in." + k: v.detach().numpy() for k, v in inputs.items()}
    arrays |= {"grad." + k: v.grad.numpy() for k, v in inputs.items()}
    arrays |= {"fixed." + k: np.asarray(v) for k, v in (fixed or {}).items()}
    np.savez_compressed(HERE / f"{name}.npz", out=out.detach().numpy(), up=up.numpy(), **arrays)


def layers():
    x, w, b = draw(2, 3, 4), draw(4, 5), draw(5)
    save("linear", {"x": x, "weight": w, "bias": b}, F.linear(x, w.T, b))
    for form, name in (("tanh", "tanh"), ("none", "erf")):
        x = (draw(3, 50) * 2).detach().requires_grad_()
        save(f"gelu_{name}", {"x": x}, F.gelu(x, approximate=form))
    x = (draw(3, 4, 5) * 3).detach().requires_grad_()
    save("softmax", {"x": x}, F.softmax(x, dim=-1))
    x = draw(3, 4, 5)
    save("softmax_axis1", {"x": x}, F.softmax(x, dim=1))
    w, ids = draw(7, 4), rng.integers(0, 6, (3, 5))
    save("embedding", {"weight": w}, F.embedding(torch.tensor(ids), w), {"ids": ids})
    x, w = draw(2, 3, 4), draw(6, 4)
    save("positions", {"x": x, "weight": w}, x + F.embedding(torch.arange(2, 5), w), {"offset": 2})
    x, w, b = draw(2, 3, 6), draw(6, around=1.0), draw(6)
    save("layernorm", {"x": x, "weight": w, "bias": b}, F.layer_norm(x, (6,), w, b, 1e-5))
    x, keep = draw(4, 5), np.random.default_rng(7).random((4, 5), dtype=np.float32) >= 0.4
    save("dropout", {"x": x}, torch.where(torch.tensor(keep), x / 0.6, 0.0), {"rate": 0.4, "seed": 7})
    targets = np.array([[1, 5, -100, 0], [5, 5, 2, -100]])
    for s in (0.0, 0.1):
        z = (draw(2, 4, 6) * 3).detach().requires_grad_()
        loss = F.cross_entropy(z.reshape(-1, 6), torch.tensor(targets).reshape(-1), label_smoothing=s)
        save(f"cross_entropy_{'smooth' if s else 'plain'}", {"logits": z}, loss,
             {"targets": targets, "label_smoothing": s})


def attentions():
    T, S, D, E, H, B = 4, 6, 3, 5, 2, 2
    lengths = torch.tensor([3, 6])
    masks = {"none": None, "causal": torch.arange(S)[None] <= torch.arange(S - T, S)[:, None],
             "padding": (torch.arange(S)[None] < lengths[:, None])[:, None, None],
             "any": torch.tensor(rng.random((B, H, T, S)) < 0.6) | torch.eye(T, S, dtype=torch.bool)}
    for name, mask in masks.items():
        q, k, v = draw(B, H, T, D), draw(B, H, S, D), draw(B, H, S, E)
        fixed = {} if mask is None else {"mask": mask.numpy()}
        save(f"attention_{name}", {"q": q, "k": k, "v": v}, F.scaled_dot_product_attention(q, k, v, mask), fixed)
    C = 6
    for name in ("self", "cross"):
        x, m = draw(B, T, C), draw(B, S, C)
        w, b, wo, bo = draw(C, 3 * C), draw(3 * C), draw(C, C), draw(C)
        memory = x if name == "self" else m
        mask = torch.tril(torch.ones(T, T, dtype=torch.bool)) if name == "self" else None
        turn = [t.transpose(0, 1) for t in (x, memory, memory)]                 # PyTorch wants (T, B, C)
        out, _ = F.multi_head_attention_forward(*turn, C, H, w.T, b, None, None, False, 0.0, wo.T, bo, need_weights=False,
                                                attn_mask=None if mask is None else ~mask)
        inputs = {"x": x, "c_attn.weight": w, "c_attn.bias": b, "c_proj.weight": wo, "c_proj.bias": bo}
        fixed = {"n_head": H} | ({"mask": mask.numpy()} if mask is not None else {})
        save(f"multihead_{name}", inputs | ({"memory": m} if name == "cross" else {}), out.transpose(0, 1), fixed)


def composites():
    B, T, C, H = 2, 4, 6, 2
    x, w1, b1, w2, b2 = draw(B, T, C), draw(C, 9), draw(9), draw(9, C), draw(C)
    out = F.linear(F.gelu(F.linear(x, w1.T, b1), approximate="tanh"), w2.T, b2)
    save("mlp", {"x": x, "c_fc.weight": w1, "c_fc.bias": b1, "c_proj.weight": w2, "c_proj.bias": b2}, out)
    names = {"ln_1.weight": "norm1.weight", "ln_1.bias": "norm1.bias", "attn.c_attn.weight": "self_attn.in_proj_weight",
             "attn.c_attn.bias": "self_attn.in_proj_bias", "attn.c_proj.weight": "self_attn.out_proj.weight",
             "attn.c_proj.bias": "self_attn.out_proj.bias", "ln_2.weight": "norm2.weight", "ln_2.bias": "norm2.bias",
             "mlp.c_fc.weight": "linear1.weight", "mlp.c_fc.bias": "linear1.bias", "mlp.c_proj.weight": "linear2.weight",
             "mlp.c_proj.bias": "linear2.bias"}
    for norm in ("pre", "post"):
        layer = torch.nn.TransformerEncoderLayer(C, H, 9, 0.0, lambda t: F.gelu(t, approximate="tanh"), batch_first=True,
                                                 norm_first=norm == "pre", dtype=torch.float64)
        theirs = dict(layer.named_parameters())
        with torch.no_grad():
            for tensor in theirs.values():                                      # gains and biases random too
                tensor.copy_(torch.tensor(rng.standard_normal(tuple(tensor.shape))))
        x = draw(B, T, C)
        out = layer(x, src_mask=~torch.tril(torch.ones(T, T, dtype=torch.bool)))
        up = torch.tensor(rng.standard_normal((B, T, C)))
        out.backward(up)
        arrays = {"in.x": x.detach().numpy(), "grad.x": x.grad.numpy()}
        for ours, name in names.items():                                        # a matrix is (out, in) there: turn it
            arrays["in." + ours] = theirs[name].detach().numpy().T
            arrays["grad." + ours] = theirs[name].grad.numpy().T
        np.savez_compressed(HERE / f"block_{norm}.npz", out=out.detach().numpy(), up=up.numpy(), **arrays,
                            **{"fixed.n_head": H, "fixed.norm": norm})


def whole_model():
    from transformers import GPT2Config, GPT2LMHeadModel
    config = GPT2Config(vocab_size=13, n_positions=7, n_layer=2, n_head=2, n_embd=6, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0)
    model = GPT2LMHeadModel(config).double()
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.copy_(torch.tensor(0.4 * rng.standard_normal(tuple(tensor.shape))))
    ids = rng.integers(0, 12, (3, 6))
    targets = rng.integers(0, 12, (3, 6))
    targets[1, 4:] = -100
    z = model(torch.tensor(ids)).logits
    loss = F.cross_entropy(z.reshape(-1, 13), torch.tensor(targets).reshape(-1))
    loss.backward()
    arrays = {}
    for name, tensor in model.transformer.named_parameters():
        arrays["in." + name], arrays["grad." + name] = tensor.detach().numpy(), tensor.grad.numpy()
    np.savez_compressed(HERE / "gpt2.npz", out=loss.detach().numpy(), logits=z.detach().numpy(), **arrays,
                        **{"fixed.ids": ids, "fixed.targets": targets})


def rotated(x, base, offset=0):
    """transformers' own rotary positions on x (B, H, T, D)."""
    from transformers.models.llama.modeling_llama import apply_rotary_pos_emb
    T, D = x.shape[-2:]
    angle = torch.arange(offset, offset + T)[:, None] * (1 / base ** (torch.arange(0, D, 2, dtype=torch.float64) / D))
    angle = torch.cat([angle, angle], dim=-1)[None]
    return apply_rotary_pos_emb(x, x, angle.cos(), angle.sin())[0]


def llama_layers():
    x, w = draw(2, 3, 6), draw(6, around=1.0)
    save("rmsnorm", {"x": x, "weight": w}, F.rms_norm(x, (6,), w, 1e-5))
    x = (draw(3, 20) * 3).detach().requires_grad_()
    save("silu", {"x": x}, F.silu(x))
    x = draw(2, 3, 5, 8)
    save("rotary", {"x": x}, rotated(x, 500.0, 3), {"base": 500.0, "offset": 3})
    x, gate, up, down = draw(2, 3, 4), draw(4, 7), draw(4, 7), draw(7, 4)
    save("swiglu", {"x": x, "gate_proj.weight": gate, "up_proj.weight": up, "down_proj.weight": down},
         (F.silu(x @ gate) * (x @ up)) @ down)
    B, T, C, H, G, D = 2, 5, 6, 4, 2, 4
    x, wq, wk, wv, wo = draw(B, T, C), draw(C, H * D), draw(C, G * D), draw(C, G * D), draw(H * D, C)
    q, k, v = ((x @ w).view(B, T, -1, D).transpose(1, 2) for w in (wq, wk, wv))
    heads = F.scaled_dot_product_attention(rotated(q, 50.0), rotated(k, 50.0), v, is_causal=True, enable_gqa=True)
    save("grouped", {"x": x, "q_proj.weight": wq, "k_proj.weight": wk, "v_proj.weight": wv, "o_proj.weight": wo},
         heads.transpose(1, 2).reshape(B, T, H * D) @ wo, {"n_head": H, "n_kv_head": G, "base": 50.0})


def whole_llama():
    from transformers import LlamaConfig, LlamaForCausalLM

    from llama_exactly import made_exact
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=13, max_position_embeddings=7, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, hidden_size=8,
        intermediate_size=10, rope_parameters={"rope_type": "default", "rope_theta": 50.0}, tie_word_embeddings=True,
        rms_norm_eps=1e-5)).double()
    model = made_exact(model, 50.0, 2)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.copy_(torch.tensor(0.4 * rng.standard_normal(tuple(tensor.shape))))
    ids, targets = rng.integers(0, 12, (3, 6)), rng.integers(0, 12, (3, 6))
    targets[1, 4:] = -100
    z = model(torch.tensor(ids)).logits
    loss = F.cross_entropy(z.reshape(-1, 13), torch.tensor(targets).reshape(-1))
    loss.backward()
    arrays = {}
    for name, tensor in model.model.named_parameters():                         # a matrix is (out, in) there: turn it
        for part, a in (("in.", tensor.detach().numpy()), ("grad.", tensor.grad.numpy())):
            arrays[part + name] = a.T if a.ndim == 2 and not name.startswith("embed") else a
    np.savez_compressed(HERE / "llama.npz", out=loss.detach().numpy(), logits=z.detach().numpy(), **arrays,
                        **{"fixed.ids": ids, "fixed.targets": targets})


def bert_layers():
    x = (draw(3, 20) * 2).detach().requires_grad_()
    save("tanh", {"x": x}, F.tanh(x))
    x, w, b = draw(2, 3, 5), draw(5, 5), draw(5)
    save("pooler", {"x": x, "weight": w, "bias": b}, F.tanh(F.linear(x[:, 0], w.T, b)))


def whole_berts():
    """A file for each head; names and layout are transformers' own (models/bert_names.py), and so are mask and labels."""
    import transformers
    B, T, V, C, classes = 3, 6, 13, 8, 3
    ids, segments, lengths = rng.integers(0, V, (B, T)), np.arange(T) >= rng.integers(2, 5, (B, 1)), np.array([6, 4, 5])
    tokens = torch.tensor(np.arange(T) < lengths[:, None])
    words, kinds = np.full((B, T), -100), np.where(tokens, rng.integers(0, classes, (B, T)), -100)
    words[[0, 0, 1, 2], [1, 3, 2, 4]], kinds[0, 2] = [5, 12, 0, 5], -100
    follows, texts, places = np.array([0, 1, 1]), np.array([2, 0, 2]), np.array([[1, 4], [3, 3], [0, 2]])
    for head, name, labels, targets in (
            ("pretraining", "PreTraining", {"labels": words, "next_sentence_label": follows},
             {"targets": words, "next_targets": follows}),
            ("sequence", "SequenceClassification", {"labels": texts}, {"targets": texts}),
            ("token", "TokenClassification", {"labels": kinds}, {"targets": kinds}),
            ("span", "QuestionAnswering", {"start_positions": places[:, 0], "end_positions": places[:, 1]}, {"targets": places})):
        model = getattr(transformers, f"BertFor{name}")(transformers.BertConfig(
            vocab_size=V, max_position_embeddings=7, num_hidden_layers=2, num_attention_heads=2, hidden_size=C,
            intermediate_size=10, hidden_dropout_prob=0, attention_probs_dropout_prob=0, pad_token_id=None,
            num_labels=2 if head == "span" else classes)).double()
        with torch.no_grad():
            for tensor in model.parameters():
                tensor.copy_(torch.tensor(0.4 * rng.standard_normal(tuple(tensor.shape))))
        out = model(input_ids=torch.tensor(ids), token_type_ids=torch.tensor(segments).long(), attention_mask=tokens.long(),
                    **{key: torch.tensor(value) for key, value in labels.items()})
        z, loss = list(out.values())[1:], out.loss
        if head == "span":                                                      # an answer cannot lie in the padding
            z = [one.masked_fill(~tokens, -torch.inf) for one in z]
            loss = sum(F.cross_entropy(one, torch.tensor(places[:, i])) for i, one in enumerate(z)) / 2
        loss.backward()
        arrays = {}
        for key, tensor in model.named_parameters():
            arrays["in." + key], arrays["grad." + key] = tensor.detach().numpy(), tensor.grad.numpy()
        np.savez_compressed(HERE / f"bert_{head}.npz", out=loss.detach().numpy(), **arrays,
                            **{f"logits.{i}": one.detach().numpy() for i, one in enumerate(z)},
                            **{"fixed.ids": ids, "fixed.segments": segments.astype(int), "fixed.mask": tokens.numpy()},
                            **{f"fixed.{key}": value for key, value in targets.items()})


STACK = [("attn.c_attn.", "self_attn.in_proj_"), ("attn.c_proj.", "self_attn.out_proj."), ("cross_self_attn", "multihead_attn"),
         ("ln_", "norm"), ("mlp.c_fc", "linear1"), ("mlp.c_proj", "linear2"), ("encoder.h", "encoder.layers"),
         ("decoder.h", "decoder.layers")]


def stacked(names, theirs):
    """{our name: their tensor} for parameters of PyTorch's Transformer or one of its layers, filled with random numbers."""
    found = {}
    for name in names:
        their_name = name
        for ours, other in STACK:
            their_name = their_name.replace(ours, other)
        found[name] = theirs[their_name]
        with torch.no_grad():
            found[name].copy_(torch.tensor(0.5 * rng.standard_normal(tuple(found[name].shape))))
    assert len(found) == len(theirs)
    return found


def turned(tensors):
    """The arrays in.* and grad.* of {our name: tensor}; a matrix of a linear layer is (out, in) there: turn it."""
    arrays = {}
    for name, tensor in tensors.items():
        for part, a in (("in.", tensor.detach().numpy()), ("grad.", tensor.grad.numpy())):
            arrays[part + name] = a if "embed" in name or name in ("x", "memory") else a.T
    return arrays


def decoder_blocks():
    x = (draw(4, 20) * 2).detach().requires_grad_()
    save("relu", {"x": x}, F.relu(x))
    from nanolm import params
    from nanolm.models import seq2seq
    B, T, S, C, H, wide = 2, 4, 5, 6, 2, 9
    names = params.flatten(seq2seq.shapes(seq2seq.Config(n_head=H, n_embd=C, n_hidden=wide))["decoder"]["h"]["0"])  # names alone
    future, filling = ~torch.tril(torch.ones(T, T, dtype=torch.bool)), torch.arange(S)[None] >= torch.tensor([[3], [5]])
    for norm, form, bend in (("post", "relu", F.relu), ("pre", "tanh", lambda t: F.gelu(t, approximate="tanh"))):
        layer = torch.nn.TransformerDecoderLayer(C, H, wide, 0.0, bend, batch_first=True, norm_first=norm == "pre",
                                                 dtype=torch.float64)
        tensors = {"x": draw(B, T, C), "memory": draw(B, S, C), **stacked(names, dict(layer.named_parameters()))}
        out = layer(tensors["x"], tensors["memory"], tgt_mask=future, memory_key_padding_mask=filling)
        up = torch.tensor(rng.standard_normal((B, T, C)))
        out.backward(up)
        fixed = {"n_head": H, "norm": norm, "form": form, "mask": ~future.numpy(), "memory_mask": ~filling.numpy()[:, None, None]}
        np.savez_compressed(HERE / f"decoder_block_{norm}.npz", out=out.detach().numpy(), up=up.numpy(), **turned(tensors),
                            **{"fixed." + key: value for key, value in fixed.items()})


def whole_seq2seqs():
    """PyTorch's stacks; embeddings, positions (the formula) and head around them. The paper's form, and the other choices."""
    from nanolm import params
    from nanolm.models import seq2seq
    B, S, T, V, C, H, wide = 3, 5, 4, 11, 6, 2, 7
    lengths = np.array([3, 5, 1])
    filling, future = torch.arange(S)[None] >= torch.tensor(lengths)[:, None], ~torch.tril(torch.ones(T, T, dtype=torch.bool))
    angle = torch.arange(max(S, T), dtype=torch.float64)[:, None] / 10000 ** (torch.arange(0.0, C, 2).double() / C)
    sines = torch.stack([angle.sin(), angle.cos()], dim=-1).reshape(-1, C)          # sin, cos, sin, cos, ...
    for norm, bend, smoothing, source_V in (("post", F.relu, 0.1, V), ("pre", lambda t: F.gelu(t, approximate="tanh"), 0.0, 9)):
        config = seq2seq.Config(V, 8, 2, H, C, wide, source_V, norm == "post", norm=norm)
        stacks = torch.nn.Transformer(C, H, 2, 2, wide, 0.0, bend, batch_first=True, norm_first=norm == "pre",
                                      dtype=torch.float64)
        if norm == "post":                                                          # PyTorch norms twice, the paper once
            stacks.encoder.norm = stacks.decoder.norm = None
        shapes = params.flatten(seq2seq.shapes(config))                             # ours: the names alone
        tables = {name: draw(*(shape if "embed" in name else shape[::-1])) for name, shape in shapes.items()
                  if "embed" in name or "head" in name}
        tensors = {**tables, **stacked([name for name in shapes if name not in tables], dict(stacks.named_parameters()))}
        first, second, last = list(tables.values()) if len(tables) == 3 else list(tables.values()) * 3
        source, target_in, targets = rng.integers(0, source_V, (B, S)), *rng.integers(0, V, (2, B, T))
        targets[1, 2:] = -100
        x, y = (F.embedding(torch.tensor(ids), table) * C ** 0.5 + sines[:ids.shape[1]]
                for ids, table in ((source, first), (target_in, second)))
        z = F.linear(stacks(x, y, tgt_mask=future, src_key_padding_mask=filling, memory_key_padding_mask=filling), last)
        loss = F.cross_entropy(z.reshape(-1, V), torch.tensor(targets).reshape(-1), label_smoothing=smoothing)
        loss.backward()
        fixed = {"source": source, "target_in": target_in, "targets": targets, "source_lengths": lengths}
        np.savez_compressed(HERE / f"seq2seq_{norm}.npz", out=loss.detach().numpy(), logits=z.detach().numpy(), **turned(tensors),
                            **{"fixed." + key: value for key, value in fixed.items()})


if __name__ == "__main__":
    for seed, makes in ((20260, (layers, attentions, composites, whole_model)), (20261, (llama_layers, whole_llama)),
                        (20270, (bert_layers, whole_berts)), (20280, (decoder_blocks, whole_seq2seqs))):
        rng = np.random.default_rng(seed)                                       # a generator for each family
        for make in makes:
            make()
    print(*sorted(f"{file.name}  {file.stat().st_size} bytes" for file in HERE.glob("*.npz")), sep="\n")
