"""The pages of a graded class: one for each student, one for the teacher. Plain HTML that needs no other file.

Tested    tests/grading/test_class.py.
"""
import base64
import html
import io
import re

STYLE = """<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><style>
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:1rem auto;padding:0 1rem}
table{border-collapse:collapse}td,th{padding:.25rem .6rem;border-bottom:1px solid #8884;text-align:left;vertical-align:top}
td.n{text-align:right}pre{white-space:pre-wrap;background:#8881;padding:.6rem;overflow-x:auto;font-size:.85rem;line-height:1.3}
.ok{color:#187a2f}.no{color:#b00020}.none{color:#6b6b6b}
@media(prefers-color-scheme:dark){.ok{color:#6c6}.no{color:#f77}.none{color:#aaa}}
img{max-width:100%;background:#fff}
.wide{overflow-x:auto}</style>"""

NAMED = ("the same output", "two at once", "probe")     # ways to a mistake that has a name: its sentence is the catalogue's
OWN = ((r",? but (it|they) (is|are|has|have|holds?|returned) .*", ""),          # what only this student's answer shows
       (r": it has the shape .*", ""), (r" in the shape \(.*", " in another shape"),
       (r" has the shape \(.*?\), expected \(.*?\)", " has a wrong shape"),
       (r"^\d+ of \d+ rows", "Some rows"), (r", \d+ of \d+ entries", ""), (r" \((here|cosine) [^)]*\)", ""),
       (r" have the cosine \S+: something", ": something"), (r" is [^ ]+, .* times the right one, in calls of different sizes",
                                                               " is off by a factor that differs between calls"),
       (r" \(Where it is wrong;.*", ""), (r" The same holds for .*", ""), (r" Wrong as well, perhaps.*", ""))


def student(result):
    """Return the feedback page of one student."""
    parts = [f"<title>{esc(result['student'])}</title>{STYLE}"
             f"<h1>{esc(result['student'])}: {result['score']:.2f} of {result['of']}</h1>"]
    if result["trouble"]:
        parts.append("<p class=no>What could not be read or run:</p><ul>"
                     + "".join(f"<li>{esc(t)}</li>" for t in result["trouble"]) + "</ul>")
    parts.append("<div class=wide><table><tr><th>exercise</th><th></th><th>score</th></tr>" + "".join(
        f"<tr><td><a href='#{esc(name)}'>{esc(name)}</a></td><td class={colour(r)}>{verdict(r)}</td>"
        f"<td class='n {colour(r)}'>{score(r)}</td></tr>" for name, r in result["exercises"].items()) + "</table></div>")
    for name, report in result["exercises"].items():
        parts.append(f"<h2 id='{esc(name)}'>{esc(name)}</h2><pre>{esc(report['text'])}</pre>")
        if report.get("attempts"):
            parts.append(f"<p class=no>It tried to {esc(', to '.join(report['attempts']))}. That was refused.</p>")
    return "\n".join(parts)


def verdict(report):
    return "passed" if report["passed"] else "not written" if not report["written"] else "not right yet"


def colour(report):
    return "ok" if report["passed"] else "no" if report["written"] else "none"


def score(report):
    return f"{report['score']:.2f}" if report["written"] else "&ndash;"


def teacher(results, names, unreadable):
    """Return the teacher's page: how each exercise went, the mistakes that were made most, all students, what was not read."""
    n = len(results)
    parts = [f"<title>The class</title>{STYLE}<h1>{n} submissions, {len(names)} exercise{'s' * (len(names) != 1)}</h1>"]
    if not n:
        return parts[0]
    parts += [f"<p>{sentence}</p>" for sentence in sentences(results, names)]
    parts.append(picture(results, names))
    parts.append("<h2>The mistakes, most frequent first</h2><div class=wide><table>"
                 "<tr><th>exercise</th><th>students</th><th>mistake</th></tr>")
    for (exercise, _), (count, text) in mistakes(results).items():
        parts.append(f"<tr><td>{esc(exercise)}</td><td class=n>{count} of {n}</td><td>{esc(text)}</td></tr>")
    parts.append("</table></div><h2>The students</h2><div class=wide><table><tr><th>student</th><th>score</th>"
                 + "".join(f"<th>{esc(name)}</th>" for name in names) + "</tr>")
    from nanolm.grading.classroom.run import file_name
    for r in results:
        cells = "".join(f"<td class='n {colour(r['exercises'][name])}'>{score(r['exercises'][name])}</td>" for name in names)
        parts.append(f"<tr><td><a href='feedback/{esc(file_name(r['student']))}.html'>{esc(r['student'])}</a></td>"
                     f"<td class=n>{r['score']:.2f}</td>{cells}</tr>")
    parts.append("</table></div>")
    if unreadable:
        parts.append("<h2>What could not be read, and what was refused</h2><ul>" + "".join(
            f"<li><b>{esc(who)}</b>: {esc(what)}</li>" for who, what in unreadable) + "</ul>")
    locks = sorted({lock for r in results for lock in r.get("locks", [])})
    parts.append(f"<p>Each submission ran in a process of its own, behind these locks: {esc(', '.join(locks) or 'none')}.</p>")
    return "\n".join(parts)


