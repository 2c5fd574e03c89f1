"""The models, one file each: a frozen dataclass Config, init, forward, backward, logits. They call layers/ only."""
