"""Build the site: the lessons, the source, the tour, the speed page, the teacher's kit, the glossary, all equations.

    python docs/build.py                     makes docs/_site/index.html, without a network
    python docs/build.py --out FOLDER        somewhere else

Sphinx makes the pages (with myst-nb for the notebooks, furo for the looks, MathJax from a package for the formulas), from a
folder that is laid out anew each time: this project's own texts at their own places, with the links to source files turned
into links to their pages (site/staging.py), a page for each module (site/reference.py) and one of all equations
(site/equations.py). The outputs of the notebooks are those that are stored in them. Needs: pip install "nanolm[docs]".

Tested    tests/site/, in a real browser.
"""
import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path[:0] = [str(ROOT), str(DOCS / "site")]
NEEDED = ("sphinx", "myst_nb", "furo", "sphinx_copybutton", "sphinx-mathjax-offline")


def main(argv=None):
    """Build what the arguments ask for; return the exit code."""
    parser = argparse.ArgumentParser(prog="docs/build.py", description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=DOCS / "_site", help="the folder to write (default: docs/_site)")
    options = parser.parse_args(argv)
    missing = [name for name in NEEDED if not installed(name)]
    if missing:
        print(f"the site is made with {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed. "
              f'Run: pip install -e ".[docs]"', file=sys.stderr)
        return 2
    held = options.out.is_file() or options.out.is_dir() and any(options.out.iterdir())
    if held and not (options.out / "searchindex.js").exists():
        print(f"{options.out} is not empty and holds no site. Choose another folder: nothing is written over.", file=sys.stderr)
        return 2
    return build(options.out)


def build(out):
    """Make the site in a temporary folder; if that went well, put it in the place of `out`. Return Sphinx's exit code."""
    import staging
    os.environ["NUMBA_DISABLE_JIT"] = "1"           # the reference wants functions, not their compiled dispatchers
    from sphinx.cmd.build import build_main
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        source, fresh = Path(folder) / "source", Path(folder) / "html"
        pages = staging.lay_out(ROOT, source)
        print(f"{pages} pages: about a minute on a quiet machine", flush=True)
        code = build_main(["-b", "html", "-q", "-W", "--keep-going", "-c", str(DOCS / "site"), "-d", str(Path(folder) / "kept"),
                           str(source), str(fresh)])
        if code:
            print("the site was not built; the warnings above say where", file=sys.stderr)
            return code
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(fresh, out)
    print(f"{out / 'index.html'}, {time.monotonic() - start:.0f} s")
    return 0


def installed(name):
    """Return whether a module can be imported, without importing it."""
    from importlib.util import find_spec
    return find_spec(name) is not None


if __name__ == "__main__":
    sys.exit(main())
