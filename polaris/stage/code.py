"""Which code a stage runs, as a digest: a stage is rebuilt when its own code changes, and not otherwise."""

import ast
import functools
import hashlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("polaris", "small_rl", "large_sft", "merge")


def module_name(name: str) -> str:
    """The name of a module of ours, for a process or an engine that loads it by name: it counts as imported here.

    Raises ModuleNotFoundError. The argument is written out, so that `digest` finds it in the syntax tree.
    """
    if _file(name) is None:
        raise ModuleNotFoundError(f"no module of ours is called {name}")
    return name


def _file(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


@functools.cache
def _parsed(text: str) -> tuple[list[tuple[int, str, list[str]]], str]:
    """What a module imports, also inside functions, or names by `module_name`: dots before the name, name, names from
    it. And its code without comments and docstrings.

    By its text, and once in a process: most files are in the closures of most verbs.
    """
    tree, imports = ast.parse(text), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == module_name.__name__:
            imports += [(0, argument.value, []) for argument in node.args if isinstance(argument, ast.Constant)]
        elif isinstance(node, ast.Import):
            imports += [(0, alias.name, []) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imports.append((node.level, node.module or "", [alias.name for alias in node.names]))
        elif isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and _documented(node):
            node.body = node.body[1:] or [ast.Pass()]
    return imports, ast.unparse(tree)


def _documented(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    first = node.body[0] if node.body else None
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)


def _imported(text: str, package: str) -> list[str]:
    """Names of modules that a module of this package imports, or names by `module_name`."""
    names = []
    for level, base, within in _parsed(text)[0]:
        if level:
            base = ".".join(package.split(".")[: len(package.split(".")) - level + 1] + [base]).rstrip(".")
        names += [base, *(f"{base}.{name}" for name in within)]
    return names


def closure(module: str) -> dict[str, Path]:
    """The module and every module of our packages that it imports, directly or not: name -> file."""
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        file, parent = _file(name), name.rpartition(".")[0]
        if name in found:
            continue
        if file is None:  # a name within a module, as in `polaris.stage.stage.run_verb`
            waiting += [parent] if parent else []
            continue
        found[name] = file
        names = _imported(file.read_text(), name if file.name == "__init__.py" else parent)
        waiting += [name for name in names if name.split(".")[0] in PACKAGES]
        waiting += [parent] if parent else []
    return dict(sorted(found.items()))


@functools.cache
def libraries(module: str) -> frozenset[str]:
    """Top-level names of what the verb's code imports from elsewhere: `torch`, `vllm`, `math_verify`."""
    names = {name.split(".")[0] for file in closure(module).values() for name in _imported(file.read_text(), "")}
    return frozenset(names) - set(PACKAGES) - {""}


@functools.cache
def digest(*modules: str) -> str:
    """16 hex digits over the syntax trees of the modules' import closure, and the templates beside them (`report.html`
    and its parts `report_*.html` of `report.py`).

    Comments, docstrings and formatting do not count, so that they never retrain a model. `ast.unparse` rather than
    `ast.dump`, whose form changes between Python versions.
    """
    files = {name: file for module in modules for name, file in closure(module).items()}
    if missing := [module for module in modules if module not in files]:
        raise ModuleNotFoundError(f"no module of ours is called {missing[0]}")
    state = hashlib.sha256()
    for name, file in sorted(files.items()):
        state.update(f"{name}\0{_parsed(file.read_text())[1]}\0".encode())
        for template in sorted([*file.parent.glob(f"{file.stem}.html"), *file.parent.glob(f"{file.stem}_*.html")]):
            state.update(template.read_bytes())
    return state.hexdigest()[:16]
