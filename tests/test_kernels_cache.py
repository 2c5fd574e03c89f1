"""Compiled code on disk: where it goes, what is said at the first use, and what happens to damaged and old files."""
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from nanolm import kernels

numba = pytest.importorskip("numba")
if numba.config.DISABLE_JIT:
    pytest.skip("NUMBA_DISABLE_JIT=1: nothing is compiled", allow_module_level=True)

ROOT = Path(kernels.__file__).parents[2]
PROGRAM = """
import sys
import numpy as np
from nanolm.kernels import compiled, summing, warm      # one kernel alone, which compiles in a tenth of a second
total = np.ones(3, np.float32)
if "up" in sys.argv:
    warm.up()
summing.blend(total, 2.0, np.full(3, 5, np.float32), 0.5)
form = summing.blend.forms[np.dtype(np.float32)]
print(total.tolist(), sum(form.stats.cache_hits.values()), compiled.folder())
"""


def start(cache, *arguments, **environment):
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "LOCALAPPDATA": str(cache), "TMPDIR": str(cache), **environment}
    environment.pop("NANOLM_KERNELS", None)
    return subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], env=environment, cwd=ROOT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run(cache, *arguments, **environment):
    """Return (the numbers, whether compiled code came from the disk, the folder, what was said)."""
    return end(start(cache, *arguments, **environment))


def end(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    numbers, _, rest = out.strip().partition("] ")
    hits, _, folder = rest.partition(" ")
    return numbers + "]", int(hits), folder, err


RIGHT = "[4.5, 4.5, 4.5]"
ON_LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="XDG_CACHE_HOME moves the cache folder on Linux alone")


@ON_LINUX
def test_said_and_compiled_once_then_loaded(tmp_path):
    numbers, hits, folder, said = run(tmp_path, "up")
    assert (numbers, hits) == (RIGHT, 0) and Path(folder).parent == tmp_path / "nanolm"
    assert "Compiling the fast kernels, once after installation" in said and folder in said
    assert [path.name[:9] for path in Path(folder).glob("compiled-*")] == ["compiled-"]
    numbers, hits, _, said = run(tmp_path, "up")
    assert (numbers, hits, said) == (RIGHT, 1, "")


@ON_LINUX
def test_two_processes_at_once(tmp_path):
    both = [start(tmp_path, "up") for _ in range(2)]
    ends = [end(process) for process in both]
    assert [numbers for numbers, *_ in ends] == [RIGHT, RIGHT]
    assert run(tmp_path, "up")[:2] == (RIGHT, 1)


@ON_LINUX
@pytest.mark.parametrize("suffix, keep", [("nbi", 0), ("nbi", 40), ("nbc", 400)])
def test_a_damaged_file_is_made_again(tmp_path, suffix, keep):
    folder = Path(run(tmp_path, "up")[2])
    for path in folder.rglob(f"*.{suffix}"):
        path.write_bytes(path.read_bytes()[:keep])
    assert run(tmp_path)[0] == RIGHT
    assert not list(folder.glob("compiled-*"))              # so the next command says that it compiles
    assert run(tmp_path)[:2] == (RIGHT, 0) and run(tmp_path)[:2] == (RIGHT, 1)


@ON_LINUX
def test_no_user_cache_folder_then_the_temporary_one(tmp_path):
    (tmp_path / "file").write_bytes(b"")                    # a folder below a file cannot be made, not even by root
    folder = run(tmp_path / "file" / "cache", TMPDIR=str(tmp_path))[2]
    assert Path(folder).parent.parent == tmp_path
    assert run(tmp_path / "file" / "cache", TMPDIR=str(tmp_path))[:2] == (RIGHT, 1)


def test_no_folder_at_all(monkeypatch, capsys):
    from nanolm.kernels import compiled, warm
    monkeypatch.setattr(compiled, "folder", lambda: None)
    monkeypatch.setattr(compiled, "ENTRIES", [])
    assert not warm.marked()

    @compiled.entry("out1", "real")
    def fill(y, value):
        for i in range(y.size):
            y[i] = value

    warm.up()
    assert "so again at every start" in capsys.readouterr().err
    import numpy as np
    y = np.zeros(2, np.float32)
    fill(y, 3.0)
    assert y.tolist() == [3, 3]


