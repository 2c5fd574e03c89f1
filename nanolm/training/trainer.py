"""The trainer: from a corpus to a trained model in a folder.

    train(folder, corpus, tokenizer, config, settings)      a new run
    resume(folder)                                          go on with one that was stopped, however it was stopped
    load(folder) -> p, config, tokenizer                    the best weights so far
    follow(team)                                            take part in a run that another process leads: see ranks.py

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
import math
import time
from dataclasses import asdict, replace

import numpy as np

from nanolm import files, kernels
from nanolm import params as parameters
from nanolm.models import gpt2
from nanolm.training import (checkpoint, clipping, early_stopping, endings, lock, memory, metrics, metrics_log, nan_report,
                             penalties, plots, ranks, report, run_folder, since_start, step)
from nanolm.training import groups as grouping
from nanolm.training.bars import bar
from nanolm.training.interrupt import Interrupted, Watch
from nanolm.training.nan_report import Diverged
from nanolm.training.run_folder import load
from nanolm.training.settings import Settings

__all__ = ["train", "resume", "follow", "load", "Settings", "Interrupted", "Diverged"]


def train(folder, corpus, tokenizer, config, settings, progress=True, baselines=None, sample=None, team=ranks.ALONE,
          ids=None):
    """Train a GPT-2 on corpus.train, measure it on corpus.validation, leave all in `folder`; return the result, a dict.

    corpus      a Corpus of nanolm.data                 config      gpt2.Config; vocab_size is the tokenizer's
    tokenizer   one of nanolm.text                      settings    Settings
    progress    show a progress bar, and what was reached at each evaluation
    baselines   {name: bits per character on the validation text}; None: measured here
    sample      sample(p, config, tokenizer, seed) -> str, text to show at each evaluation; None: default_sample
    ids         (of corpus.train, of corpus.validation), as the tokenizer encodes them; None: encoded here
    team        of ranks.job(), where several processes train: its first rank calls train, the others follow
    The result is what report.json holds. Raises FileExistsError if the folder is not free, MemoryError if
    the model is too large for the machine; else see above.
    """
    memory.check(config, settings, team.beside)
    settings = settings.changed(kernels=kernels.choose(settings.kernels))
    with bar(progress, desc="measuring baselines") as show:
        def measured(done, total):
            show.total = total
            show.update(done - show.n)

        run = run_folder.prepare(folder, corpus, tokenizer, config, settings, baselines, measured, ids)
    run_folder.make(run.folder)
    with lock.held(run.folder):
        run_folder.write(run)
        with endings.how_to_go_on(run.folder, team):
            return on_its_kernels(run, progress, sample, team)


def resume(folder, progress=True, sample=None, team=ranks.ALONE, **changes):
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
    memory.check(run.config, run.settings, team.beside)
    with lock.held(run.folder), endings.how_to_go_on(run.folder, team):
        return on_its_kernels(run, progress, sample, team)


def follow(team):
    """Take part in the run that the first rank of the team trains or resumes; return None when it is done."""
    on_its_kernels(None, progress=False, sample=None, team=team)


def on_its_kernels(run, progress, sample, team):
    """go, on the functions that the run began with, fast or plain; afterwards those stand there that stood there before.

    run: None on ranks that follow.
    """
    run = team.hand_out(run)
    name = run.settings.kernels or "numpy"              # "": a run from before there were fast kernels
    if name == "numba" and not kernels.available():
        raise ImportError(f"the run in {run.folder} was trained with the kernels that Numba compiles, and there is no Numba "
                          f"here. Install it (pip install numba), or go on with the plain functions, equal up to rounding: "
                          f"{run_folder.resume_command(run.folder, team.size)} --kernels numpy")
    with kernels.using(name):
        if progress:
            kernels.warm_up()
        return go(replace(run, settings=run.settings.changed(kernels=name)), progress, sample, team)


def go(run, progress=True, sample=None, team=ranks.ALONE):
    """Train from the run's last checkpoint to its last step; return the result."""
    memory.keep_freed()
    folder, config, settings = run.folder, run.config, run.settings
    workers = settings.workers or team.cores()

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

    where = warning = None
    if team.leads:                                      # the files are its alone
        run_folder.remove_temporary(folder)
        if not checkpoint.exists(folder):
            save()                                      # from here on, a killed run can be resumed
        where, warning = checkpoint.restore(folder, params, state, asdict(config))
        if settings.steps < where["step"]:
            raise ValueError(f"the run in {folder} has made {where['step']:,} steps already, so it cannot end at steps = "
                             f"{settings.steps:,}. Give a larger number; nothing was changed.")
        files.atomic_write(folder / "settings.json", settings.to_json())        # resume may have changed them
        metrics_log.trim(folder, where["step"] or -1)   # the evaluation at step 0 is done again
        team.notice_idle(settings)
    where, state["t"] = team.hand_out((where, state["t"]))
    team.share(params, {name: a for name, a in state.items() if name != "t"})
    team.leave_word(f"The last checkpoint is whole. To go on from it, on any number of ranks: "
                    f"{run_folder.resume_command(folder, team.size)}")
    t, best = where["step"], where["best"]
    batches.restore(where["batches"])

    seconds, tokens, waited = 0.0, 0, None
    with metrics_log.opened(folder if team.leads else None) as log, Watch() as ctrl_c, \
            bar(progress, total=settings.steps, initial=t, unit="step") as show:
        if warning:                                     # it names a path, which a console may not be able to show
            show.write(warning.encode("ascii", "backslashreplace").decode())
        if t == 0:
            best = evaluate(run, p, params, best, t, log, workers, sample, show, team)

        while t < settings.steps and not early_stopping.should_stop(best, settings.patience):
            start = time.perf_counter()
            ids, targets = batches.next()
            rngs = step.dropout_generators(settings.seed, t, settings.shards) if config.dropout > 0 else None
            loss, grads = team.loss_and_gradients(gpt2, p, ids, targets, config, rngs, settings.shards, workers,
                                                  stop=ctrl_c.pressed)
            penalty = penalties.add(params, grads, settings.l1, settings.l2, groups)
            norm = clipping.clip(grads, settings.clip or math.inf)
            if not math.isfinite(loss + penalty + norm):
                bad = None
                if team.leads:
                    bad = nan_report.first_bad_tensor(gpt2, p, ids, targets, config, rngs, settings.shards, grads)
                raise team.agreed(Diverged(endings.diverged(folder, t, loss, norm, bad, team)))
            lr = settings.learning_rate(t)
            optimizer.step(params, grads, state, lr, groups=groups, **settings.optimizer_arguments())
            t += 1

            waited = waited or since_start.seconds()
            metrics_log.write(log, {"step": t, "loss": loss, "norm": norm, "lr": lr})
            seconds, tokens = seconds + time.perf_counter() - start, tokens + ids.size
            show.set_postfix_str(f"loss {loss:.3f}, {tokens / seconds:,.0f} tokens/s", refresh=False)
            show.update()

            last = t == settings.steps
            if t % settings.eval_every == 0 or last:
                best = evaluate(run, p, params, best, t, log, workers, sample, show, team)
                last = last or early_stopping.should_stop(best, settings.patience)
            stop = ctrl_c.pressed if team.size == 1 else team.asked
            if (t % settings.save_every == 0 or last or stop) and team.leads:
                metrics_log.to_disk(log)
                save()
            if stop and not last:
                if team.leads:
                    plots.loss_curve(folder, metrics_log.read(folder), run.corpus)
                raise team.agreed(Interrupted(f"Stopped at step {t:,} of {settings.steps:,}, and saved. "
                                              f"To go on: {run_folder.resume_command(folder, team.size)}"))

    return finish(run, p, t, best, workers, tokens / seconds if seconds else None, waited, progress, team)


