"""Run the parts of a submission, and keep the functions that answer exercises.

    part = {"source": text, "file": "alice.py", "place": "alice.py", "whole": True, "marks": [[12, "layernorm.backward"]]}

whole: run everything (a .py file). Otherwise, in a notebook's cell, imports, definitions and assignments without a call
alone. Statements are run one by one: one that raises is noted and the next goes on, so a plot that fails does not cost the
functions below it. Behind each function that begins in a marked line its answer is kept, because a later function of the
same name would take its place. Line numbers stay those of the student's file.

Tested    tests/grading/test_submissions.py.
"""
import __future__

import ast
import traceback


def run(parts, space, stopped):
    """Run the parts one after the other in the module `space`; return {exercise: function}.

    stopped: a list that takes a sentence for each statement that raised. What is no Exception (SystemExit, a time limit) is
    not caught: it ends the run, and space["__answers__"] holds what was kept until then.
    """
    kept = space.setdefault("__answers__", {})
    for part in parts:
        marks, flags = dict(map(tuple, part["marks"])), 0
        tree = ast.parse(part["source"])
        for node in tree.body if part["whole"] else filter(plain, tree.body):
            try:
                code = compile(ast.Module([node], []), part["place"], "exec", flags, dont_inherit=True)
                flags |= code.co_flags & __future__.annotations.compiler_flag       # it holds for the whole file
                exec(code, space)
            except Exception as error:
                stopped.append(sentence(error, node, part["place"]))
                continue
            if isinstance(node, ast.FunctionDef) and node.lineno in marks:
                kept[marks[node.lineno]] = space[node.name]
    return {name: function for name, function in kept.items() if callable(function)}


def sentence(error, node, place):
    """Return what a statement raised, with the line of the student's file at which it stopped."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__, limit=3) if frame.filename == place]
    try:
        text = " ".join(str(error).split())[:200]
    except Exception:                               # a __str__ of its own that fails
        text = "(its text cannot be shown)"
    return f"{place}, line {(lines or [node.lineno])[0]}: {type(error).__name__}: {text}: this line stopped."


def plain(node):
    """Return whether a statement of a cell is an import, a definition, or an assignment that calls nothing."""
    if isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)):
        return True
    return isinstance(node, (ast.Assign, ast.AnnAssign)) and not any(isinstance(part, (ast.Call, ast.Await))
                                                                     for part in ast.walk(node))
