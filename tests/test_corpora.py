"""Corpora by name: pydocs from sources alone; what is loaded when a name could also be a file."""
import ast
import json
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from nanolm import data
from nanolm.data import keep, own_text, pydocs, split
from nanolm.data.corpus import Corpus

PROSE = "\n\n".join(f"Paragraph {i} says that {i} and {i + 1} are {2 * i + 1}, and then nothing more."
                    for i in range(400))


@pytest.fixture(scope="module")
def docs(tmp_path_factory):
    return data.load("pydocs", progress=False, cache=tmp_path_factory.mktemp("cache"))


# -- pydocs ----------------------------------------------------------------------------------------------------

def test_pydocs_is_about_two_million_characters_of_english(docs):
    assert 1_500_000 < len(docs.train) < 3_000_000 and 100_000 < len(docs.validation) <= 150_000
    assert docs.train.count(" the ") > 10_000 and docs.floor is None
    assert len(set(docs.train)) < 200
    assert 'The "assert" statement' in docs.train + docs.validation               # a topic
    assert "Serialize ``obj`` to a JSON formatted" in docs.train + docs.validation  # a docstring of json.dumps
    for text in (docs.train, docs.validation):
        assert "\t" not in text and "\r" not in text and " \n" not in text and "\0" not in text
    assert f"{len(docs.train):,}" in docs.about and "removed from validation" in docs.about


def test_pydocs_shares_no_paragraph(docs):
    sides = [{split.normal(a) for a, _ in split.paragraphs(text)} - {""} for text in (docs.train, docs.validation)]
    assert not sides[0] & sides[1] and len(sides[1]) > 500
    train = set(split.runs(docs.train, 8))
    runs = list(split.runs(docs.validation, 8))
    assert sum(run in train for run in runs) < 0.05 * len(runs)                   # and few runs of eight words


