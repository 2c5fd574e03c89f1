"""The default corpus: the English that every Python carries, its help topics and its docstrings.

    topics        the pages that help("TOPIC") shows: pydoc_data/topics.py, one document a topic
    docstrings    of the standard library's modules, classes and functions, one document a source file: its docstrings
                  in the order of the source, a blank line between them

Nothing is imported: the source files are parsed (`ast`) and the docstrings read off the tree. Importing hundreds of
modules would run their code (antigravity opens a browser). Source files are found in the library's folder, or in the
python3*.zip that stands for it (embedded and browser Pythons).

Left out    tests; idlelib's and every other test folder; what does not belong to the standard library (site-packages,
            pip, setuptools); encodings (a hundred copies of one sentence); docstrings of fewer than MINIMUM_WORDS words
            of two letters or more ("Return self."); docstrings equal to one that came before; topics that are a section
            of a longer one ("for" of "compound"): half of their lines or more stand there too. A file that cannot
            be read, or that this Python cannot parse, is skipped.
Order       topics by name, then files by path: the same Python gives the same text.
Text        docstrings as `inspect.cleandoc` gives them (no common indentation), no white space at line ends.

The split (split.py) is by documents: a module's docstrings are in training or in validation, never in both. What
stands in training nearly word for word (the help page of the debugger, and pdb's docstrings) leaves validation too.
Parsing takes a few seconds and the split 0.1 s, so documents and split are kept in the per-user cache folder, see keep.py.
"""
import ast
import hashlib
import platform
import re
import sys
import sysconfig
import warnings
import zipfile
from pathlib import Path

from nanolm.data import keep, split
from nanolm.data.corpus import Corpus

FORMAT = 2                      # raise it when the rules above change: what was kept under an older number is not used
MINIMUM_WORDS = 8
SMALL = 1_000_000               # characters; fewer than this means that most of the library's source is missing
LEFT_OUT = {"test", "tests", "idle_test", "site-packages", "dist-packages", "_bundled", "encodings", "__pycache__"}


def load(seed=0, progress=None, cache=None):
    """Return the Corpus.

    progress(done, total) is called after each source file. cache: a folder; None for the per-user one, False for none.
    Raises ValueError if this Python carries neither sources nor topics.
    """
    key = hashlib.blake2b("\n".join([sys.version, *map(str, places())]).encode(), digest_size=8).hexdigest()
    name = f"pydocs-{FORMAT}-{platform.python_version()}-{key}.json"
    rules = hashlib.blake2b(Path(split.__file__).read_bytes() + Path(__file__).read_bytes(), digest_size=8).hexdigest()
    ready = keep.read(f"pydocs-split-{key}-{rules}-{seed}.json", cache)
    if ready is not None and len(ready) == 3:
        return Corpus("pydocs", *ready)
    documents = keep.read(name, cache)
    if documents is None:
        documents = collect(progress)
        keep.write(name, documents, cache)

    total = sum(map(len, documents))
    if total < 10_000:
        raise ValueError("this Python carries neither the source of its standard library nor its help topics, so "
                         "pydocs has no text. Give a text file or a folder of your own, or use the corpus tales.")
    parts = split.split(documents, seed=seed, near=8)
    about = f"Help topics and docstrings of Python {platform.python_version()}, {total:,} characters.\n{parts}."
    if total < SMALL:
        about += "\nThis Python carries only a part of its library's source; usual are 2 million characters."
    train, validation = parts.texts()
    keep.write(f"pydocs-split-{key}-{rules}-{seed}.json", [train, validation, about], cache)
    return Corpus("pydocs", train, validation, about)


def collect(progress=None):
    """Return the documents, a list of str: topics by name, then source files by path."""
    files = sources()
    topics, modules, seen = [], [], set()
    for done, (path, read) in enumerate(files, start=1):
        tree = parse(read)
        if tree is not None and path == "pydoc_data/topics.py":
            topics = [tidy(text) for _, text in sorted(whole(read_topics(tree)).items())]
        elif tree is not None:
            kept = []
            for text in map(tidy, docstrings(tree)):
                if text not in seen and words(text) >= MINIMUM_WORDS:
                    seen.add(text)
                    kept.append(text)
            if kept:
                modules.append("\n\n".join(kept))
        if progress is not None:
            progress(done, len(files))
    return [split.document(text) for text in topics + modules]


def docstrings(tree):
    """Return the docstrings of a module and of all classes and functions in it, in the order of the source."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            text = ast.get_docstring(node, clean=True)
            if text:
                found.append((getattr(node, "lineno", 0), getattr(node, "col_offset", 0), text))
    return [text for _, _, text in sorted(found)]       # ast.walk goes level by level; line numbers restore the order


def read_topics(tree):
    """Return the dict that pydoc_data/topics.py assigns to `topics`; an empty one if it is not there."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "topics":
            return ast.literal_eval(node.value)
    return {}


def whole(topics):
    """Return topics without those that are a section of a longer one.

    In Python 3.10 to 3.13 the share of a topic's lines that stand in one longer topic is above 0.8 or below 0.3.
    """
    kept, lines_of_kept = {}, []
    for name in sorted(topics, key=lambda name: (-len(topics[name]), name)):        # the longest first
        lines = [" ".join(line.split()) for line in topics[name].split("\n") if len(line.strip()) >= 20]
        if all(sum(line in others for line in lines) < len(lines) / 2 for others in lines_of_kept) or not lines:
            kept[name] = topics[name]
            lines_of_kept.append(set(lines))
    return kept


def words(text):
    """Return how many words of two letters or more text has."""
    return len(re.findall(r"[A-Za-z]{2,}", text))


def tidy(text):
    """Return text without tabs, form feeds and carriage returns, without white space at line ends and around it."""
    text = text.replace("\r\n", "\n").expandtabs()
    text = re.sub(r"[\x00-\x09\x0b-\x1f\x7f]", " ", text)
    return re.sub(r"[^\S\n]+(?=\n|$)", "", text).strip("\n")


def parse(read):
    """Return the syntax tree of the bytes that read() returns, or None if they cannot be read or parsed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")                 # "invalid escape sequence" in somebody's old docstring
        try:
            return ast.parse(read())
        except (OSError, SyntaxError, ValueError, RecursionError):
            return None


def sources():
    """Return [(path inside the library, function that reads its bytes)], sorted by path."""
    found = {}
    for place in places():
        if place.is_dir():
            for path in place.rglob("*.py"):
                found.setdefault(path.relative_to(place).as_posix(), path.read_bytes)
        else:
            archive = zipfile.ZipFile(place)
            for name in archive.namelist():
                if name.endswith(".py"):
                    found.setdefault(name, lambda archive=archive, name=name: archive.read(name))
    return sorted((path, read) for path, read in found.items() if wanted(path))


def places():
    """Return the folder of the standard library and the python3*.zip files on sys.path, those that exist."""
    zips = [Path(entry) for entry in sys.path if re.fullmatch(r"python3.*\.zip", Path(entry).name)]
    found = [Path(sysconfig.get_path("stdlib")), *zips]
    return [place for place in found if place.is_dir() or zipfile.is_zipfile(place)]


def wanted(path):
    """Return whether the file at this path inside the library's folder is one whose docstrings we read."""
    parts = path.split("/")
    return parts[0].removesuffix(".py") in sys.stdlib_module_names and not LEFT_OUT & set(parts)
