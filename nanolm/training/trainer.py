"""The trainer: from a corpus to a trained model in a folder.

    train(folder, corpus, tokenizer, config, settings)      a new run
    resume(folder)                                          go on with one that was stopped, however it was stopped
    load(folder) -> p, config, tokenizer                    the best weights so far

Read `go` from top to bottom: it is the whole of training. One step is

    batch -> loss and gradients -> penalties -> clipping -> the optimizer writes into the weights

and everything around it is for people: a progress bar, evaluations, checkpoints, a picture and a report.

A run that is killed at any instant and resumed ends with the same weights, bit for bit, as one never interrupted: all
that a step depends on is in the checkpoint or follows from the seed and the number of the step. A new run is no
special case: it is a run resumed at step 0.

Errors    Interrupted after Ctrl-C: saved (not after a second one, which does not wait). Diverged when the loss is NaN:
          the optimizer did not write, and the message says which checkpoint is good. OSError if the disk is full,
          ValueError if parts do not fit. Each is a sentence.
Tested    tests/test_trainer.py, tests/test_resume.py, tests/test_run_folder.py.
"""
import functools
import math
import time
from contextlib import contextmanager
from dataclasses import asdict, replace

import numpy as np

from nanolm import files
from nanolm import params as parameters
from nanolm.models import gpt2
from nanolm.training import (checkpoint, clipping, early_stopping, lock, memory, metrics, metrics_log, nan_report,
                             parallel, penalties, plots, report, run_folder, step)
from nanolm.training import groups as grouping
from nanolm.training.interrupt import Interrupted, Watch
from nanolm.training.nan_report import Diverged
from nanolm.training.run_folder import load
from nanolm.training.settings import Settings

__all__ = ["train", "resume", "load", "Settings", "Interrupted", "Diverged"]


def train(folder, corpus, tokenizer, config, settings, progress=True, baselines=None, sample=None):
    """Train a GPT-2 on corpus.train, measure it on corpus.validation, leave all in `folder`; return the result, a dict.

    corpus      a Corpus of nanolm.data                 config      gpt2.Config; vocab_size is the tokenizer's
    tokenizer   one of nanolm.text                      settings    Settings
    progress    show a progress bar, and what was reached at each evaluation
    baselines   {name: bits per character on the validation text}; None: measured here
    sample      sample(p, config, tokenizer, seed) -> str, text to show at each evaluation; None: default_sample
    The result is what report.json holds. Raises FileExistsError if the folder is not free, MemoryError if
    the model is too large for the machine; else see above.
    """
    memory.check(config, settings)
    with bar(progress, desc="measuring baselines") as show:
        def measured(done, total):
            show.total = total
            show.update(done - show.n)

        run = run_folder.prepare(folder, corpus, tokenizer, config, settings, baselines, measured)
    run_folder.make(run.folder)
    with lock.held(run.folder):
        run_folder.write(run)
        with how_to_go_on(run.folder):
            return go(run, progress, sample)


def resume(folder, progress=True, sample=None, **changes):
    """Go on with the run in `folder` from its last checkpoint; return the result as train does.

    changes   settings to change from here on, such as steps=4000, or lr=1e-4 after the loss became NaN; they are kept
              in settings.json. Without changes the weights at the end are those of a run never interrupted.
    Raises FileNotFoundError if there is no run, CheckpointError if its checkpoints are damaged or of another model,
    ValueError for a setting that is unknown or cannot change any more, BlockingIOError if a process trains there.
    """
    run_folder.check_begun(folder)
    run = run_folder.open_run(folder)
    if changes:
        fixed = sorted({"optimizer", "dtype", "seed"} & set(changes))
        if fixed:
            raise ValueError(f"the setting {fixed[0]} cannot change in the middle of a run. Begin a new one.")
        run = replace(run, settings=run.settings.changed(**changes))
    memory.check(run.config, run.settings)
    with lock.held(run.folder), how_to_go_on(run.folder):
        return go(run, progress, sample)