def test_pydocs_comes_from_the_cache_and_a_corrupt_one_is_built_again(tmp_path, monkeypatch):
    calls = []
    documents = [split.document(f"{i} " + PROSE[i:i + 900]) for i in range(200)]
    monkeypatch.setattr(pydocs, "collect", lambda progress: calls.append(1) or documents)
    first = data.load("pydocs", cache=tmp_path)
    assert data.load("pydocs", cache=tmp_path) == first and len(calls) == 1
    whole, ready = sorted(tmp_path.iterdir())                                     # and no temporary file is left
    for kept, collected in ((whole, 1), (ready, 0)):                              # before the split, and after it
        good = kept.read_text()
        altered = json.loads(good)
        altered["documents"][1] += "x"
        for bad in ("", good[:len(good) // 2], "[]", "{}", "\0", json.dumps(altered), '{"documents": 3, "checksum": 3}'):
            kept.write_text(bad)
            if kept == whole:
                ready.unlink()
            before = len(calls)
            assert data.load("pydocs", cache=tmp_path) == first and len(calls) == before + collected
            assert kept.read_text() == good                                       # mended
    assert data.load("pydocs", cache=False) == first and len(list(tmp_path.iterdir())) == 2
    assert data.load("pydocs", seed=1, cache=tmp_path) != first


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    keep.write("x.json", ["a"], blocked / "inside")
    assert keep.read("x.json", blocked / "inside") is None
    keep.write("x.json", ["a", "b"], tmp_path / "new" / "folder")
    assert keep.read("x.json", tmp_path / "new" / "folder") == ["a", "b"]
    assert keep.folder(False) is None


def test_the_cache_folder_is_the_platforms():
    pytest.importorskip("platformdirs")
    assert keep.folder().name == "nanolm" and keep.folder().is_absolute()


def test_docstrings_come_in_the_order_of_the_source():
    tree = ast.parse('"""module"""\nclass A:\n    """A"""\n    def f(self):\n        """f\n\n        more"""\n'
                     'async def g():\n    """g"""\ndef h():\n    "h"\nx = 1\n"""no docstring"""')
    assert pydocs.docstrings(tree) == ["module", "A", "f\n\nmore", "g", "h"]
    assert pydocs.parse(lambda: b"def f(:") is None and pydocs.parse(lambda: b"x = '\\d'") is not None
    assert pydocs.parse(Path("no such file").read_bytes) is None
    assert pydocs.words("Return self, a b of 3 x_yz.") == 4
    assert pydocs.tidy("a\tb  \r\n\x0c\n\nc \n") == "a       b\n\n\nc"


def test_docstrings_are_collected_once_by_path_and_only_if_they_are_prose(monkeypatch):
    prose = "A docstring of eight words or more, which is just enough."
    files = {"b.py": f'"""{prose}"""\ndef f():\n    """Too short to teach."""\nclass A:\n    """Another. {prose}"""',
             "a.py": f'"""{prose}"""', "c.py": f'"""Not seen. {prose}"""\ndef f():\n    """Another. {prose}"""',
             "bad.py": "def (", "pydoc_data/topics.py": 'topics = {"z": "The last topic.\\n", "y": "The first topic."}'}
    monkeypatch.setattr(pydocs, "sources", lambda: [(path, files[path].encode) for path in sorted(files)])
    assert pydocs.collect() == ["The first topic.\n\n", "The last topic.\n\n", f"{prose}\n\n", f"Another. {prose}\n\n",
                                f"Not seen. {prose}\n\n"]


def test_near_copies_leave_the_validation_text_of_pydocs(monkeypatch):
    rng = random.Random(3)
    words = [f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in "lmnrst"]
    originals = [rng.choices(words, k=60) for _ in range(100)]
    copies = [text[:30] + ["changed"] + text[31:] for text in originals[:60]]
    documents = [split.document(" ".join(text)) for text in originals + copies]
    monkeypatch.setattr(pydocs, "collect", lambda progress: documents)
    corpus = data.load("pydocs", cache=False)
    train = {text[:40] for text in corpus.train.split("\n\n")}
    validation = [text for text in corpus.validation.split("\n\n") if text]
    assert validation and not any(text[:40] in train for text in validation)


def test_a_topic_that_is_a_section_of_a_longer_one_is_dropped():
    section = "\n".join(f"This is line {i} of the section." for i in range(10))
    topics = {"part": "The part\n" + section,
              "all": "Introduction to everything.\n\n  " + section.replace("\n", "\n  "),
              "other": "Another subject altogether, sharing\nThis is line 3 of the section.\nand no more than that.\n",
              "short": "x"}
    assert set(pydocs.whole(topics)) == {"all", "other", "short"}


def test_what_is_left_out():
    wanted = ("json/__init__.py", "this.py", "email/mime/text.py", "unittest/case.py", "doctest.py")
    not_wanted = ("test/test_json.py", "idlelib/idle_test/test_text.py", "site-packages/pip/__init__.py",
                  "distutils2/a.py", "ctypes/test/x.py", "encodings/cp037.py", "pip/__init__.py",
                  "lib2to3/tests/data/py2.py", "setup.py")
    assert all(map(pydocs.wanted, wanted)) and not any(map(pydocs.wanted, not_wanted))


def test_nothing_of_the_standard_library_is_imported_or_run():
    code = ("import sys; from nanolm.data import pydocs; some = [(path, read) for path, read in pydocs.sources() "
            "if path < 'b' or path.startswith(('pydoc_data', 'this'))]; pydocs.sources = lambda: some; "
            "assert len(some) > 40; before = set(sys.modules); assert len(pydocs.collect()) > 100; "
            "print(sorted(set(sys.modules) - before)); print(sorted({'numba', 'matplotlib', 'antigravity', 'this',"
            " 'tqdm', 'pydoc_data.topics'} & set(sys.modules)))")
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    new, bad = map(ast.literal_eval, shown.stdout.splitlines())
    assert bad == [] and len(new) < 10


def test_sources_in_a_zip_are_read_and_a_part_of_the_library_is_said_to_be_one(tmp_path, monkeypatch):
    archive = tmp_path / "python311.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for i, name in enumerate(sorted(sys.stdlib_module_names)):
            text = f"Module {i} does this and that, and little else besides.\n\n{PROSE[i * 9:][:400]}"
            file.writestr(f"{name}.py", repr(text))
        file.writestr("strange.py", '"""A stranger who does not belong to the library, so he is not read at all."""')
    monkeypatch.setattr(pydocs.sysconfig, "get_path", lambda name: str(tmp_path / "missing"))
    monkeypatch.setattr(sys, "path", [str(archive), "/elsewhere/python3000.zip"])
    counts = []
    corpus = data.load("pydocs", cache=False, progress=lambda done, total: counts.append((done, total)))
    assert "Module 7 does" in corpus.train + corpus.validation and "stranger" not in corpus.train + corpus.validation
    assert "only a part of its library's source" in corpus.about
    assert counts[-1] == (len(counts), len(counts))

    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(ValueError, match="carries neither the source.*Give a text file or a folder.*tales"):
        data.load("pydocs", cache=False)


# -- names and paths --------------------------------------------------------------------------------------------

def test_an_unknown_name_says_which_there_are():
    assert data.names() == ["pydocs", "tales"]
    words = "no corpus is called 'pydoc'.*Did you mean 'pydocs'.*pydocs, tales.*text file"
    with pytest.raises(FileNotFoundError, match=words):
        data.load("pydoc")
    with pytest.raises(FileNotFoundError, match="no corpus is called 'shakespeare'") as error:
        data.load("shakespeare")
    assert "Did you mean" not in str(error.value)


def test_a_name_wins_over_a_file_and_dot_slash_over_the_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tales").write_text(PROSE)
    assert data.load("tales", progress=False).floor is not None
    assert data.load("./tales").train.startswith("Paragraph")
    (tmp_path / "story").write_text(PROSE)                                        # no dot and no slash in its name
    assert data.load("story").train.startswith("Paragraph")


def test_the_fingerprint_tells_texts_apart():
    a, b = (own_text.Corpus("x", *texts) for texts in (("ab", "c"), ("a", "bc")))
    assert a.fingerprint != b.fingerprint and len(a.fingerprint) == 16


def test_opening_is_how_most_paragraphs_begin():
    text = "Return the sum.\n\n    Return the sum of x\n\nOnce upon a time.\n\n1 Return the sum\n\nReturn\n"
    assert Corpus("x", text, "").opening() == "Return the sum"
    assert Corpus("x", text, "").opening(words=2) == "Return the"
    assert Corpus("x", "12 34\n\n??", "").opening() == ""
