"""Search the reader's own files by meaning: the passages whose vectors point the way the question's vector points.

    files -> texts        search_files.py         which files, and what cannot be read
    texts -> passages     search_passages.py      paragraphs, and of long ones their sentences
    passages -> vectors   sentences.py            MiniLM, a mean, length 1
    vectors kept          search_index.py         a file that has not changed is never read by the model again
    the best              sentences.search        a cosine for each passage; the file is opened again for its words

Tested    tests/test_search.py, tests/peers/test_search_minilm.py.
"""
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nanolm.generation import search_files, search_index, search_passages, sentences

BUNCH = 1000                                    # passages that are sorted by length and read together; then they are in the index


@dataclass(frozen=True)
class Hit:
    score: float            # the cosine, -1 to 1
    path: object            # as it was given
    place: str              # "" or "cell 3"
    line: int               # where the passage begins, from 1
    text: str


def find(loaded, query, paths, n=5, folder=None, note=print, begin=None, encoding=None):
    """Return the n best passages [Hit], the best first, and how many passages were searched.

    loaded: a sentence encoder (checkpoint.load). paths: files and folders. folder: where the index is kept, a Path or
    None. note is called with a sentence for each file that cannot be searched. begin: called with (files, passages, tokens)
    that the model must read, if there are any; it returns a function to be called with the tokens of each batch.
    Raises ValueError if there is no question or nothing to search.
    """
    sentences.check(loaded)
    if not query.strip():
        raise ValueError("the question is empty. Write what you look for, in a few words.")
    index = search_index.Index(folder and folder / search_index.fingerprint(loaded), loaded.config.n_embd)
    if index.damage:
        note(index.damage)
    found, missing = search_files.listed(paths)
    for sentence in missing:
        note(sentence)
    searched, new = [], []
    for path in found:
        if folder and Path(search_index.key(folder)) in Path(search_index.key(path)).parents:       # the index itself
            continue
        try:
            search_files.check(path)
            if index.current(path, encoding) is None:
                new.append((path, search_index.state(path, encoding), passages_of(loaded, path, encoding)))
            searched.append(path)
        except (ValueError, OSError) as error:
            note(str(error))
    if not searched:
        raise ValueError("there is no text to search in what was named. Name text files, or folders that hold some.")
    try:
        read_new(loaded, index, new, begin)
    finally:                                    # Ctrl-C: what was read until then need not be read again
        save(index, note)
    entries = {path: index.entries[search_index.key(path)] for path in searched}
    where = [(path, passage) for path, entry in entries.items() for passage in entry["passages"]]
    vectors = np.concatenate([entry["vectors"] for entry in entries.values()])
    best = sentences.search(sentences.vectors(loaded, [query])[0].astype(np.float32), vectors, n)
    return [hit(score, *where[i], encoding) for score, i in best], len(where)


def save(index, note):
    """Save the index; if that cannot be done, say so: the search goes on without."""
    try:
        index.save()
    except OSError as error:
        note(f"the index was not kept, so the next search reads the files again: {error}")


def passages_of(loaded, path, encoding):
    """Return [(place, line, start, end, tokens, text)] of a file; place counts its texts from 0."""
    most, found = min(search_passages.MOST, loaded.config.block_size) - 2, []
    for place, (_, text) in enumerate(search_files.read(path, encoding)):
        line, at = 1, 0
        for start, end, tokens in search_passages.cut(text, lambda part: len(loaded.tokenizer.encode(part)), most):
            line, at = line + text.count("\n", at, start), start
            found.append((place, line, start, end, tokens, text[start:end]))
    return found


def read_new(loaded, index, new, begin):
    """Let the model read the passages of new, [(path, state, passages)], and put their vectors into the index."""
    if not new:
        return
    everything = [passage for _, _, passages in new for passage in passages]
    progress = begin(len(new), len(everything), sum(passage[4] + 2 for passage in everything)) if begin else None
    while new:
        bunch, n = [], 0
        while new and n < BUNCH:
            bunch.append(new.pop(0))
            n += len(bunch[-1][2])
        texts = [passage[5] for _, _, passages in bunch for passage in passages]
        vectors, first = sentences.vectors(loaded, texts, progress=progress), 0
        for path, state, passages in bunch:
            index.put(path, state, [list(passage[:4]) for passage in passages], vectors[first:first + len(passages)])
            first += len(passages)


def hit(score, path, passage, encoding):
    """Return the Hit of a passage [place, line, start, end] of a file, with its words as they stand there."""
    place, line, start, end = passage
    name, text = search_files.read(path, encoding)[place]
    return Hit(score, path, name, line, text[start:end])
