"""What tests/test_mpi.py runs by `mpiexec -n N python mpi_run.py ...`; each ends with a word on the first rank's stdout.

    mpi_run.py sums                         the sum of a batch over the ranks, against step.loss_and_gradients
    mpi_run.py cores                        how the cores are shared
    mpi_run.py train FOLDER CHANGES [FAULT [RANK]]    tiny_run's run, begun or gone on with; CHANGES of Settings as JSON

FAULT, at the update after step 13, on RANK (1 if not given): raise, kill, nan, disk (of the first rank), waits (only slow).
"""
import json
import os
import signal
import sys
import time

import numpy as np

import tiny_run
from nanolm import params as parameters
from nanolm.models import gpt2
from nanolm.training import checkpoint, clipping, ranks, step, trainer

CONFIG = gpt2.Config(vocab_size=19, block_size=8, n_layer=2, n_head=2, n_embd=12)


def problem(dtype):
    """7 rows with different numbers of targets that count, one with none."""
    rng = np.random.default_rng(1)
    p = gpt2.init(CONFIG, rng, dtype)
    ids, targets = rng.integers(0, 19, (7, 8)), rng.integers(0, 19, (7, 8))
    for row in range(7):
        targets[row, :row] = step.IGNORED
    targets[2] = step.IGNORED
    return p, ids, targets


def sums(team):
    """Every rank has the loss and the gradients of one process, and the same bits as the other ranks."""
    for dtype, rtol, dropout in ((np.float64, 1e-12, 0.0), (np.float64, 1e-12, 0.3), (np.float32, 1e-6, 0.3)):
        p, ids, targets = problem(dtype)
        config = gpt2.Config(**{**CONFIG.__dict__, "dropout": dropout})
        for shards in (1, 2, 3, 5, 7, 20):
            rngs, again = (step.dropout_generators(5, 9, shards) if dropout else None for _ in "ab")
            loss, grads = team.loss_and_gradients(gpt2, p, ids, targets, config, rngs, shards, 1)
            expected_loss, expected = step.loss_and_gradients(gpt2, p, ids, targets, config, again, shards, 1)
            assert abs(loss - expected_loss) <= rtol * expected_loss, (loss, expected_loss)
            assert list(grads) == list(parameters.flatten(p))
            for name, g in grads.items():
                assert g.dtype == dtype and np.abs(g - expected[name]).max() <= rtol * np.abs(expected[name]).max(), name
                if shards <= 2:
                    assert np.array_equal(g, expected[name]), f"two shards: {name} should be equal to the bit"
            bits = np.concatenate([g.reshape(-1) for g in grads.values()]).tobytes()
            assert all(b == (loss, bits) for b in (team.comm.allgather((loss, bits)) if team.comm else [(loss, bits)]))
    doubled = list(team.ordered_map(lambda k: (team.rank, 2 * k), list(range(5)), 1))
    assert doubled == [(k % team.size, 2 * k) for k in range(5)]


def cores(team):
    """Ranks that may use the same cores share them; ranks with cores of their own keep them."""
    every = sorted(os.sched_getaffinity(0))
    assert team.cores() == max(1, len(every) // team.size)
    assert team.beside == team.size
    os.sched_setaffinity(0, {every[team.rank % len(every)]})
    assert team.cores() == 1


def train(team, folder, changes, fault=None, rank=1):
    original, calls = clipping.clip, [0]

    def clip(grads, limit):
        calls[0] += 1
        if team.rank == int(rank) and calls[0] == 14:
            if fault == "raise":
                raise ValueError("this rank has had enough")
            if fault == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
        if fault == "nan" and calls[0] == 14:
            grads["wte.weight"][0, 0] = np.nan
        if fault == "waits":
            time.sleep(0.05)
        return original(grads, limit)

    clipping.clip = clip
    if fault == "disk":
        save, saved = checkpoint.save, []

        def until_full(*args):
            saved.append(args)
            if len(saved) == 5:                         # at steps 0, 4, 8, 12, 16
                raise OSError(28, "No space left on device")
            return save(*args)
        checkpoint.save = until_full

    if not team.leads:
        return trainer.follow(team)
    if checkpoint.exists(folder):
        tiny_run.resume(folder, team=team, **changes)
    else:
        tiny_run.train(folder, team=team, **changes)


if __name__ == "__main__":
    try:
        with ranks.job() as everybody:
            if sys.argv[1] == "train":
                train(everybody, sys.argv[2], json.loads(sys.argv[3]), *sys.argv[4:])
            else:
                {"sums": sums, "cores": cores}[sys.argv[1]](everybody)
    except (trainer.Interrupted, trainer.Diverged) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(130 if isinstance(error, trainer.Interrupted) else 1)
    if everybody.leads:
        print("fine", flush=True)
