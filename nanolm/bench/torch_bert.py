"""The peer of `nanolm bench finetune`: transformers' BertForSequenceClassification, its weights ours, nothing from the network.

Its own choice of attention, fused AdamW, clipping as in PyTorch, float32, a thread for each core.
"""
import torch
import transformers

from nanolm import threads
from nanolm.bench import ours_finetune
from nanolm.models import bert_names


def model_of(shape):
    """Return their model with our parameters."""
    transformers.logging.set_verbosity_error()
    p, config = ours_finetune.model_of(shape)
    model = transformers.BertForSequenceClassification(transformers.BertConfig(
        vocab_size=config.vocab_size, max_position_embeddings=config.block_size, num_hidden_layers=config.n_layer,
        num_attention_heads=config.n_head, hidden_size=config.n_embd, intermediate_size=config.width,
        type_vocab_size=config.n_segment, layer_norm_eps=config.eps, num_labels=config.n_class,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0))
    flat = bert_names.to_published(p)
    with torch.no_grad():
        for name, w in model.named_parameters():
            w.copy_(torch.from_numpy(flat.pop(name)))
    assert not flat, f"the peer lacks {sorted(flat)}"
    return model.train()


def prepare(shape, compiled=False):
    """Return {"step": function} for a worker: one whole fine-tuning step, which returns the loss."""
    torch.set_num_threads(threads.cores())
    model = model_of(shape)
    matrices = [w for w in model.parameters() if w.ndim >= 2]
    others = [w for w in model.parameters() if w.ndim < 2]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": ours_finetune.WEIGHT_DECAY},
                                   {"params": others, "weight_decay": 0.0}], lr=ours_finetune.LR, fused=True)
    ids, targets, segments, lengths = (torch.from_numpy(a) for a in ours_finetune.batch_of(shape))
    mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
    forward = torch.compile(model) if compiled else model

    def one():
        loss = forward(input_ids=ids, token_type_ids=segments, attention_mask=mask, labels=targets).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), ours_finetune.CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)           # here, so that no gradient takes memory during the next forward
        return loss.item()

    return {"step": one}
