"""The rules of CONTRIBUTING.md that a machine can check."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from polaris.stage import code

ROOT = Path(__file__).resolve().parents[1]
STAGE_PACKAGES = ("small_rl", "large_sft", "merge")
FILES = sorted(path for package in code.PACKAGES for path in (ROOT / package).rglob("*.py"))

# engine -> prefix of the only files that may import it
ENGINES = {"verl": "verl_", "ray": "verl_", "vllm": "vllm_", "megatron": "megatron_", "mergekit": "mergekit_"}
# verl's workers load a vLLM extension of ours, and the fetched text of a GPU's vLLM goes through the same engine.
ALSO = {("vllm", "verl_")}
HEAVY = ("torch", "transformers", "vllm", "verl", "ray", "megatron", "mergekit", "datasets")
# Nouns of the paper: pure, and importable where no engine is installed.
NOUNS = [
    "polaris.grading.answers", "polaris.grading.units", "polaris.evaluation.significance", "polaris.evaluation.passes", "polaris.evaluation.statistics", "polaris.evaluation.replicates", "polaris.evaluation.hardest", "polaris.evaluation.lengths", "polaris.evaluation.verdicts", "polaris.problems.tiny_problems", "polaris.problems.problem_text", "polaris.problems.suitability",
    "polaris.problems.duplicates", "polaris.problems.contamination", "small_rl.steps", "small_rl.core",
    "small_rl.overlap", "small_rl.difficulty", "polaris.grading.diversity", "small_rl.temperature", "small_rl.similarity",
    "small_rl.rescue", "small_rl.substitution", "small_rl.overlong", "small_rl.drop_easy", "small_rl.step_metrics", "small_rl.rl_step", "large_sft.packing", "large_sft.context", "large_sft.repetition", "merge.alpha", "merge.grid",
    "polaris.evaluation.claims", "polaris.planning.plan_model", "polaris.planning.plan_memory", "polaris.planning.plan_time",
]  # fmt: skip
PURE = {"dataclasses", "collections", "functools", "math", "re", "typing", "random", "itertools", "fractions", "decimal",
        "string", "bisect", "enum", "statistics", "operator", "heapq", "unicodedata", "hashlib", "numpy", "json"}  # fmt: skip


def imports(path: Path) -> set[str]:
    """Top-level names of everything that a file imports, our own modules in full."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_adapters_import_their_engine(path):
    tops = {name.split(".")[0] for name in imports(path)}
    for engine, prefix in ENGINES.items():
        if engine in tops and not path.name.startswith(prefix):
            assert any(e == engine and path.name.startswith(p) for e, p in ALSO), f"{path.name} imports {engine}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_packages_meet_in_files_only(path):
    package = path.relative_to(ROOT).parts[0]
    allowed = {package, "polaris"}
    if path.name == "cli.py":
        allowed.add("configs")  # the commands of people read the recipe; verbs read their section
    ours = {name.split(".")[0] for name in imports(path)} & {*code.PACKAGES, "configs"}
    assert ours <= allowed, f"{path.name} imports {ours - allowed}"


@pytest.mark.parametrize("module", NOUNS)
def test_nouns_are_pure(module):
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    for name in imports(path):
        top = name.split(".")[0]
        if top in code.PACKAGES:
            allowed = (
                *NOUNS,
                "polaris.stage.records",
                "polaris.stage.settings",
                "small_rl.rl_settings",
                "polaris.stage.errors",
            )
            known = name in code.PACKAGES or name.rsplit(".", 1)[0] in [*NOUNS, top]
            assert known or name.startswith(allowed), name
        else:
            assert top in PURE, f"{module} imports {name}"


def verbs() -> list[str]:
    """Modules that rules call with -m."""
    text = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    return sorted(set(re.findall(r"\b((?:polaris|small_rl|large_sft|merge)\.\w+)", text)) & {
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


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_stay_small(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 320
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno - node.lineno < 60, f"{path.name}: {node.name}"


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
