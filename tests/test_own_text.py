"""The reader's own text: a file or a folder, any encoding, and every complaint a sentence."""
import os
import random

import pytest

from nanolm import data

PROSE = "\n\n".join(f"Paragraph {i} says that {i} and {i + 1} are {2 * i + 1}, and then nothing more."
                    for i in range(400))


def test_a_file_is_a_corpus(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text(PROSE)
    corpus = data.load(path)
    assert corpus.name == "mine.txt" and corpus.floor is None
    assert 0.05 * len(PROSE) < len(corpus.validation) <= 0.1 * len(PROSE) + 2
    assert len(corpus.train) + len(corpus.validation) == len(PROSE) + 2   # one separator at the end
    assert set(PROSE.split("\n\n")) == set(corpus.train.split("\n\n") + corpus.validation.split("\n\n")) - {""}
    assert data.load(str(path)) == corpus and data.load(path, seed=1) != corpus
    assert "mine.txt" in repr(corpus) and len(repr(corpus)) < 100


@pytest.mark.parametrize("encoding, newline", [
    ("utf-8", "\r\n"), ("utf-8", "\r"), ("utf-8-sig", "\n"), ("utf-16", "\r\n"), ("utf-32", "\r")])
def test_byte_order_marks_and_newlines_leave_no_trace(tmp_path, encoding, newline):
    plain, other = tmp_path / "plain.txt", tmp_path / "other.txt"
    text = PROSE.replace("says", "s\u00e4gt")
    plain.write_bytes(text.encode())
    other.write_bytes(text.replace("\n", newline).encode(encoding))
    a, b = data.load(plain), data.load(other)
    assert (a.train, a.validation) == (b.train, b.validation)


def test_an_encoding_can_be_given(tmp_path):
    path = tmp_path / "old.txt"
    path.write_bytes(PROSE.replace("says", "s\u00e4gt").encode("latin-1"))
    assert "s\u00e4gt" in data.load(path, encoding="latin-1").train
    with pytest.raises(ValueError, match=r"old.txt is not valid utf-8: byte 13 .0xe4. .*encoding=\"cp1252\""):
        data.load(path)
    with pytest.raises(ValueError, match="encoding='klingon' is no encoding"):
        data.load(path, encoding="klingon")
    path.write_bytes(PROSE.encode("utf-16-le"))
    assert data.load(path, encoding="utf-16-le").train.startswith("Paragraph")
    for name in ("utf-16-le", "utf-8"):                                           # a mark although it is given
        path.write_bytes(("\ufeff" + PROSE).encode(name))
        assert data.load(path, encoding=name).train.startswith("Paragraph")


def test_a_folder_is_read_in_sorted_order_and_what_is_skipped_is_counted(tmp_path):
    folder = tmp_path / "texts"
    (folder / "sub").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / ".git" / "notes.txt").write_text("hidden " * 100)
    paragraphs = PROSE.split("\n\n")
    for i in range(40):
        name = ("sub/" if i % 2 else "") + f"{i:02}" + (".txt", ".md", ".PY")[i % 3]
        (folder / name).write_text("\n\n".join(paragraphs[10 * i:10 * i + 10]))
    (folder / "picture.txt").write_bytes(b"\x89PNG\0\0")
    (folder / "data.bin").write_bytes(b"abc")
    (folder / "nothing.md").write_text(" \n")
    corpus = data.load(folder)
    assert "40 files (skipped: 1 hidden, 1 binary, 1 empty, 1 of another kind), each file a document" in corpus.about
    assert "hidden " not in corpus.train + corpus.validation
    kept = [p for p in corpus.train.split("\n\n") if p]
    inside = {p: i for i, p in enumerate(paragraphs)}
    files = list(dict.fromkeys(inside[p] // 10 for p in kept))
    assert files == sorted(files, key=lambda i: (i % 2, i)) and len(files) > 30   # top level first, then sub/
    assert len(kept) % 10 == 0                                                    # whole files


def test_a_folder_of_few_files_is_cut_like_a_file(tmp_path):
    (tmp_path / "a.txt").write_text(PROSE)
    (tmp_path / "b.txt").write_text(PROSE.replace("nothing", "much"))
    corpus = data.load(tmp_path)
    assert "2 files, cut into documents of" in corpus.about
    assert "nothing" in corpus.train and "much" in corpus.train and corpus.validation


@pytest.mark.parametrize("content, words", [
    (b"", "x.txt is empty"), (b" \n\n\t ", "x.txt is empty"), (b"\xef\xbb\xbf", "x.txt is empty"),
    (b"A short text.", "too short: 13 characters, and at least 1,000 are needed"),
    (b"GIF89a\0\1" * 999, "looks binary: byte 6 is NUL"),
    (b"fine " * 300 + b"\xff", r"not valid utf-8: byte 1,500 .0xff."),
    (b"\xff\xfea", "not valid utf-16"),
    (b"the same\n\n" * 500, "The text repeats itself|too few"),
])
def test_a_file_that_cannot_be_used_says_why(tmp_path, content, words):
    path = tmp_path / "x.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words):
        data.load(path)


@pytest.mark.parametrize("size", [1_000, 1_500, 3_000, 8_000, 20_000])
@pytest.mark.parametrize("blank_lines", [True, False])
def test_every_text_of_the_least_size_can_be_used(tmp_path, size, blank_lines):
    rng = random.Random(size)
    text = "".join("".join(rng.choices("abcdefgh", k=rng.randrange(2, 9))) + rng.choice(" " * 9 + "\n") for _ in range(size))
    (tmp_path / "x.txt").write_text((text.replace("\n", "\n\n") if blank_lines else text)[:size])
    corpus = data.load(tmp_path / "x.txt")
    assert 0.05 * size < len(corpus.validation) <= 0.1 * size + 2 and len(corpus.train) > 0.85 * size


def test_the_folder_one_stands_in_has_a_name(tmp_path, monkeypatch):
    (tmp_path / "poems").mkdir()
    (tmp_path / "poems" / "a.txt").write_text(PROSE)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "poems" / "pipe.txt")                      # reading it would wait for ever
    monkeypatch.chdir(tmp_path / "poems")
    corpus = data.load(".")
    assert corpus.name == "poems" and "1 file," in corpus.about or "1 file (skipped: 1 of another kind)" in corpus.about
    with pytest.raises(ValueError, match="the name of the corpus is empty"):
        data.load("")


def test_paths_that_cannot_be_used_say_why(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file or folder '.*none.txt' .looked from"):
        data.load(tmp_path / "none.txt")
    with pytest.raises(ValueError, match="has no text files .*skipped: nothing"):
        data.load(tmp_path)
    (tmp_path / "x.bin").write_bytes(b"1")
    with pytest.raises(ValueError, match="has no text files .*skipped: 1 of another kind"):
        data.load(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ValueError, match="neither a file nor a folder"):
            data.load(tmp_path / "pipe")


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    path = tmp_path / "secret.txt"
    path.write_text(PROSE)

    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))
    monkeypatch.setattr(type(path), "read_bytes", refuse)                         # chmod does not stop root
    with pytest.raises(PermissionError, match="could not read .*secret.txt: Permission denied"):
        data.load(path)
