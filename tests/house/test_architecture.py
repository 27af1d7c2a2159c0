"""The rules of CONTRIBUTING.md that a machine can check."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from polaris.stage import code

ROOT = Path(__file__).resolve().parents[2]
STAGE_PACKAGES = ("small_rl", "large_sft", "merge")
FILES = sorted(path for package in code.PACKAGES for path in (ROOT / package).rglob("*.py"))

# engine -> prefix of the only files that may import it
ENGINES = {"verl": "verl_", "ray": "verl_", "vllm": "vllm_", "megatron": "megatron_", "mergekit": "mergekit_"}
# verl's workers load a vLLM extension of ours, and the fetched text of a GPU's vLLM goes through the same engine.
ALSO = {("vllm", "verl_")}
HEAVY = ("torch", "transformers", "vllm", "verl", "ray", "megatron", "mergekit", "datasets")
# Nouns of the paper, by room: pure, and importable where no engine is installed.
NOUNS = {
    "polaris.grading": "answers boxes compare diversity",
    "polaris.grading.reading": "brackets calls cleaning expressions items lists measures notation reader regions signs "
    "tokens units values",
    "polaris.grading.equality": "acceptance arithmetic exact realline sameness structure",
    "polaris.problems": "tiny_problems problem_text suitability choices duplicates contamination",
    "polaris.problems.english": "words stories questions",
    "polaris.models": "architecture",
    "polaris.evaluation": "significance pass_at_k statistics replicates hardest lengths verdicts claims",
    "polaris.hardware": "shapes memory gpus",
    "polaris.planning": "plan_time",
    "small_rl.reward": "results intermediate core rescue substitution overlong step_metrics rl_step",
    "small_rl.data": "overlap difficulty drop_easy",
    "small_rl.studies": "temperature similarity",
    "large_sft.model": "context",
    "large_sft.traces": "packing repetition",
    "merge": "alpha grid",
}
PURE_MODULES = {f"{room}.{name}" for room, names in NOUNS.items() for name in names.split()}
# Beside other nouns: what they refuse is a UserError, what they are asked is a section of the recipe.
WORDS = ("polaris.stage.errors", "polaris.generation.settings", "small_rl.rl_settings")
PURE = {"dataclasses", "collections", "functools", "math", "re", "typing", "random", "itertools", "fractions",
        "decimal",
        "string", "bisect", "enum", "statistics", "operator", "heapq", "unicodedata", "hashlib", "numpy",
        "json"}  # fmt: skip


def imports(text: str) -> set[str]:
    """The modules that a file imports, also inside functions: ours in full, of others as they are named."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {name for name in inner if ROOT.joinpath(*name.split(".")).with_suffix(".py").is_file()}
            names |= modules or {node.module}
    return names


def impure(text: str) -> set[str]:
    """What a noun with this text imports and must not."""
    ours = {name for name in imports(text) if name.split(".")[0] in code.PACKAGES}
    return (ours - PURE_MODULES - set(WORDS)) | {n for n in imports(text) - ours if n.split(".")[0] not in PURE}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_adapters_import_their_engine(path):
    tops = {name.split(".")[0] for name in imports(path.read_text())}
    for engine, prefix in ENGINES.items():
        if engine in tops and not path.name.startswith(prefix):
            assert any(e == engine and path.name.startswith(p) for e, p in ALSO), f"{path.name} imports {engine}"


def lint(folder: Path) -> subprocess.CompletedProcess:
    """The contracts of pyproject.toml: rooms, stage packages, engines."""
    script = (
        "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True, no_logo=True))"
    )
    return subprocess.run([sys.executable, "-c", script], cwd=folder, check=False, capture_output=True, text=True)


def test_imports_keep_the_contracts():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_import_upwards_and_a_circle_break_them(tmp_path):
    for package in code.PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "polaris/stage/progress.py").open("a") as file:
        file.write("\n\ndef upwards():\n    from polaris.grading import answers\n")
    with (tmp_path / "large_sft/training/rank.py").open("a") as file:
        file.write("\n\ndef circle():\n    from large_sft.training import megatron_train\n")
    done = lint(tmp_path)
    assert done.returncode == 1 and "polaris.stage.progress -> polaris.grading.answers" in done.stdout, done.stdout
    assert "No cycles are allowed in large_sft.training" in done.stdout, done.stdout


def test_every_room_has_its_place_and_its_rule():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = {name.strip() for layer in contracts[0]["layers"] for name in layer.split("|")}
    rooms = {f"polaris.{path.parent.name}": path for path in (ROOT / "polaris").glob("*/__init__.py")}
    assert layers == {*rooms, *STAGE_PACKAGES}
    assert {path.name for path in (ROOT / "polaris").glob("*.py")} == {"__init__.py"}
    for path in rooms.values():
        (rule,) = ast.parse(path.read_text()).body
        assert isinstance(rule, ast.Expr) and len(path.read_text().splitlines()) == 1, path


@pytest.mark.parametrize("folder", sorted({path.parent for path in FILES}), ids=lambda p: str(p.relative_to(ROOT)))
def test_folders_stay_small(folder):
    assert len(list(folder.glob("*.py"))) <= 20


@pytest.mark.parametrize("module", sorted(PURE_MODULES))
def test_nouns_are_pure(module):
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    assert impure(path.read_text()) == set()


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("from polaris.stage import manifest", {"polaris.stage.manifest"}),
        ("from polaris.stage.records import read_rows", {"polaris.stage.records"}),
        ("from polaris.grading import answers", set()),
        ("from polaris.grading.answers import normal_form", set()),
        ("def f():\n    import time", {"time"}),
        ("from pathlib import Path", {"pathlib"}),
    ],
)
def test_an_impure_noun_is_seen(line, names):
    assert impure(line) == names


def verbs() -> list[str]:
    """Modules that rules call with -m."""
    text = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    return sorted(set(re.findall(r"\b(?:polaris|small_rl|large_sft|merge)(?:\.\w+)+", text)) & {
        ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in FILES
        if "def main()" in path.read_text()
    })  # fmt: skip


def test_verbs_start_without_engines():
    modules = verbs()
    assert len(modules) >= 12, modules
    script = "import sys\n" + "".join(f"import {module}\n" for module in modules)
    script += f"print([name for name in {HEAVY!r} if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert out.stdout.strip() == "[]"


def test_no_dangerous_calls():
    """No eval or exec of text, no pickled weights, no code from model repositories."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                assert name not in ("eval", "exec", "parse_expr", "sympify", "pickle.load", "pickle.loads"), path
                for keyword in node.keywords:
                    if keyword.arg == "trust_remote_code":
                        assert isinstance(keyword.value, ast.Constant) and keyword.value.value is False, path


def test_the_snakefile_is_a_table_of_contents():
    assert len((ROOT / "Snakefile").read_text().splitlines()) <= 40
