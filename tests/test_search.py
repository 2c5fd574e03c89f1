"""Search: passages are the text, the index gives what reading gives, and no file spoils the search of the others."""
import json
import os
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanolm import params, text
from nanolm.checkpoint import Loaded
from nanolm.generation import search, search_files, search_index, search_passages, sentences
from nanolm.models import bert

WORDS = "the cat sat on the mat and a dog ran to the big red house while it rained all day long . ! ? " * 10
NOTES = ("# the cat\n\nthe cat sat on the mat and the dog ran.\n\n"
         "the dog ran to the big red house while it rained all day long and the cat sat on the mat and it rained.\n")


@pytest.fixture(scope="module")
def loaded():
    tokenizer = text.WordPiece.train(WORDS, 120)
    config = bert.Config(vocab_size=tokenizer.vocab_size, block_size=40, n_layer=2, n_head=2, n_embd=16, pooler=False)
    rng = np.random.default_rng(0)
    p = {name: a + rng.normal(0, 0.3, a.shape).astype(np.float32) for name, a in params.flatten(bert.init(config, rng)).items()}
    return Loaded(bert, config, {"bert": params.unflatten(p)}, tokenizer, "here")


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "a.md").write_text(NOTES, encoding="utf-8")
    (folder / "b.txt").write_text("it rained all day long\n", encoding="utf-8")
    cells = [{"cell_type": "markdown", "source": ["# a dog\n", "\n", "ran to the big red house"]},
             {"cell_type": "code", "source": "sat = 'on the mat'", "outputs": [{"text": "long long"}]}]
    (folder / "c.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    return folder


def words(part):
    return len(part.split())


def by_parts(part):
    return len("".join(part.split()))                       # as if each character were a token: Chinese, base64


@given(st.text(alphabet="ab .\n!\t\u00e9", max_size=200), st.integers(1, 12))
def test_passages_are_the_text_and_short_enough(whole, most):
    for count in (words, by_parts):
        found, at = search_passages.cut(whole, count, most), 0
        for start, end, tokens in found:
            assert whole[at:start].strip() == "" and whole[start:end].strip() == whole[start:end] != ""
            assert count(whole[start:end]) <= most or end - start == 1
            assert count is by_parts or tokens == count(whole[start:end])
            at = end
        assert whole[at:].strip() == ""


def passages(whole, most):
    return [whole[start:end] for start, end, _ in search_passages.cut(whole, words, most)]


def test_where_a_text_is_cut():
    long = "a b c d e f g h i j k l m n o p q."
    assert passages("A b c.\n\nD e f.", 40) == ["A b c.", "D e f."], "a sentence is no heading"
    assert passages(f"{long}\n \n{long} r.", 40) == [long, f"{long} r."]
    assert passages(f"# Title\n\n{long}\n\n{long}", 40) == [f"# Title\n\n{long}", long], "a heading goes with what it is over"
    assert passages("A b. C d? E f g! H.", 4) == ["A b. C d?", "E f g! H."], "sentences, as many as fit"
    assert passages("a b\nc d e\nf", 3) == ["a b", "c d e", "f"], "lines"
    assert passages("a b c d e", 2) == ["a b", "c d", "e"], "words"
    assert [end - start for start, end, _ in search_passages.cut("x" * 10, by_parts, 3)] == [2, 3, 2, 3]
    assert passages("", 5) == passages(" \n\n ", 5) == []


def find(loaded, query, paths, folder=None, n=5, **more):
    notes, begun = [], []

    def begin(*sizes):
        begun.append(sizes)
        return lambda tokens: begun.append(tokens)

    hits, count = search.find(loaded, query, paths, n, folder, notes.append, begin, **more)
    return hits, count, notes, begun


def test_the_best_passages_with_their_places(loaded, home):
    hits, count, notes, begun = find(loaded, "ran to the big red house", [home])
    assert count == 5 and notes == [] and len(hits) == 5
    found = {(hit.path.name, hit.place, hit.line): hit for hit in hits}
    assert set(found) == {("a.md", "", 1), ("a.md", "", 5), ("b.txt", "", 1), ("c.ipynb", "cell 1", 1), ("c.ipynb", "cell 2", 1)}
    assert found["a.md", "", 1].text == "# the cat\n\nthe cat sat on the mat and the dog ran."
    assert found["c.ipynb", "cell 2", 1].text == "sat = 'on the mat'"
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    vectors = sentences.vectors(loaded, ["ran to the big red house", *(hit.text for hit in hits)])
    np.testing.assert_allclose([hit.score for hit in hits], vectors[1:] @ vectors[0], rtol=0, atol=1e-5)
    assert begun[0][:2] == (3, 5) and sum(begun[1:]) == begun[0][2], "the tokens that were announced are the tokens read"
    exact, _, _, _ = find(loaded, "it rained all day long", [home], n=1)
    assert (exact[0].path.name, round(exact[0].score, 4)) == ("b.txt", 1.0)


def test_the_index_gives_the_same_and_reads_what_is_new_alone(loaded, home, tmp_path):
    folder = tmp_path / "index"
    first, _, _, begun = find(loaded, "the mat", [home], folder)
    again, _, notes, nothing = find(loaded, "the mat", [home], folder)
    assert begun and not nothing and not notes and again == first
    (home / "b.txt").write_text("the cat sat on the mat\n\n" * 3, encoding="utf-8")
    changed, _, _, begun = find(loaded, "the mat", [home], folder)
    assert begun[0][0] == 1 and changed == find(loaded, "the mat", [home])[0]
    (home / "b.txt").write_text("the rat sat on the mat\n\n" * 3, encoding="utf-8")
    assert find(loaded, "the mat", [home], folder)[3][0][0] == 1, "of the same size, but another text"
    os.utime(home / "a.md", (1, 1))                         # another time, the same text
    (home / "c.ipynb").unlink()
    assert not find(loaded, "the mat", [home], folder)[3]
    os.utime(home / "a.md", (2, 2))
    find(loaded, "the mat", [home / "a.md"], folder)
    kept = json.loads(next(folder.glob("*/index.json")).read_text())["files"]
    assert sorted(os.path.basename(path) for path in kept) == ["a.md", "b.txt"], "what is gone is forgotten, the rest is kept"
    assert len(list(folder.glob("*/*"))) == 2, "no vectors of earlier times, no temporary files"


def test_each_model_and_each_encoding_has_its_own(loaded, home, tmp_path):
    find(loaded, "the mat", [home], tmp_path / "index")
    p = params.flatten(loaded.p)
    p["bert.h.0.ln_1.bias"] = p["bert.h.0.ln_1.bias"] + np.float32(0.1)
    other = Loaded(bert, loaded.config, params.unflatten(p), loaded.tokenizer, "here")
    assert find(other, "the mat", [home], tmp_path / "index")[3] and len(list((tmp_path / "index").iterdir())) == 2
    assert not find(loaded, "the mat", [home], tmp_path / "index")[3]
    assert find(loaded, "the mat", [home], tmp_path / "index", encoding="latin-1")[3][0][0] == 3


@pytest.mark.parametrize("damage", ["truncated", "bits", "no vectors", "json", "a list", "other numbers"])
def test_a_damaged_index_is_built_anew_with_a_note(loaded, home, tmp_path, damage):
    folder = tmp_path / "index"
    expected = find(loaded, "the mat", [home], folder)[0]
    index, vectors = next(folder.glob("*/index.json")), next(folder.glob("*/vectors-*"))
    if damage == "truncated":
        vectors.write_bytes(vectors.read_bytes()[:-8])
    elif damage == "bits":
        vectors.write_bytes(vectors.read_bytes()[:-8] + b"\1" * 8)
    elif damage == "no vectors":
        vectors.unlink()
    elif damage == "json":
        index.write_text(index.read_text()[:-10])
    elif damage == "a list":
        index.write_text("[]")
    else:
        index.write_text(index.read_text().replace('"passages": [[0, 1, 0,', '"passages": [[0, 1, 3,'))
    hits, _, notes, begun = find(loaded, "the mat", [home], folder)
    assert hits == expected and begun[0][0] == 3 and len(notes) == 1 and "damaged and is built anew" in notes[0]
    assert not find(loaded, "the mat", [home], folder)[2:][0]


def test_an_index_that_cannot_be_written_is_said(loaded, home, tmp_path):
    (tmp_path / "file").write_text("x")
    hits, _, notes, _ = find(loaded, "the mat", [home], tmp_path / "file")
    assert len(hits) == 5 and len(notes) == 1 and "the index was not kept" in notes[0]


def test_the_index_itself_is_not_searched(loaded, home):
    find(loaded, "the mat", [home], home / "index")
    _, count, notes, begun = find(loaded, "the mat", [home], home / "index")
    assert count == 5 and not begun and all("binary" in note for note in notes)


def test_files_that_cannot_be_searched_are_named_and_the_others_found(loaded, home, monkeypatch):
    (home / "picture.png").write_bytes(b"\x89PNG\0\0")
    (home / "latin.txt").write_bytes("caf\u00e9 the cat".encode("latin-1"))
    (home / "empty.txt").write_text(" \n")
    (home / "broken.ipynb").write_text('{"cells": [{}]}')
    (home / ".hidden").write_text("the mat")
    (home / "__pycache__").mkdir()
    (home / "__pycache__" / "x.txt").write_text("the mat")
    (home / "huge.txt").write_text("the mat " * 2000)
    os.mkfifo(home / "pipe")
    (home / "itself").symlink_to(home / "itself")
    monkeypatch.setattr(search_files, "LARGEST", 10_000)
    hits, count, notes, _ = find(loaded, "the mat", [home, home / "nowhere", home / "picture.png", home / "a.md"], n=50)
    assert count == len(hits) == 5 and {hit.path.name for hit in hits} == {"a.md", "b.txt", "c.ipynb"}
    for expected in ("has 1 binary file, not searched: picture.png", "latin.txt is not valid utf-8: byte 3",
                     "empty.txt is empty", "broken.ipynb is no notebook that can be read", "huge.txt is huge: 16,000 bytes",
                     "pipe is no file", "itself is no file", "there is no file or folder", "picture.png looks binary"):
        assert len([note for note in notes if expected in note]) == 1, (expected, notes)
    assert len(notes) == 9
    assert find(loaded, "caf\u00e9", [home / "latin.txt"], encoding="latin-1")[0][0].text == "caf\u00e9 the cat"


@pytest.mark.parametrize("query, names, sentence", [("  ", ["a.md"], "the question is empty"), ("x", ["nowhere"], "no text to search")])
def test_nothing_to_search_or_no_question(loaded, home, query, names, sentence):
    with pytest.raises(ValueError, match=sentence):
        find(loaded, query, [home / name for name in names])


def test_what_was_read_before_an_interruption_is_kept(loaded, home, tmp_path, monkeypatch):
    monkeypatch.setattr(search, "BUNCH", 1)
    true, calls = sentences.vectors, []

    def interrupted(*arguments, **more):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return true(*arguments, **more)

    monkeypatch.setattr(sentences, "vectors", interrupted)
    with pytest.raises(KeyboardInterrupt):
        find(loaded, "the mat", [home], tmp_path / "index")
    assert find(loaded, "the mat", [home], tmp_path / "index")[3][0][0] == 1


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(OSError, match="could not read .*: "):
        search_index.digest(tmp_path)


def test_another_version_of_the_index_is_left_in_silence(loaded, home, tmp_path, monkeypatch):
    find(loaded, "the mat", [home], tmp_path / "index")
    monkeypatch.setattr(search_index, "VERSION", 2)
    _, _, notes, begun = find(loaded, "the mat", [home], tmp_path / "index")
    assert begun[0][0] == 3 and notes == []


def test_the_command(loaded, home, tmp_path, monkeypatch):
    from click.testing import CliRunner

    from nanolm import checkpoint, kernels
    from nanolm.cli import search_command
    monkeypatch.setattr(kernels, "use", lambda backend: None)                   # what this process runs on stays as it is
    checkpoint.save(tmp_path / "encoder", bert, loaded.p, loaded.config, loaded.tokenizer)
    arguments = ["the big caf\u00e9", str(home), str(home / "gone.txt"), "--model", str(tmp_path / "encoder"), "--index",
                 str(tmp_path / "index"), "--top", "2"]
    done = CliRunner().invoke(search_command.command, arguments)
    assert done.exit_code == 0, done.output
    assert "Reading 3 new or changed files, 5 passages" in done.stderr and "5 passages searched" in done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 4 and lines[0][:2] in ("0.", "1.") and lines[1].startswith("       ")
    assert all(lines[i].split("  ")[1].split(",")[0].split(":")[0].startswith(str(home)) for i in (0, 2))
    assert "gone.txt" in done.stderr
    again = CliRunner().invoke(search_command.command, [*arguments, "--quiet"])
    assert again.stdout == done.stdout and again.stderr == ""
    shutil.rmtree(home)
    assert isinstance(CliRunner().invoke(search_command.command, arguments).exception, ValueError)


def test_an_excerpt_is_one_short_line():
    from nanolm.cli import search_command
    assert search_command.excerpt("a\n\n  b") == "a b"
    cut = search_command.excerpt("word " * 100)
    assert cut.endswith("word ...") and len(cut) <= search_command.WIDTH + 4
