"""The code digest: comments never retrain a model, code does, and only where it is imported."""

import shutil

import pytest

from polaris.stage import code


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A copy of our packages in which files may be changed."""
    for package in code.PACKAGES:
        shutil.copytree(code.ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code, "ROOT", tmp_path)
    code.digest.cache_clear()
    yield tmp_path
    code.digest.cache_clear()


def digest(module: str) -> str:
    code.digest.cache_clear()
    return code.digest(module)


def test_comments_docstrings_and_layout_do_not_count(tree):
    before = digest("merge.alpha")
    file = tree / "merge/alpha.py"
    text = file.read_text()
    file.write_text("# a comment\n\n" + text.replace("The merge formula", "The formula of the merge") + "\n\n\n")
    assert digest("merge.alpha") == before
    file.write_text(text.replace(":.6f", ":.5f"))
    assert digest("merge.alpha") != before


def test_a_change_counts_only_where_it_is_imported(tree):
    before = {module: digest(module) for module in ("merge.settings", "small_rl.settings")}
    with (tree / "merge/alpha.py").open("a") as file:
        file.write("\n\nEXTRA = 1\n")
    assert digest("merge.settings") != before["merge.settings"]
    assert digest("small_rl.settings") == before["small_rl.settings"]


def test_imports_inside_functions_count():
    assert "polaris.recipe.recipe" in code.closure("polaris.commands.cli")
    assert "polaris.commands.show" in code.closure("polaris.commands.cli") or "polaris.commands.pin" in code.closure(
        "polaris.commands.cli"
    )


def test_a_module_imported_from_its_room_counts_with_the_room():
    assert {"polaris", "polaris.stage", "polaris.stage.manifest"} <= set(code.closure("polaris.commands.regrade"))


def test_imports_and_module_name_count_and_no_other_text(tree):
    verb = tree / "polaris/charts/figure_page.py"
    before = set(code.closure("polaris.charts.figure_page"))
    verb.write_text(verb.read_text() + '\nOTHER = "polaris.grading.answers", f"polaris.grading.compare"\n')
    assert set(code.closure("polaris.charts.figure_page")) == before
    verb.write_text(verb.read_text() + '\nLOADED = module_name("polaris.grading.answers")\n')
    assert "polaris.grading.answers" in code.closure("polaris.charts.figure_page")


def test_a_name_of_no_module_is_refused_where_it_is_used():
    with pytest.raises(ModuleNotFoundError, match="no module of ours is called polaris.nothing"):
        code.module_name("polaris.nothing")


def test_processes_that_a_verb_starts_by_name_count():
    assert {"small_rl.training.verl_trainer", "small_rl.reward.core"} <= set(code.closure("small_rl.training.train_rl"))
    assert "polaris.grading.grading_worker" in code.closure("polaris.grading.grade")
    assert "large_sft.training.megatron_loop" in code.closure("large_sft.training.train_sft")


@pytest.mark.parametrize("module", ["small_rl.nothing", "polaris.generate"])
def test_an_unknown_module_is_told(module):
    with pytest.raises(ModuleNotFoundError, match=module):
        code.digest(module)


@pytest.mark.parametrize("name", ["report.html", "report_findings.html", "report_style.html"])
def test_a_template_beside_a_module_counts(tree, name):
    before = digest("polaris.report.report")
    with (tree / "polaris/report" / name).open("a") as file:
        file.write("<!-- more -->")
    assert digest("polaris.report.report") != before


def test_libraries_are_those_of_the_whole_closure():
    assert {"vllm", "torch", "pyarrow"} <= code.libraries("polaris.generation.generate")
    assert {"mpmath", "sympy"} <= code.libraries("polaris.grading.grade")
    assert {"verl", "ray"} <= code.libraries("small_rl.training.train_rl")
    assert "megatron" in code.libraries("large_sft.training.train_sft")
    assert not {"vllm", "verl", "megatron", "torch"} & code.libraries("polaris.grading.grade")


@pytest.mark.parametrize(
    ("module", "engine"),
    [
        ("large_sft.training.train_sft", "vllm"),
        ("large_sft.training.check_conversion", "vllm"),
        ("polaris.report.report", "verl"),
    ],
)
def test_a_message_that_names_another_stage_does_not_count_as_its_use(module, engine):
    assert engine not in code.libraries(module)
