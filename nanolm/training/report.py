"""What was reached, beside what simpler methods reach on the same text.

report.txt is for people, report.json for programs.

Tested    tests/test_trainer.py.
"""
import json
from pathlib import Path

from nanolm import files


def table(result):
    """Return the lines of the report. `result` is what trainer.train returns; all figures are bits per character."""
    rows = [(name, bits, "") for name, bits in result["baselines"].items()]
    rows.append(("this model", result["bits_per_character"],
                 f"loss {result['loss']:.4f} nats per token, perplexity {result['perplexity']:.2f}, "
                 f"next token right {100 * result['accuracy']:.1f} %"))
    rows.append(("this model, overlapping windows", result["overlapping"]["bits_per_character"],
                 "every token with at least half a window before it"))
    if result["floor"] is not None:
        rows.append(("floor: no model can be lower", result["floor"], "the exact entropy of the source"))
    rows.sort(key=lambda row: -row[1])
    width = max(len(name) for name, _, _ in rows)
    lines = [f"{'>' if name.startswith('this') else ' '} {name:<{width}}  {bits:7.4f}  {note}".rstrip()
             for name, bits, note in rows]
    head = (f"Bits per character on the validation text of {result['corpus']!a} "
            f"({result['validation_characters']:,} characters), best weights (step {result['best_step']:,} of "
            f"{result['step']:,}); lower is better:")
    return "\n".join([head, *lines])


def write(folder, result):
    """Write report.txt and report.json. Raises OSError with a sentence if it cannot."""
    files.atomic_write(Path(folder) / "report.txt", table(result) + "\n")
    files.atomic_write(Path(folder) / "report.json", json.dumps(result, indent=2) + "\n")
