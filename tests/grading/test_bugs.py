"""Bug hunts: how they read, how they are graded, and what is told when. That each bug is real is shown in test_zoo.py."""
import re
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from nanolm.cli.check_command import command as check
from nanolm.cli.exercises_command import command as listed
from nanolm.grading import exercises, grade
from nanolm.grading.classroom import release, submissions
from nanolm.grading.classroom.player import Player
from nanolm.grading.exercises import zoo

ALL = pytest.mark.parametrize("animal", zoo.ANIMALS, ids=[animal.name for animal in zoo.ANIMALS])


def solid(text):
    """Return text without white space: a line may be folded behind a hyphen."""
    return "".join(text.split())


def kind(value):
    """Return a name for a parameter of a test: pytest cannot write very long numbers."""
    return type(value).__name__


def test_there_are_enough_of_each_kind():
    assert len(zoo.ANIMALS) >= 10 and len({one.name for one in zoo.ANIMALS}) == len(zoo.ANIMALS)
    seen, unseen = ([one for one in zoo.ANIMALS if one.checkable is kind] for kind in (True, False))
    assert len(seen) >= 2 and len(unseen) >= 3
    assert all("A gradient check" in one.story for one in seen)
    assert all(re.search("[Nn]o gradient|Nor does a gradient check", one.story) for one in unseen)


# ---------------------------------------------------------------------------------------------------- the sentences and the stub
@ALL
def test_the_animal_is_well_made(animal):
    lines = animal.code.splitlines()
    assert 8 <= len(lines) <= 25 and max(map(len, lines)) <= 94 and '"""' not in animal.code and "\\" not in animal.code
    assert all(lines[number - 1].strip() for number in animal.lines)
    assert animal.repair.splitlines()[0] != lines[animal.lines[0] - 1]
    assert 5 <= len(animal.others) <= 7 and len({animal.right, *animal.others}) == len(animal.others) + 1
    lengths = sorted(map(len, animal.others))
    assert len(animal.right) <= 1.5 * lengths[-1], "the longest sentence by far is the answer"
    assert 3 <= len(animal.hints) <= 5 and animal.notebook and animal.level in (1, 2, 3)
    assert any(str(year) in animal.story for year in range(2013, 2027))
    whole = " ".join([animal.task, animal.code, animal.right, *animal.others, animal.story, *animal.hints])
    assert whole.isascii()
    assert all(text.endswith((".", "?")) for text in (animal.right, *animal.others, *animal.hints, animal.story))


@ALL
def test_the_stub_reads_well_and_gives_nothing_away(animal):
    name = f"zoo.{animal.name}"
    shown = CliRunner().invoke(listed, ["--show", name])
    assert shown.exit_code == 0, shown.output
    assert shown.output.rstrip().endswith('raise NotImplementedError("not written yet")')
    for text, most in ((shown.output, 99), (release.file_of(exercises.find(name, "s1")), 102)):
        assert max(map(len, text.splitlines())) <= most
        for number, line in enumerate(animal.code.splitlines(), 1):
            assert f"{number:>3}  {line}".rstrip() in text.splitlines()
        flat = solid(text)
        assert all(solid(sentence) in flat for sentence in (animal.right, *animal.others)), "a choice is missing"
        assert solid(animal.story[:40]) not in flat and solid(animal.repair) not in flat
    space = {}
    exec(exercises.find(name).stub(), space)
    report = grade(name, space["answer"])
    assert not report.written and not report.passed and report.score == 0


# ------------------------------------------------------------------------------------------------------------------- the grading
def right_of(name, student=None):
    exercise = exercises.find(name, student)
    return exercise.reference()["line"], exercise.reference()["mistake"], exercise


@ALL
def test_the_line_and_the_letter_pass_and_the_story_is_told(animal):
    name = f"zoo.{animal.name}"
    lines, letter, _ = right_of(name, "s1")
    for line in lines:
        report = grade(name, lambda line=line: {"line": line, "mistake": letter}, student="s1")
        assert report.passed and report.score == 1 and report.seconds < 2
        assert solid(animal.story) in solid(str(report)) and max(map(len, str(report).splitlines())) < 100


@ALL
def test_every_other_line_and_letter_fails(animal):
    name = f"zoo.{animal.name}"
    lines, letter, exercise = right_of(name)
    for line in range(-1, len(animal.code.splitlines()) + 3):
        if line not in lines:
            report = grade(name, lambda line=line: {"line": line, "mistake": letter})
            assert not report.passed and report.score == 0.5 and report.outputs == {"line": "wrong", "mistake": "right"}
            assert report.mistakes == ("other_line",) and animal.story[:30] not in str(report)
    for other in exercise.choices:
        if other != letter:
            report = grade(name, lambda other=other: {"line": lines[0], "mistake": other})
            assert report.score == 0.5 and report.mistakes == ("other_mistake",) and animal.story[:30] not in str(report)
            assert solid(exercise.choices[other]) in solid(str(report))
    other = next(one for one in exercise.choices if one != letter)
    assert grade(name, lambda: {"line": 2 if 2 not in lines else 4, "mistake": other}).score == 0


