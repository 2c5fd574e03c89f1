"""Benchmarks: how fast nanolm is, beside its peers and beside what the machine can do at all. `nanolm bench` runs them.

    train.py        a whole training step of GPT-2                      limit: the matrix products alone
    finetune.py     a whole fine-tuning step of BERT                    limit: the same
    attention.py    attention alone, 128 to 8,192 tokens, and its memory
    layers.py       every layer, its plain functions and its twins      limit: matrix products and memory bandwidth
    generate.py     one token after another                             limit: reading the weights once a token
    chat.py         an assistant reads a question and writes an answer  limit: the same, for writing
    tricks.py       each trick of the fast kernels alone, before and after

How it is measured. Each contestant (ours on the fast kernels, ours in plain NumPy, PyTorch, ...) is a process of its own
(worker.py), so that the operating system can say how much memory it took, and so that no library disturbs another.
They take turns, several rounds (turns.py): whatever the machine does meanwhile, it does to all of them, and only one
computes at a time. A contestant's time in a round is the median of its turn; the tables show the median of the rounds and the
quartiles. The machine's own limits take part like everybody else (limits.py), in the same minutes. All numbers, also the
single ones, go into a JSON file beside the picture, with the processor, the versions and the settings that matter.

The peers run as their documentation says, with as many threads as there are cores, in float32, on the same weights and
the same tokens; where it can be checked that they compute the same (loss, tokens), it is checked. Not installed is left
out, with a sentence.

Tested    tests/test_bench.py, on tiny shapes; times are never asserted.
"""