def go(run, progress=True, sample=None):
    """Train from the run's last checkpoint to its last step; return the result."""
    memory.keep_freed()
    run_folder.remove_temporary(run.folder)
    folder, config, settings = run.folder, run.config, run.settings
    workers = settings.workers or parallel.default_workers()

    p = gpt2.init(config, np.random.default_rng(settings.seed), np.dtype(settings.dtype))
    params = parameters.flatten(p)                      # the same arrays as p's, under their dotted names
    groups = grouping.standard(params)                  # matrices decay, biases and gains do not
    optimizer = settings.optimizer_module()
    state = optimizer.init(params)
    batches = run.batches()
    t, best = 0, early_stopping.init()                  # t: updates made so far

    def save():
        where = {"step": t, "batches": batches.state(), "best": best}
        checkpoint.save(folder, params, state, where, asdict(config), asdict(settings))

    if not checkpoint.exists(folder):
        save()                                          # from here on, a killed run can be resumed
    where, warning = checkpoint.restore(folder, params, state, asdict(config))
    t, best = where["step"], where["best"]
    if settings.steps < t:
        raise ValueError(f"the run in {folder} has made {t:,} steps already, so it cannot end at steps = "
                         f"{settings.steps:,}. Give a larger number; nothing was changed.")
    files.atomic_write(folder / "settings.json", settings.to_json())            # resume may have changed them
    batches.restore(where["batches"])
    metrics_log.trim(folder, t if t > 0 else -1)        # the evaluation at step 0 is done again

    seconds, tokens = 0.0, 0
    with metrics_log.opened(folder) as log, Watch() as ctrl_c, \
            bar(progress, total=settings.steps, initial=t, unit="step") as show:
        if warning:                                     # it names a path, which a console may not be able to show
            show.write(warning.encode("ascii", "backslashreplace").decode())
        if t == 0:
            best = evaluate(run, p, params, best, t, log, workers, sample, show)

        while t < settings.steps and not early_stopping.should_stop(best, settings.patience):
            start = time.perf_counter()
            ids, targets = batches.next()
            rngs = step.dropout_generators(settings.seed, t, settings.shards) if config.dropout > 0 else None
            loss, grads = step.loss_and_gradients(gpt2, p, ids, targets, config, rngs, settings.shards, workers)
            penalty = penalties.add(params, grads, settings.l1, settings.l2, groups)
            norm = clipping.clip(grads, settings.clip or math.inf)
            if not math.isfinite(loss + penalty + norm):
                bad = nan_report.first_bad_tensor(gpt2, p, ids, targets, config, rngs, settings.shards, grads)
                raise Diverged(diverged(folder, t, loss, norm, bad))
            lr = settings.learning_rate(t)
            optimizer.step(params, grads, state, lr, groups=groups, **settings.optimizer_arguments())
            t += 1

            metrics_log.write(log, {"step": t, "loss": loss, "norm": norm, "lr": lr})
            seconds, tokens = seconds + time.perf_counter() - start, tokens + ids.size
            show.set_postfix_str(f"loss {loss:.3f}, {tokens / seconds:,.0f} tokens/s", refresh=False)
            show.update()

            last = t == settings.steps
            if t % settings.eval_every == 0 or last:
                best = evaluate(run, p, params, best, t, log, workers, sample, show)
                last = last or early_stopping.should_stop(best, settings.patience)
            if t % settings.save_every == 0 or last or ctrl_c.pressed:
                metrics_log.to_disk(log)
                save()
            if ctrl_c.pressed and not last:
                plots.loss_curve(folder, metrics_log.read(folder), run.corpus)
                raise Interrupted(f"Stopped at step {t:,} of {settings.steps:,}, and saved. "
                                  f"To go on: {run_folder.resume_command(folder)}")

    return finish(run, t, best, workers, tokens / seconds if seconds else None, progress)