def test_old_folders_are_removed_and_none_in_use(tmp_path):
    from nanolm.kernels import compiled, warm
    now = time.time()
    for name, folder_days, lock_days in (("own", 90, 90), ("old", 31, 31), ("used", 31, 1), ("new", 1, 31), ("bare", 31, None)):
        folder = tmp_path / f"kernels-{name}"
        folder.mkdir()
        if lock_days is not None:
            (folder / compiled.LOCK).write_bytes(b"")
            os.utime(folder / compiled.LOCK, (now - lock_days * 86400,) * 2)
        os.utime(folder, (now - folder_days * 86400,) * 2)
    (tmp_path / "pydocs.json").write_bytes(b"")
    os.utime(tmp_path / "pydocs.json", (0, 0))
    warm.remove_unused(tmp_path / "kernels-own", now)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kernels-new", "kernels-own", "kernels-used", "pydocs.json"]


def test_a_numba_that_does_not_load_is_a_note_and_by_name_an_error(monkeypatch):
    def broken(backend):
        if backend == "numba":
            raise AttributeError("module 'numpy' has no attribute 'long'")
        use(backend)

    use = kernels.use
    monkeypatch.setattr(kernels, "use", broken)
    monkeypatch.delenv("NANOLM_KERNELS", raising=False)
    with pytest.warns(UserWarning, match="the plain functions do their work: module 'numpy' has no"):
        assert kernels.choose() == "numpy"
    with pytest.raises(ImportError, match="Install it again"):
        kernels.choose("numba")
    monkeypatch.setenv("NANOLM_KERNELS", "numba")
    with pytest.raises(ImportError, match="NANOLM_KERNELS=numpy"):
        kernels.choose()
    monkeypatch.setenv("NANOLM_KERNELS", "numpy")
    assert kernels.choose() == "numpy"
    monkeypatch.setenv("NANOLM_KERNELS", "fast")         # no word that counts: as if nothing were set
    with pytest.warns(UserWarning, match="the plain functions do their work"):
        assert kernels.choose() == "numpy"


def test_a_function_of_ones_own_in_place_is_kept():
    from nanolm import gradcheck
    from nanolm.layers import gelu
    with kernels.using("numpy"), gradcheck.swap(gelu, forward=lambda x: gelu.forward(x)):
        mine = gelu.forward
        with pytest.warns(UserWarning, match="something was put in its place"):
            assert kernels.choose() == "numpy"
        assert gelu.forward is mine


@pytest.mark.parametrize("name, words", [("numba", ["layers.attention", "twin", "Compiled code: "]),
                                         ("numpy", ["layers.attention", "plain", "NANOLM_KERNELS=numba"])])
def test_info_shows_every_twin(monkeypatch, name, words):
    from nanolm.cli import commands
    monkeypatch.setenv("NANOLM_KERNELS", name)
    done = CliRunner().invoke(commands, ["info", "--kernels"], catch_exceptions=False)
    assert done.exit_code == 0 and all(word in done.output for word in words)
    for plain, functions, trick in kernels.TWINS.values():
        assert f"{plain.removeprefix('nanolm.')} " in done.output and trick in done.output and functions[0] in done.output
    assert done.output.isascii()


def test_info_warns_of_a_blas_held_to_older_kernels(monkeypatch):
    import llvmlite.binding

    from nanolm.cli import kernels_table
    for held, wide, warned in (("Haswell", True, True), ("Haswell", False, False), ("SkylakeX", True, False), ("", True, False)):
        monkeypatch.setenv("OPENBLAS_CORETYPE", held)
        monkeypatch.setattr(llvmlite.binding, "get_host_cpu_features", lambda wide=wide: {"avx512f": wide})
        assert any("OPENBLAS_CORETYPE=" in line for line in kernels_table.machine("numba")) is warned


def test_how_long_a_process_has_run():
    from nanolm.training import since_start
    before = since_start.seconds()
    time.sleep(0.05)
    assert 0 < before < before + 0.04 < since_start.seconds()
