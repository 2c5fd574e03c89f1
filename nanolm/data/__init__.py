"""Corpora, batches, and the baselines that give a loss its meaning.

    corpus = data.load("pydocs")                        # or "tales", or a path to a text file or a folder
    corpus.train, corpus.validation                     # two str that share no document and no paragraph

    pydocs, tales, own_text    the corpora             split        why the two texts cannot leak
    grammar                    the exact floor         batches      from token ids to (B, T) arrays
    masking                    BERT's gaps to guess    ngram        Witten-Bell n-grams, to be compared with
    baselines                  uniform, n-grams, zlib, lzma on the same validation text
    corpus, keep, prepared     what a corpus is; and what was made of one is kept for the next time
"""
import difflib
import os
from contextlib import ExitStack, contextmanager
from pathlib import Path

from nanolm.data import own_text, pydocs, tales

CORPORA = {"pydocs": "help topics and docstrings of the standard library that this Python carries: real English",
           "tales": "stories from a probabilistic grammar; its entropy, the floor of every loss, is known exactly"}


def names():
    """Return the names of the corpora that need no file, the default first."""
    return list(CORPORA)


def load(name_or_path="pydocs", *, seed=0, encoding=None, progress=True, cache=None):
    """Return a Corpus: one of names(), or the text file or folder at a path.

    seed       of the split into training and validation, and of the tales
    encoding   of the reader's own files; None: UTF-8, or what a byte order mark says
    progress   True: a progress bar on a terminal; False: none; or a function called with (done, total)
    cache      a folder to keep what was collected for pydocs; None: the per-user cache folder; False: keep nothing

    A name wins over a file of the same name (write ./tales for the file). Raises FileNotFoundError if there is neither,
    PermissionError, or ValueError, each with a sentence that says what to do.
    """
    name = os.fspath(name_or_path)
    if not name:
        raise ValueError("the name of the corpus is empty. Give one of " + ", ".join(CORPORA) + ", or a path.")
    if name == "pydocs":
        with _bar(progress, "reading the standard library's docstrings") as report:
            return pydocs.load(seed, report, cache)
    if name == "tales":
        with _bar(progress, "telling tales") as report:
            return tales.load(seed, report)
    if not Path(name).exists() and not any(mark in name for mark in "/\\."):        # looks like a name, not like a path
        close = difflib.get_close_matches(name, CORPORA, n=1)
        guess = f" Did you mean {close[0]!r}?" if close else ""
        raise FileNotFoundError(f"no corpus is called {name!r}, and there is no file or folder of that name.{guess} "
                                f"The corpora are: {', '.join(CORPORA)}. Or give the path of a text file or a folder.")
    return own_text.load(name, encoding, seed)


@contextmanager
def _bar(progress, label):
    """Give a function report(done, total): the caller's own, one that draws a bar, or None."""
    if progress is not True:
        yield progress or None
        return
    try:
        from tqdm import tqdm
    except ImportError:
        yield None
        return
    with ExitStack() as stack:
        bars = []

        def report(done, total):
            if not bars:                                    # none if all was kept; disable=None: only on a terminal
                bars.append(stack.enter_context(tqdm(desc=label, ascii=True, disable=None, leave=False)))
            bars[0].total = total
            bars[0].update(done - bars[0].n)
        yield report