def mistakes(results):
    """Return {(exercise, mistake): (how many students, what it is)}, most frequent first."""
    texts = {}
    for result in results:
        for name, report in result["exercises"].items():
            own = {m["name"] if m.get("found_by") in NAMED else common(m): common(m) for m in report["mistakes"]
                   if m["name"] != "not_written"}
            for mistake, text in own.items():
                texts.setdefault((name, mistake), []).append(text)
    return {key: (len(texts[key]), shared(texts[key])) for key in sorted(texts, key=lambda key: -len(texts[key]))}


def common(mistake):
    """Return what a mistake is without what is one student's own: the value that came, the line, the arguments it was seen with.

    An error is its class: a MemoryError and a PermissionError are two mistakes.
    """
    text = mistake["sentence"]
    if mistake.get("found_by") in NAMED:
        return text
    if mistake["name"] == "raises":
        error = re.match(r"It raised (\w+)|.*\((RecursionError)", text)
        return f"It raises {error.group(1) or error.group(2)}." if error else text
    if mistake["name"] == "changes_arguments":
        return "It writes to its arguments."
    for pattern, words in OWN:
        text = re.sub(pattern, words, text, flags=re.S)
    return text if text.endswith((".", "?")) else text + "."


def shared(texts):
    """Return the sentence of several students; a word that is not the same in all, the constant of a variant, becomes "..."."""
    words = [text.split(" ") for text in dict.fromkeys(texts)]
    if len({len(one) for one in words}) > 1:
        return texts[0]
    return " ".join(several[0] if len(set(several)) == 1 else "..." for several in zip(*words))


def sentences(results, names):
    """Return what a teacher wants to know first, in sentences: "14 of 40 dropped the variance term"."""
    n = len(results)
    passed = {name: sum(r["exercises"][name]["passed"] for r in results) for name in names}
    full = sum(all(r["exercises"][name]["passed"] for name in names) for r in results)
    written = {name: sum(r["exercises"][name]["written"] for r in results) for name in names}
    hardest = min(filter(written.get, names), key=lambda name: (passed[name] / written[name], -written[name]), default=None)
    lines = [f"{full} of {n} passed everything."]
    if hardest is not None:
        lines.append(f"The hardest was {hardest}: {passed[hardest]} of {written[hardest]} who wrote it passed.")
    for (exercise, _), (count, text) in list(mistakes(results).items())[:3]:
        lines.append(f"{count} of {n} in {exercise}: {text.partition('. ')[0].rstrip('.')}.")
    return [esc(line) for line in lines]


def picture(results, names):
    """Return the bar chart of the exercises, as an <img>: passed, tried, not written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    figure = Figure(figsize=(8, 0.8 + 0.32 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    left = [0] * len(names)
    for word, colour, pattern in (("passed", "#3a7d44", ""), ("not right yet", "#d98c5f", "//"),
                                  ("not written", "#cfcfcf", "..")):
        width = [sum(verdict(r["exercises"][name]) == word for r in results) for name in names]
        axes.barh(range(len(names)), width, left=left, color=colour, hatch=pattern, edgecolor="white", label=word)
        left = [a + b for a, b in zip(left, width)]
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("students")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f"<p><img alt='how many students passed each exercise' src='data:image/png;base64,{data}'></p>"


def esc(text):
    return html.escape(str(text), quote=True)
