"""Who may import whom: layers -> models -> training, generation -> cli; and what `import nanolm` must not load."""
import ast
import subprocess
import sys
from pathlib import Path

import pytest

import nanolm

ROOT = Path(nanolm.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
MAY = {                                              # part of nanolm: the parts it may import besides itself
    "layers": set(),
    "models": {"layers", "params"},
    "params": set(), "files": set(), "threads": set(),
    "text": {"files"},
    "data": {"files", "text"},
    "gradcheck": {"layers", "models", "params", "kernels"},
    "generation": {"layers", "models", "params", "files", "threads", "text", "data", "kernels"},      # data: own_text, for search
    "training": {"layers", "models", "params", "files", "threads", "text", "data", "generation", "kernels"},  # trainer: samples
    "bench": {"kernels", "layers", "models", "params", "files", "threads", "generation", "training", "checkpoint", "text"},
    "checkpoint": {"models", "params", "files", "text"},
    "kernels": {"layers", "files", "threads", "training", "generation"},      # the modules that they have twins of
}


def imports(path, top_level_only=False):
    """Return [(module, names)] for every import in a file; inside functions too unless top_level_only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: write imports in full, from nanolm..., not with dots"
            found.append((node.module, tuple(alias.name for alias in node.names)))
    return found


def part(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def parts_imported(path):
    """Return the parts of nanolm that a file imports."""
    found = set()
    for module, names in imports(path):
        if module == "nanolm":
            found |= {n for n in names if not n.startswith("__")}
        elif module.startswith("nanolm."):
            found.add(module.split(".")[1])
    return found - {part(path)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path):
    name = part(path)
    if name in MAY:
        assert parts_imported(path) <= MAY[name], f"nanolm/{name} may not import these"
    if name != "cli":
        assert name == "__main__" or "cli" not in parts_imported(path)


@pytest.mark.parametrize("path", [f for f in FILES if part(f) == "layers"], ids=lambda path: path.name)
def test_layers_import_numpy_and_the_standard_library_alone(path):
    for module, _ in imports(path):
        top = module.split(".")[0]
        assert top in ("numpy", "nanolm") or top in sys.stdlib_module_names


def test_numba_is_imported_in_kernels_only():
    guilty = [str(f.relative_to(ROOT)) for f in FILES if part(f) != "kernels"
              if any(module.split(".")[0] == "numba" for module, _ in imports(f))]
    assert not guilty


def test_no_function_is_imported_out_of_a_layer():
    """Rule 3: layernorm.forward(...), never a name imported from it; else swap and the fast twins change nothing."""
    functions = {"forward", "backward"}
    guilty = [str(f.relative_to(ROOT)) for f in FILES for _, names in imports(f) if functions & set(names)]
    assert not guilty


def test_layers_are_called_through_their_modules():
    """f = layernorm.forward, kept and called later, would escape swap: the name must stand where it is called."""
    for path in (f for f in FILES if part(f) in ("layers", "models")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        kept = [ast.unparse(node) for node in ast.walk(tree)
                if isinstance(node, ast.Attribute) and node.attr in ("forward", "backward") and id(node) not in called]
        assert not kept, f"{path.name}: {kept}"


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT.parent, timeout=120)


def test_import_nanolm_is_light():
    heavy = ("numba", "matplotlib", "scipy", "torch", "IPython", "click", "tqdm", "safetensors")
    done = run(f"import sys, nanolm; print([m for m in {heavy} if m in sys.modules])")
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_layers_models_and_gradcheck_work_without_numba_and_matplotlib():
    done = run("import sys\n"
               "for name in ('numba', 'matplotlib'): sys.modules[name] = None        # importing it now fails\n"
               "from nanolm import gradcheck\n"
               "print(gradcheck.check_layer('layernorm').passed, gradcheck.check_layer('gpt2').passed)")
    assert done.stdout.strip() == "True True", done.stdout + done.stderr
