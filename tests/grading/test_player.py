"""Strangers' code in a locked process: harm is refused, wrong answers stay wrong, and the next question is still answered."""
import sys

import pytest
from handed_in import GOOD, VARIANCE_FORGOTTEN, hostile

from nanolm.grading import grade
from nanolm.grading.classroom import submissions
from nanolm.grading.classroom.player import Limits, Player

NAME = "layernorm.backward"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the process is talked to by a Unix pipe")


def played(tmp_path, text, limits=Limits(seconds=1.0, loading=2.0)):
    file = tmp_path / "student.py"
    file.write_text(text)
    submission = submissions.read("student", [file], {NAME})
    with Player(submission.parts, [NAME], limits) as player:
        report = grade(NAME, player.of(NAME), seconds=limits.seconds, shrinking=0.1)
        return report, player


def test_a_right_answer_passes(tmp_path):
    report, player = played(tmp_path, GOOD)
    assert report.passed and not player.attempts and "audit" in player.locks


def test_a_wrong_answer_is_named_as_here(tmp_path):
    report, _ = played(tmp_path, VARIANCE_FORGOTTEN)
    assert report.mistakes == ("variance_term_missing",)


@pytest.mark.parametrize("name", hostile("/nowhere"))
def test_harm_is_refused_and_scores_nothing(tmp_path, name):
    folder = tmp_path / "private"
    folder.mkdir()
    victim = folder / "secret.txt"
    victim.write_text("the secret")
    report, player = played(tmp_path, hostile(str(victim))[name])
    assert victim.read_text() == "the secret"
    assert "the secret" not in str(report)
    assert not report.passed and report.score == 0, f"{name}: {report}"
    assert [one.name for one in folder.iterdir()] == ["secret.txt"]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's locks are Linux's")
def test_the_kernel_refuses_what_python_does_not_see(tmp_path):
    """ctypes is refused by the audit hook. Without the hook the kernel still refuses."""
    import subprocess
    victim = tmp_path / "secret.txt"
    victim.write_text("the secret")
    code = (f"import os, sys; from nanolm.grading.classroom import sandbox\n"
            f"sandbox.landlock([sys.prefix, sys.base_prefix, '/usr', '/lib', '/lib64'])\nsandbox.seccomp()\n"
            f"import ctypes; libc = ctypes.CDLL(None, use_errno=True)\n"
            f"print(libc.unlink({str(victim)!r}.encode()), libc.socket(2, 1, 0), libc.fork())\n"
            f"try: open({str(victim)!r})\nexcept PermissionError: print('not read')\n"
            f"import threading; t = threading.Thread(target=print, args=('a thread runs',)); t.start(); t.join()\n")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    if "-1 -1 -1" not in ran.stdout:
        pytest.skip(f"this kernel has no landlock or no seccomp: {ran.stdout} {ran.stderr[-300:]}")
    assert ran.stdout.split("\n")[:3] == ["-1 -1 -1", "not read", "a thread runs"]
    assert victim.exists()


@pytest.mark.parametrize("name, words", [("fills_the_disk", "may not write a file"), ("writes_a_huge_file", "File too large")])
def test_the_own_folder_has_limits(tmp_path, name, words):
    report, _ = played(tmp_path, hostile("/nowhere")[name])
    assert words in str(report)


