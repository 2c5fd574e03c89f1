"""How often is a mistake named rightly? Print the rate, of the catalogue and of wrong answers written in other styles.

    python tests/grading/rate.py                    all
    python tests/grading/rate.py layernorm          exercises whose name begins so

catalogue       every known mistake, given as an answer: rejected? named by its own name, or by one that is the same function?
other styles    the wrong answers of answers_*.py, written otherwise than the catalogue, each with the names that would be
                right: rejected? named by one of them?
right           the right answers of the same files: passed?
"""
import importlib
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from collected import RIGHT, WRONG  # noqa: E402

from nanolm.grading import exercises, grade  # noqa: E402


def named(report):
    """Return all names under which the report speaks of a mistake."""
    names = {name for finding in report.findings for name in (finding.name, *finding.also)}
    return names | {part for name in names for part in name.split("+")}


def main(prefix=""):
    for file in sorted(Path(__file__).parent.glob("answers_*.py")):
        importlib.import_module(file.stem)
    count, lines, slowest = Counter(), [], 0.0
    for name, exercise in exercises.all_of().items():
        if not name.startswith(prefix) or exercise.kind in exercises.GRADERS:
            continue
        for mistake in exercise.mistakes:
            report = grade(name, mistake.function, shrinking=0)
            count["catalogue", "rejected"] += not report.passed
            count["catalogue", "named"] += mistake.name in named(report)
            count["catalogue", "all"] += 1
            slowest = max(slowest, report.seconds)
            if mistake.name not in named(report):
                lines.append(f"{name}: {mistake.name} was called {', '.join(report.mistakes) or 'right'}")
    for name, function, names in WRONG:
        if name.startswith(prefix):
            report = grade(name, function, shrinking=0)
            count["other styles", "rejected"] += not report.passed
            count["other styles", "named"] += bool(named(report) & set(names))
            count["other styles", "all"] += 1
            if not named(report) & set(names):
                lines.append(f"{name}: {function.__name__} ({', '.join(names) or 'no name'}) was called "
                             f"{', '.join(report.mistakes) or 'right'}")
    for name, function in RIGHT:
        if name.startswith(prefix):
            count["right", "passed"] += grade(name, function).passed
            count["right", "all"] += 1
    print("\n".join(lines))
    for kind in ("catalogue", "other styles"):
        n = max(count[kind, "all"], 1)
        print(f"{kind:<13} {count[kind, 'all']:>5} wrong answers: {count[kind, 'rejected']} rejected, "
              f"{count[kind, 'named']} named rightly ({100 * count[kind, 'named'] / n:.1f} %)")
    print(f"{'right':<13} {count['right', 'all']:>5} right answers: {count['right', 'passed']} passed")
    print(f"The slowest known mistake took {slowest:.1f} s without looking for the smallest arguments.")


if __name__ == "__main__":
    main(*sys.argv[1:2])
