"""transformers' Llama in float64 all the way: theirs computes angles and norms in float32 whatever the model's dtype (1e-8 off)."""
import torch


def made_exact(model, base, D):
    """Replace the two computations of a LlamaForCausalLM, `base` of its angles and D channels a head; return the model."""
    def angles(x, position_ids):
        angle = position_ids[..., None].double() * base ** (-torch.arange(0, D, 2).double() / D)
        angle = torch.cat([angle, angle], dim=-1)
        return angle.cos().to(x.dtype), angle.sin().to(x.dtype)

    model.model.rotary_emb.forward = angles
    for module in model.modules():
        if type(module).__name__ == "LlamaRMSNorm":
            module.forward = lambda x, m=module: m.weight * (x * torch.rsqrt((x * x).mean(-1, keepdim=True) + m.variance_epsilon))
    return model