HARMLESS = {
    "a plot": "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.savefig('a.png')\n",
    "scipy": "import scipy.stats\n",
    "a log": "import logging\nlogging.basicConfig(filename='a.log')\nlogging.warning('hello')\n",
    "temporary files": "import os, tempfile\nwith tempfile.TemporaryDirectory() as t:\n    name = os.path.join(t, 'a')\n"
                       "    open(name, 'w').write('x')\n    os.rename(name, name + 'b')\n    os.mkdir(name)\n"
                       "    os.remove(name + 'b')\n",
    "the grader": "from nanolm.grading import exercises, find, grade, hint, train_with\n"
                  "print(find('layernorm.backward').task)\nreport = grade('layernorm.backward', print)\n"
                  "report.raise_if_failed() if report.written else report\n",
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_students_put_above_their_function_does_no_harm(tmp_path, name):
    if name in ("a plot", "scipy"):
        pytest.importorskip("matplotlib" if name == "a plot" else name, reason="it comes with an extra")
    report, player = played(tmp_path, HARMLESS[name] + GOOD, Limits(seconds=1.0, loading=20.0))
    assert report.passed and not player.trouble and not player.attempts


def test_a_line_that_stops_does_not_cost_the_functions_below(tmp_path):
    report, player = played(tmp_path, "import nowhere\n\nx = 1\ny = (x +\n     z)\n" + GOOD)
    assert report.passed
    assert player.trouble == ["student.py, line 1: ModuleNotFoundError: No module named 'nowhere': this line stopped.",
                              "student.py, line 5: NameError: name 'z' is not defined: this line stopped."]


def test_a_function_that_was_not_reached_says_why(tmp_path):
    report, _ = played(tmp_path, GOOD.replace("def backward(dy, cache)", "def backward(dy, cache, a=b)"))
    assert report.score == 0 and "line 6: NameError: name 'b' is not defined: this line stopped." in str(report)


def test_a_file_that_exits_does_not_cost_the_next_file(tmp_path):
    (tmp_path / "a.py").write_text("raise SystemExit\n")
    (tmp_path / "b.py").write_text("while True: pass\n")
    (tmp_path / "c.py").write_text(GOOD)
    submission = submissions.read("s", [tmp_path / "a.py", tmp_path / "b.py", tmp_path / "c.py"], {NAME})
    with Player(submission.parts, [NAME], Limits(loading=1.0)) as player:
        assert grade(NAME, player.of(NAME), shrinking=0.1).passed
        assert "a.py: It raised SystemExit" in player.trouble[0] and "b.py: It had not returned" in player.trouble[1]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's locks are Linux's")
def test_the_kernel_lets_the_own_folder_be_changed_and_no_other(tmp_path):
    import subprocess
    own, other = tmp_path / "own", tmp_path / "other"
    own.mkdir()
    other.mkdir()
    (other / "secret.txt").write_text("the secret")
    code = (f"import os, sys; from nanolm.grading.classroom import sandbox\n"
            f"print(sandbox.landlock([sys.prefix, sys.base_prefix, '/usr', '/lib', '/lib64'], {str(own)!r}),\n"
            f"      sandbox.seccomp(sandbox.GUARDED))\n"
            f"os.mkdir('d'); open('d/a', 'w').write('x'); os.rename('d/a', 'b'); os.rmdir('d'); print(os.listdir('.'))\n"
            f"for attack in (lambda: os.remove('../other/secret.txt'), lambda: os.rename('b', '../other/secret.txt'),\n"
            f"               lambda: os.rename('../other/secret.txt', 'c'), lambda: os.mkdir('../other/d'),\n"
            f"               lambda: os.rmdir('../other'), lambda: os.symlink('../other', 's'), lambda: open('../x', 'w'),\n"
            f"               lambda: os.link('../other/secret.txt', 's'), lambda: os.truncate('../other/secret.txt', 0)):\n"
            f"    try: attack(); print('done')\n    except OSError: print('refused')\n")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=own)
    if not ran.stdout.startswith("True True"):
        pytest.skip(f"this kernel has no landlock or no seccomp: {ran.stdout} {ran.stderr[-300:]}")
    assert ran.stdout.split("\n")[1:] == ["['b']", *["refused"] * 9, ""], ran.stderr
    assert (other / "secret.txt").read_text() == "the secret" and len(list(other.iterdir())) == 1


def test_pythons_own_hook_alone_guards_what_is_outside(tmp_path):
    """Where the kernel has no locks the hook stands alone."""
    import subprocess
    own, victim = tmp_path / "own", tmp_path / "secret.txt"
    own.mkdir()
    victim.write_text("the secret")
    code = (f"import os, shutil, sys; from nanolm.grading.classroom import sandbox\n"
            f"up = os.open('..', os.O_RDONLY); sys.addaudithook(sandbox.hook([], {str(own)!r}, False))\n"
            f"os.mkdir('d'); open('d/a', 'w').write('x'); os.rename('d/a', 'b'); shutil.rmtree('d'); print(os.listdir('.'))\n"
            f"for attack in (lambda: os.remove('../secret.txt'), lambda: os.remove('secret.txt', dir_fd=up),\n"
            f"               lambda: os.rename('b', 'secret.txt', dst_dir_fd=up), lambda: open('../secret.txt', 'a'),\n"
            f"               lambda: os.open('secret.txt', os.O_WRONLY, dir_fd=up), lambda: shutil.rmtree('..'),\n"
            f"               lambda: os.mkdir('d', dir_fd=up), lambda: shutil.move('../secret.txt', 'c')):\n"
            f"    try: attack(); print('done')\n    except PermissionError: print('refused')\n")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=own)
    assert ran.stdout.split("\n") == ["['b']", *["refused"] * 8, ""], ran.stdout + ran.stderr
    assert victim.read_text() == "the secret"


def test_after_a_disaster_the_next_exercise_is_asked_anew(tmp_path):
    file = tmp_path / "student.py"
    file.write_text("import os\n\n\n# exercise: layernorm.forward\n"
                    "def forward(x, weight, bias, eps=1e-5):\n    os._exit(3)\n" + GOOD)
    names = ["layernorm.forward", NAME]
    submission = submissions.read("student", [file], set(names))
    with Player(submission.parts, names) as player:
        first, second = (grade(name, player.of(name), shrinking=0.1) for name in names)
    assert first.score == 0 and "ended the whole process" in str(first)
    assert second.passed