def evaluate(run, p, params, best, t, log, workers, sample, show):
    """Measure the validation text, write a line and a sample, keep the weights if they are the best; return `best`."""
    measured = metrics.evaluate(gpt2, p, run.config, run.validation_ids, run.corpus["validation_characters"],
                                workers=workers)
    if not math.isfinite(measured["loss"]):
        raise Diverged(f"After step {t:,} the loss on the validation text is {measured['loss']}.\n"
                       f"{from_the_last_good(run.folder, t)}")
    if sample:
        text = sample(p, run.config, run.tokenizer, run.settings.seed)
    else:
        text = default_sample(p, run.config, run.tokenizer, run.settings.seed, run.corpus.get("opening", ""))
    metrics_log.write(log, {"step": t, "validation": measured, "sample": text})
    files.atomic_write(run.folder / "samples.txt", samples(metrics_log.read(run.folder)))
    best = early_stopping.update(best, measured["loss"], t)
    if best["step"] == t:
        run_folder.save_weights(run.folder, params)
    if not show.disable:                                # tqdm's write itself does not look
        show.write(f"step {t:>6,}   validation {measured['loss']:.4f} nats per token, "
                   f"{measured['bits_per_character']:.4f} bits per character")
    return best


def finish(run, t, best, workers, speed, progress):
    """Measure the best weights once more, draw the curves, write the report; return the result."""
    p = run_folder.load_weights(run.folder, run.config)
    measured, overlapping = (
        metrics.evaluate(gpt2, p, run.config, run.validation_ids, run.corpus["validation_characters"], stride, workers)
        for stride in (run.config.block_size, max(1, run.config.block_size // 2)))
    result = {**measured, "overlapping": overlapping, "step": t, "best_step": best["step"], "tokens_per_second": speed,
              "corpus": run.corpus["name"], "validation_characters": run.corpus["validation_characters"],
              "baselines": run.corpus["baselines"], "floor": run.corpus["floor"]}
    plots.loss_curve(run.folder, metrics_log.read(run.folder), run.corpus)
    report.write(run.folder, result)
    if progress:
        print(report.table(result))
    return result


def default_sample(p, config, tokenizer, seed, opening=""):
    """Return `opening` and 100 tokens that the model goes on with, at temperature 0.8 from the likeliest 90 %."""
    from nanolm.generation import text                  # here, so that training can be read and used without it
    return opening + text.generate(p, config, tokenizer, opening, max_tokens=100, temperature=0.8, top_p=0.9, seed=seed)


def samples(records):
    """Return what samples.txt holds: the text that the model wrote at each evaluation, under a line that says when."""
    return "\n".join(f"---- step {r['step']}, {r['validation']['bits_per_character']:.3f} bits per character ----\n"
                     f"{r['sample']}\n" for r in records if "validation" in r).encode("utf-8", "replace")


@contextmanager
def how_to_go_on(folder):
    """Say after a Ctrl-C that would not wait, or an OSError (a full disk), what is left and how to go on."""
    def last():
        if checkpoint.exists(folder):
            return f"The last checkpoint is whole. To go on from it: {run_folder.resume_command(folder)}"
        return "There is no checkpoint yet. Start again with the command that began it."

    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"Stopped at once. {last()}") from None
    except OSError as error:
        raise type(error)(error.errno or 0, f"{error.strerror or error}\nThe run has stopped. {last()}") from error


def diverged(folder, t, loss, norm, bad):
    return (f"At step {t + 1:,} the loss is {loss} and the gradient's norm {norm}; the run has stopped before they "
            f"could reach the weights.\nThe first tensor that went bad: {bad}.\n{from_the_last_good(folder, t)}")


def from_the_last_good(folder, t):
    good = checkpoint.last_good(folder, t)
    if good is None:
        return "There is no checkpoint of other weights. Begin a new run, with a lower learning rate."
    return (f"The checkpoint of step {good:,} is good. To go on from it more carefully, with a lower learning rate: "
            f"{run_folder.resume_command(folder)} --lr ...")


def bar(progress, **options):
    """Return a progress bar in ASCII, to be used by `with`; one that shows nothing if `progress` is false."""
    return _bars()(ascii=True, disable=not progress, dynamic_ncols=True, mininterval=0.5, leave=False, **options)


@functools.cache
def _bars():
    """Return the class of our bars: tqdm's, but closed by `with` only.

    tqdm's __del__ closes too, and shows a traceback if Ctrl-C came while the bar was being made (up to tqdm 4.69;
    later ones seldom).
    """
    from tqdm import tqdm

    class Bar(tqdm):
        def __del__(self):
            pass

    return Bar
