"""Run the parts of a submission, and keep the functions that answer exercises.

    part = {"source": text, "file": "alice.py", "place": "alice.py", "whole": True, "marks": [[12, "layernorm.backward"]],
            "functions": ["backward"]}

whole: run everything (a .py file). Otherwise, in a notebook's cell, imports, definitions and assignments without a call
alone. Statements are run one by one: one that raises is noted and the next goes on, so a plot that fails does not cost the
functions below it. Behind each function that begins in a marked line its answer is kept, because a later function of the
same name would take its place. Line numbers stay those of the student's file.

Each file is a module of its own, which gets what it lacks from the .py files: they may hold helpers.

What stopped is told only if it matters. Of a notebook's cells, most of which are the lesson's, that is what an answer needs;
of a .py file it is three lines and how many more there were.

Tested    tests/grading/test_submissions.py.
"""
import __future__

import ast
import builtins
import dis
import time
import traceback
import types
from dataclasses import dataclass

from nanolm.grading import answers
from nanolm.grading.exercise import Call

LINES = 3                                           # of a .py file that are told


@dataclass
class Stop:
    """A statement that raised, or one of a notebook that was not run."""
    sentence: str
    names: set                                      # what it would have defined
    whole: bool                                     # it stands in a .py file
    answer: bool = False                            # it is a function that answers an exercise
    needs: set = frozenset()                        # the names in it, of an answer


def load(parts, seconds, scripts=True):
    """Run a submission's files; return {exercise: function} and sentences on what stopped and matters.

    scripts: run also the .py files that answer nothing; False: these only if an answer lacks a name, which they may define.

    A file that exits or does not end is left at that place; the next file goes on, with the time that is left, one second at
    least.
    """
    end, kept, modules, ended = time.monotonic() + seconds, {}, {}, {}
    own = {file: [part for part in parts if part["file"] == file] for file in dict.fromkeys(part["file"] for part in parts)}
    helpers = [file for file, (first, *_) in own.items() if first["whole"] and not first["functions"] and not scripts]

    def play(file):
        space, stopped, found = {"__name__": "submission"}, [], {}
        modules[file] = space, stopped, found
        answer = answers.ask(lambda: run(own[file], space, stopped, found), Call(()), (), max(1.0, end - time.monotonic()))
        if answer.trouble:
            ended[file] = f"{file}: {answer.sentence} What comes after that was not run."
        kept.update(found)

    for file in own:
        if file not in helpers:
            play(file)
    share(modules, own)
    if any(lacking(*module) for module in modules.values()):
        for file in helpers:
            play(file)
        share(modules, own)
    said = [sentence for file, module in modules.items() for sentence in [*told(file, *module), ended.get(file)] if sentence]
    return {name: function for name, function in kept.items() if callable(function)}, said


def run(parts, space, stopped, kept=None):
    """Run the parts one after the other in the module `space`; return {exercise: function}.

    stopped: a list that takes a Stop for each statement that raised or was passed over. What is no Exception (SystemExit, a
    time limit) is not caught: it ends the run, and `kept`, a dict, holds what was kept until then.
    """
    kept = {} if kept is None else kept
    for part in parts:
        marks, flags = dict(map(tuple, part["marks"])), 0
        for node in ast.parse(part["source"]).body:
            if not part["whole"] and not plain(node):
                stopped.append(Stop(f"{part['place']}, line {node.lineno}: this line was not run: of a notebook only imports, "
                                    f"definitions and assignments that call nothing are.", defined(node), False))
                continue
            answer = isinstance(node, ast.FunctionDef) and node.lineno in marks
            try:
                code = compile(ast.Module([node], []), part["place"], "exec", flags, dont_inherit=True)
                flags |= code.co_flags & __future__.annotations.compiler_flag       # it holds for the whole file
                exec(code, space)
            except Exception as error:
                needs = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)} if answer else frozenset()
                stopped.append(Stop(sentence(error, node, part["place"]), defined(node), part["whole"], answer, needs))
                continue
            if answer:
                kept[marks[node.lineno]] = space[node.name]
    return {name: function for name, function in kept.items() if callable(function)}


def sentence(error, node, place):
    """Return what a statement raised, with the line of the student's file at which it stopped."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__, limit=3) if frame.filename == place]
    try:
        text = " ".join(str(error).split())[:200]
    except Exception:                               # a __str__ of its own that fails
        text = "(its text cannot be shown)"
    words = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return f"{place}, line {(lines or [node.lineno])[0]}: {words}: this line stopped."


def plain(node):
    """Return whether a statement of a cell is an import, a definition, or an assignment that calls nothing."""
    if isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)):
        return True
    return isinstance(node, (ast.Assign, ast.AnnAssign)) and not any(isinstance(part, (ast.Call, ast.Await))
                                                                     for part in ast.walk(node))


def defined(node):
    """Return the names that a statement defines; "*" for all of a module."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {one.asname or one.name.partition(".")[0] for one in node.names}
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}


def share(modules, own):
    """Give each file the names of the .py files that it lacks, but those of answers: helpers may be in a file of their own."""
    common = {}
    for file, (space, *_) in modules.items():
        if own[file][0]["whole"]:
            common.update({name: value for name, value in space.items() if name not in own[file][0]["functions"]
                           and not name.startswith("__") and not hasattr(builtins, name)})
    for space, *_ in modules.values():
        for name, value in common.items():
            space.setdefault(name, value)


def lacking(space, stopped, found):
    """Return the names that the answers of a file need and that are not there: an answer will raise NameError for them."""
    names, seen, waiting = set(), set(), list(found.values())
    while waiting:
        function = waiting.pop()
        if type(function) is not types.FunctionType or id(function) in seen:
            continue
        seen.add(id(function))
        waiting.append(function.__dict__.get("__wrapped__"))
        needed = globals_of(function.__code__)
        waiting += [space[name] for name in needed if name in space]
        names |= needed
    names = names.union(*(one.needs for one in stopped))
    return {name for name in names if name not in space and not hasattr(builtins, name)}


def globals_of(code):
    """Return the global names that a function's code looks up, those of functions inside it too."""
    names = {one.argval for one in dis.get_instructions(code) if one.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return names.union(*(globals_of(one) for one in code.co_consts if isinstance(one, types.CodeType)))


def told(file, space, stopped, found):
    """Return the sentences on what stopped in a file: what an answer needs, and of a .py file one on all else."""
    missing = lacking(space, stopped, found)
    matter = [one for one in stopped if one.answer or one.names & missing or "*" in one.names and missing]
    others = [one for one in stopped if one.whole and one not in matter and not (one.names and one.names <= space.keys())]
    more = len(others) - LINES
    return [one.sentence for one in matter + others[:LINES]] + (
        [f"{file}: {more} more line{'s' * (more > 1)} stopped."] if more > 0 else [])