def test_the_order_of_the_letters_depends_on_the_student():
    for name in (f"zoo.{animal.name}" for animal in zoo.ANIMALS):
        letters = [right_of(name, f"s{i}")[1] for i in range(40)]
        assert len(set(letters)) >= 5 and right_of(name, "s3")[1] == right_of(name, "s3")[1]
    orders = {tuple(right_of("zoo.scale", f"s{i}")[2].choices.values()) for i in range(20)}
    assert len(orders) == 20


@pytest.mark.parametrize("line", ["10", " 10 ", 10.0, np.int64(10), np.float64(10)])
@pytest.mark.parametrize("change", [str, str.lower, lambda letter: f" {letter.lower()} ", np.str_])
def test_a_right_answer_may_be_written_in_other_ways(line, change):
    lines, letter, _ = right_of("zoo.scale")
    assert lines == (10,) and grade("zoo.scale", lambda: {"line": line, "mistake": change(letter)}).passed


@pytest.mark.parametrize("line", [None, True, "eight", 8.5, float("nan"), float("inf"), 10 ** 5000, "9" * 5000, [8], (8,),
                                  np.array([8, 9]), {}, object(), -8, 1j], ids=kind)
def test_a_line_that_is_no_number_is_told_so(line):
    report = grade("zoo.scale", lambda: {"line": line, "mistake": right_of("zoo.scale")[1]})
    assert report.score == 0.5 and "line must be a whole number from 1 to 13" in str(report) and str(report).isascii()
    report.to_json()


@pytest.mark.parametrize("mistake", [None, "", "Z", "AB", 3, ["A"], np.zeros(2), object(), 10 ** 5000, "x" * 500], ids=kind)
def test_a_letter_that_is_none_is_told_so(mistake):
    report = grade("zoo.scale", lambda: {"line": 10, "mistake": mistake})
    assert report.score == 0.5 and "mistake must be one of the letters A, B, C" in " ".join(str(report).split())
    report.to_json()


@pytest.mark.parametrize("value", [(8, "C"), [8, "C"], 8, "8 C", {"line": 10}, {"mistake": "C"}, {}, np.zeros(3),
                                   {"Line": 8, "Mistake": "C"}])
def test_an_answer_that_is_no_such_dict_is_told_so(value):
    report = grade("zoo.scale", lambda: value)
    assert not report.passed and report.score == 0 and "must be a dict with two keys" in str(report)


def test_trouble_is_told():
    assert not grade("zoo.scale", lambda: None).written
    report = grade("zoo.scale", lambda: {}["no"])
    assert report.score == 0 and "KeyError" in str(report)
    report = grade("zoo.scale", lambda dy: {"line": 10, "mistake": "A"})
    assert report.score == 0 and "TypeError" in str(report)
    assert "There are 3 hints" in str(report) and "Hint 3 of 3" in exercises.hint("zoo.scale", 3)


def test_a_released_file_is_answered_and_checked(tmp_path):
    folder = tmp_path / "s7"
    release.write(folder, "s7", names=["zoo.scale"], form="both")
    file = folder / "exercises" / "zoo.scale.py"
    ran = CliRunner().invoke(check, [str(file)])
    assert ran.exit_code == 0 and "not written yet" in ran.output
    _, letter, _ = right_of("zoo.scale", "s7")
    written = f'return {{"line": 10, "mistake": "{letter}"}}'
    file.write_text(file.read_text().replace('raise NotImplementedError("not written yet")', written))
    ran = CliRunner().invoke(check, [str(file)])
    assert ran.exit_code == 0 and "passed" in ran.output and "ng-video-lecture" in solid(ran.output)


@pytest.mark.skipif(sys.platform == "win32", reason="the process is talked to by a Unix pipe")
@pytest.mark.parametrize("given, score", [('{"line": LINE, "mistake": "LETTER"}', 1), ('{"line": "LINE", "mistake": "Z"}', 0.5),
                                          ("None", 0), ('{"line": object(), "mistake": print}', 0), ("[LINE]", 0)])
def test_a_hunt_is_graded_in_a_locked_process_too(tmp_path, given, score):
    lines, letter, _ = right_of("zoo.nucleus", "s9")
    given = given.replace("LINE", str(lines[0])).replace("LETTER", letter)
    (tmp_path / "a.py").write_text(f"# exercise: zoo.nucleus\ndef answer():\n    return {given}\n")
    submission = submissions.read("a", [tmp_path / "a.py"], {"zoo.nucleus"})
    with Player(submission.parts, ["zoo.nucleus"]) as player:
        report = grade("zoo.nucleus", player.of("zoo.nucleus"), student="s9")
    assert report.score == score and report.passed is (score == 1), str(report)

