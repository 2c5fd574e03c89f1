"""One training on several processes (MPI ranks), on one machine or on many: each computes a part of every batch.

    rank 0   shards 0, 1   g_0 = sum of their (N_k / N) dloss_k/dw  \
    rank 1   shards 2, 3   g_1 = the same of its own                 >  g = g_0 + g_1 + ...   all-reduce: everybody has g
    rank 2   shards 4, 5   g_2                                      /

This is the sum of training/step.py, its brackets set by the ranks. Every rank draws the whole batch (a few integers),
so each knows N, and weights its shards right however unevenly rows and targets divide. Then every rank clips and steps
the same gradient with the same optimizer, and holds the same weights: they are sent once, before the first step.

One all-reduce a step: loss and gradients lie one after the other in one flat buffer, since a message costs time for
being sent (its latency), however short it is. Three numbers travel with them:

    loss | targets that count, a check that the shards are the whole batch | who was asked to stop | g of every tensor

What is equal    All ranks have the same bits: MPI promises that an all-reduce returns the same to everybody, and what
                 follows is the same arithmetic (on processors of one kind). Weights trained with two shards, the
                 default, are those of one process to the bit on any number of ranks: a + b has no brackets to move. With
                 more shards they are equal up to the rounding of sums. Dropout is drawn for each shard, not for each
                 rank, so it never depends on their number. The loss that is logged is rounded to the model's dtype.
Who does what    The first rank (it leads) reads and writes all files, and shows the progress. The others are told the
                 run and its checkpoint, and follow: they need no folder, no corpus, no disk.
How it ends      What all ranks know at one time (Ctrl-C that reached one of them, a loss that is NaN) ends all of them in
                 order. Any other error ends its rank, which aborts the job: the others would wait for it for ever.
Source    MPI 4.1, section 6.9.6, All-Reduce. The same scheme: Goyal et al. 2017, arXiv:1706.02677, section 3.
Tested    tests/test_mpi.py, by mpiexec.
"""
import os
import signal
import sys
import traceback
import warnings
from contextlib import contextmanager

import numpy as np

from nanolm import threads
from nanolm import params as parameters
from nanolm.training import last_words, parallel, step
from nanolm.training.interrupt import Interrupted

HEAD = 3                                                # numbers before the gradients in the buffer
LAUNCHERS = (("PMI_SIZE", "PMI_RANK"), ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),   # what they tell a process:
             ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"))  # MPICH, Intel and Microsoft MPI; Open MPI; Slurm
EXPECTED = (ValueError, TypeError, OSError, ImportError, MemoryError, Interrupted)          # their sentence says it all