def evaluate(run, p, params, best, t, log, workers, sample, show, team):
    """Measure the validation text, write a line and a sample, keep the weights if they are the best; return `best`."""
    measured = metrics.evaluate(gpt2, p, run.config, run.validation_ids, run.corpus["validation_characters"],
                                workers=workers, mapped=team.ordered_map)
    if not math.isfinite(measured["loss"]):
        raise team.agreed(Diverged(f"After step {t:,} the loss on the validation text is {measured['loss']}.\n"
                                   f"{endings.from_the_last_good(run.folder, t, team)}"))
    best = early_stopping.update(best, measured["loss"], t)
    if not team.leads:
        return best
    if sample:
        text = sample(p, run.config, run.tokenizer, run.settings.seed)
    else:
        text = default_sample(p, run.config, run.tokenizer, run.settings.seed, run.corpus.get("opening", ""))
    metrics_log.write(log, {"step": t, "validation": measured, "sample": text})
    files.atomic_write(run.folder / "samples.txt", samples(metrics_log.read(run.folder)))
    if best["step"] == t:
        run_folder.save_weights(run.folder, params)
    if not show.disable:                                # tqdm's write itself does not look
        show.write(f"step {t:>6,}   validation {measured['loss']:.4f} nats per token, "
                   f"{measured['bits_per_character']:.4f} bits per character")
    return best


def finish(run, p, t, best, workers, speed, waited, progress, team):
    """Measure the best weights once more, draw the curves, write the report; return the result."""
    if team.leads:
        p = run_folder.load_weights(run.folder, run.config)
    team.share(parameters.flatten(p))
    measured, overlapping = (
        metrics.evaluate(gpt2, p, run.config, run.validation_ids, run.corpus["validation_characters"], stride, workers,
                         team.ordered_map)
        for stride in (run.config.block_size, max(1, run.config.block_size // 2)))
    if not team.leads:
        return None
    result = {**measured, "overlapping": overlapping, "step": t, "best_step": best["step"], "tokens_per_second": speed,
              "seconds_to_first_step": waited,              # since the process began: what a person has waited
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
