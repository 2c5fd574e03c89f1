"""Run the notebooks from top to bottom, each in a fresh kernel, and say how long each took.

    python notebooks/run.py                      all of them; the files are not touched
    python notebooks/run.py 05 gradients         those whose name contains one of the words
    python notebooks/run.py --write              store the outputs in the files, and nbgrader's metadata
    python notebooks/run.py --solved             with right answers in the gaps: every exercise must score 1
    python notebooks/run.py --jobs 2             two at a time

A notebook fails on an error, on a warning, if it takes more than 60 s, if it wants to reach another machine (offline.py),
if an output shows a path or an address in memory, if it is stored without its outputs, or if an exercise does not score
what it should: 0 unsolved, 1 solved.
Exit code 0 if none failed. Needs nbclient, nbformat and ipykernel: pip install "nanolm[notebooks]".
"""
import argparse
import os
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT, TOOLS = HERE.parent, HERE                                # the lessons may lie elsewhere (tests), these files do not
sys.path[:0] = [str(ROOT), str(TOOLS)]

import gaps  # noqa: E402 (beside this file)

LIMIT = 60                                                    # seconds a notebook may take
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def main(argv=None):
    """Run what the arguments choose, print the table, return the exit code."""
    options = arguments(argv)
    chosen = [p for p in sorted(HERE.glob("[0-9]*.ipynb")) if not options.words or any(w in p.name for w in options.words)]
    if not chosen:
        print(f"no notebook's name contains {' or '.join(options.words) or 'a number'}. "
              f"There are {', '.join(p.name for p in sorted(HERE.glob('*.ipynb'))) or 'none'}.", file=sys.stderr)
        return 2
    paths = [str(ROOT), str(TOOLS), os.environ.get("PYTHONPATH")]            # kernels import nanolm, offline and solutions
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    import matplotlib.font_manager  # noqa: F401 (builds its cache here, and not with a warning in a notebook's output)

    width = max(len(p.name) for p in chosen)
    print(f"{'notebook':<{width}}  {'seconds':>7}  result", flush=True)
    failures = []
    with ThreadPoolExecutor(max(1, options.jobs)) as pool:         # each notebook has a process of its own
        for path, (seconds, problem) in zip(chosen, pool.map(lambda path: run(path, options), chosen)):
            said = f"FAILED: {problem.splitlines()[0]}" if problem else "ok"
            print(f"{path.name:<{width}}  {seconds:7.1f}  {said}", flush=True)
            if problem:
                failures.append((path.name, problem))
    for name, problem in failures:
        if "\n" in problem:
            print(f"\n--- {name}\n{problem}", file=sys.stderr)
    print(f"{len(chosen) - len(failures)} of {len(chosen)} notebooks ran without a problem.")
    return 1 if failures else 0


def run(path, options):
    """Execute one notebook. Return the seconds it took and what is wrong with it, "" if nothing."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    notebook, limit = nbformat.read(path, as_version=4), options.limit
    if options.solved:
        gaps.fill(notebook)
    bare = not any(cell.get("outputs") for cell in notebook.cells)
    start = time.perf_counter()
    try:
        NotebookClient(notebook, timeout=limit, kernel_name="python3", record_timing=False,
                       extra_arguments=["--log-level=40",          # errors only
                                        "--IPKernelApp.exec_lines=import offline"],
                       resources={"metadata": {"path": str(HERE)}}).execute()
    except CellExecutionError as error:
        text = ANSI.sub("", str(error)).strip()
        return time.perf_counter() - start, f"{text.splitlines()[-1][:200]}\n{text}"
    except CellTimeoutError:
        return time.perf_counter() - start, f"a cell took more than {limit:g} s"
    except DeadKernelError:
        return time.perf_counter() - start, "the kernel died (out of memory?)"
    seconds = time.perf_counter() - start
    if seconds > limit:
        return seconds, f"it took more than {limit:g} s"
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                return seconds, f"cell {number} warns: {output['text'].strip().splitlines()[-1][:160]}\n{output['text']}"
            if str(ROOT) in str(output):
                return seconds, f"cell {number} shows a path of this machine, {ROOT}"
            if " at 0x" in str(output):
                return seconds, f"cell {number} shows an address in memory; end its last line with a semicolon"
    due = 1.0 if options.solved else 0.0
    wrong = [f"{name} {score}" for name, score in gaps.scores(notebook).items() if score != due]
    if wrong:
        return seconds, f"scores that are not {due:g}: {', '.join(wrong)}"
    if options.write:
        store(notebook, path)
    elif bare:
        return seconds, "it is stored without outputs; run this with --write"
    return seconds, ""


def store(notebook, path):
    """Write the notebook without what differs from run to run or from machine to machine."""
    import nbformat

    from nanolm.files import atomic_write
    gaps.mark(notebook)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = joined(cell.outputs)
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                         "language_info": {"name": "python"}}
    nbformat.validate(notebook)
    mode = path.stat().st_mode
    atomic_write(path, nbformat.writes(notebook) + "\n")
    path.chmod(mode)


def joined(outputs):
    """Return the outputs with neighbouring pieces of printed text put together: where they are cut depends on timing."""
    kept = []
    for output in outputs:
        if kept and output.output_type == kept[-1].output_type == "stream" and output.name == kept[-1].name:
            kept[-1].text += output.text
        else:
            kept.append(output)
    return kept


def arguments(argv):
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(prog="notebooks/run.py", description=__doc__.split("\n")[0])
    parser.add_argument("words", nargs="*", help="run the notebooks whose name contains one of these; default: all")
    parser.add_argument("--write", action="store_true", help="store the outputs in the files")
    parser.add_argument("--solved", action="store_true", help="put right answers into the gaps of the exercises")
    parser.add_argument("--jobs", type=int, default=1, help="notebooks at a time (default: %(default)s)")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds a notebook may take (default: %(default)g)")
    options = parser.parse_args(argv)
    if options.solved and options.write:
        parser.error("--solved with --write would store the solutions in the lessons. Give one of the two.")
    return options


if __name__ == "__main__":
    sys.exit(main())