class Team:
    """The ranks that train one model. Team() is one process alone: each method does its work without MPI."""

    def __init__(self, comm=None):
        self.comm = comm                                # an mpi4py communicator, or None
        self.rank, self.size = (0, 1) if comm is None else (comm.rank, comm.size)
        self.leads = self.rank == 0
        self.beside = 1                                 # ranks on this machine
        self.waiting = self.size > 1                    # the others wait to be told what to do
        self.over = False                               # the end is one that every rank knows of
        self.asked = False                              # one of us was asked to stop, and all know it
        self.words = self.speaker = None                # what to say if the job is ended by force, and who says it

    def hand_out(self, thing=None):
        """Return what the first rank gave, on every rank. (mpi4py pickles it: between processes of one program.)

        Raises SystemExit on the other ranks if there is nothing to come, because an error ended the first.
        """
        if self.size > 1:
            thing = self.comm.bcast(thing)
        if thing is None:
            raise self.agreed(SystemExit(0))            # the first rank could not begin: see job
        return thing

    def share(self, *flat):
        """Copy the arrays of the first rank (flat dicts) into everybody's. From here on all ranks compute."""
        if self.size > 1:
            for arrays in flat:
                for a in arrays.values():
                    self.comm.Bcast(a)
        self.waiting = False

    def mine(self, shards):
        """Return the numbers of the shards that this rank computes: no rank has more than one more than another."""
        return range(shards * self.rank // self.size, shards * (self.rank + 1) // self.size)

    def loss_and_gradients(self, model, p, ids, targets, config, rngs, shards, workers, stop=False):
        """Return the loss and the gradients of the whole batch, on every rank: step.loss_and_gradients, shared.

        stop    whether this rank was asked to stop; afterwards `asked` says on every rank whether any was
        """
        if self.size == 1:
            return step.loss_and_gradients(model, p, ids, targets, config, rngs, shards, workers)
        rows = step.shard_slices(len(ids), shards)
        mine = self.mine(len(rows))
        loss, part = step.loss_and_gradients(model, p, ids, targets, config, rngs, shards, workers, mine)
        counted = sum(np.count_nonzero(targets[rows[k]] != step.IGNORED) for k in mine)

        params = parameters.flatten(p)
        ends = np.cumsum([HEAD] + [w.size for w in params.values()])
        buffer = np.empty(ends[-1], next(iter(params.values())).dtype)
        buffer[:HEAD] = loss, counted, stop
        grads = {name: buffer[a:b].reshape(w.shape) for (name, w), a, b in zip(params.items(), ends, ends[1:])}
        for name, g in grads.items():                   # views: writing to them fills the buffer
            g[...] = part.pop(name, 0)                  # 0: a rank with no shard to compute
        self.comm.Allreduce(self.MPI.IN_PLACE, buffer)

        self.asked = buffer[2] > 0
        total = np.count_nonzero(targets != step.IGNORED)
        if not np.isclose(buffer[1], total, rtol=1e-5): # (float32 counts exactly up to 16 million)
            raise RuntimeError(f"the ranks together computed {buffer[1]:,.0f} targets of a batch that has {total:,}: "
                               f"they do not compute the same batch. Do all run the same nanolm?")
        return float(buffer[0]), grads

    def ordered_map(self, function, items, workers):
        """Return [function(item) for each item] on every rank, each rank computing every size-th of them."""
        if self.size == 1:
            return parallel.ordered_map(function, items, workers)
        mine = list(parallel.ordered_map(function, items[self.rank::self.size], workers))
        parts = self.comm.allgather(mine)
        return [parts[k % self.size][k // self.size] for k in range(len(items))]

    def cores(self):
        """Return how many cores this rank may keep busy: where several ranks may use the same core, they share it.

        Every rank must call this at the same time.
        """
        if self.size == 1:
            return threads.cores()
        try:
            usable = os.sched_getaffinity(0)            # Linux; some launchers give each rank cores of its own
        except AttributeError:
            usable = set(range(os.cpu_count() or 1))
        beside = self.comm.Split_type(self.MPI.COMM_TYPE_SHARED)                # the ranks on this machine
        everybody = beside.allgather(usable)
        self.beside = beside.size
        beside.Free()
        return max(1, int(sum(1 / sum(core in theirs for theirs in everybody) for core in usable) + 0.001))

    def notice_idle(self, settings):
        """Warn if there are more ranks than shards."""
        shards = min(settings.shards, settings.batch_size)
        if self.size > shards:
            warnings.warn(f"{self.size} ranks, but a batch is cut into {shards} shard{'s' * (shards > 1)}: {self.size - shards} "
                          f"of the ranks will have nothing to compute. --set shards={self.size} gives all of them work; with "
                          f"dropout it draws other masks, without it the run stays the same up to rounding.", stacklevel=2)

    def agreed(self, error):
        """Return the error, which every rank raises at this same place: nobody has to be ended by force."""
        self.over = True
        return error

    def leave_word(self, words):
        """See to it that `words` are said on stderr if the job ends by force: by the rank that ends it, or, if that was
        killed, on behalf of the first rank, which is then killed with all the others."""
        if self.size > 1:
            self.words = f"The job of {self.size} ranks has ended too early. {words}"
            self.speaker = last_words.LastWords(f"\n{self.words}") if self.leads else None

    @property
    def MPI(self):
        return _mpi()


ALONE = Team()


@contextmanager
def job():
    """with job() as team: ... on every process that mpiexec started. An error on one of them ends all.

    Raises ImportError if there is no mpi4py or no MPI, ValueError if launcher and library are of two MPIs.
    """
    team = Team(_mpi().COMM_WORLD)
    started, _ = launched()
    if team.size < started:
        raise ValueError(f"{started} processes were started, but each finds itself alone: the program that started them "
                         f"(mpiexec, srun) belongs to another MPI than the one that mpi4py uses. Use the mpiexec of that "
                         f"one: python -c \"from mpi4py import MPI; print(MPI.Get_library_version())\" says which it is.")
    if not team.leads:
        signal.signal(signal.SIGINT, signal.SIG_IGN)    # Ctrl-C reaches everybody: the first rank says what comes of it
    try:
        with threads.limited(team.cores()):
            yield team
    except BaseException as error:
        if team.waiting and team.leads:
            team.comm.bcast(None)                       # there will be no run: the others end in peace
        elif team.size > 1 and not team.over:
            give_up(team, error)
        if team.leads:
            raise
        sys.exit(0)                                     # the first rank says what there is to say
    finally:
        if team.speaker:
            team.speaker.take_back()


def give_up(team, error):
    """Say what happened on this rank, and end all ranks, at once. Never returns."""
    try:
        if os.environ.get("NANOLM_TRACEBACK") or not isinstance(error, EXPECTED):
            traceback.print_exception(type(error), error, error.__traceback__)
        ours = isinstance(error, OSError) and error.strerror and not error.filename         # without "[Errno 28]"
        text = (f"\nRank {team.rank} of {team.size} has stopped, and so the whole job ends. "
                f"{type(error).__name__}: {error.strerror if ours else error}\n{team.words or ''}")
        print(text.encode("ascii", "backslashreplace").decode(), file=sys.stderr, flush=True)
        sys.stdout.flush()
        last_words.until_read(sys.stderr)
    finally:                                            # even if nobody reads what we say
        team.comm.Abort(1)


def launched():
    """Return how many processes the launcher (mpiexec, srun) says it started, and which of them this is: 1, 0 if none."""
    for size, rank in LAUNCHERS:
        if os.environ.get(size, "").isdigit() and os.environ.get(rank, "").isdigit():
            return int(os.environ[size]), int(os.environ[rank])
    return 1, 0


def _mpi():
    """Return the module mpi4py.MPI. Importing it starts MPI, so this is done only when asked for."""
    try:
        from mpi4py import MPI
    except ImportError as error:
        if error.name == "mpi4py":
            raise ImportError("training on several processes needs mpi4py: pip install mpi4py. On a machine that has no "
                              "MPI of its own, give it one: pip install mpi4py mpich.") from error
        raise ImportError(f"mpi4py finds no MPI here ({error}). Install one: pip install mpich.") from error
    except RuntimeError as error:                       # mpi4py 4.1: "cannot load MPI library"
        raise ImportError(f"mpi4py finds no MPI here ({str(error).splitlines()[0]}). Install one: pip install mpich, or "
                          f"load the module of your cluster.") from error
    return MPI
