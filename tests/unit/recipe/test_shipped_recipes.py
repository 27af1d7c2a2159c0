"""Every recipe that is shipped is valid; a control differs from its arm in what it controls, and in nothing else."""

import pytest

from polaris.recipe import recipe
from tests.helpers.recipes import LAPTOP, ROOT

RELEASED = ("polaris_v2_audit", "polaris_v1_audit_small", "polaris_v2_from_sft", "polaris_v2_generalist")
OPD = "polaris_v2_opd"
SHIPPED = ("polaris_v2", "polaris_v1_4b", "polaris_v1_7b", "one_gpu", "one_gpu_80gb", "one_node", OPD, *RELEASED)
FULL = [[ROOT / f"configs/{name}.yaml"] for name in SHIPPED]
STUDY = [LAPTOP, ROOT / "configs/laptop_study.yaml"]
TWO_NODES = [LAPTOP, ROOT / "configs/laptop_two_nodes.yaml"]
ONE_GPU = [LAPTOP, ROOT / "configs/laptop_gpu.yaml"]
SPARSE = [ROOT / "configs/laptop_sparse.yaml"]
REAL = [[ROOT / "configs/smollm2.yaml", *(ROOT / f"configs/smollm2_{name}.yaml" for name in over)]
        for over in ([], ["small"], ["study"])]  # fmt: skip
QUESTIONS = [ROOT / "configs/smollm2_questions.yaml"]
TOURNAMENT = [ROOT / "configs/laptop_tournament.yaml"]
SEVERAL = [[ROOT / f"configs/{name}.yaml"] for name in ("laptop_digits", "laptop_two_specialists")]
LAPTOPS = [*SEVERAL, [LAPTOP], [LAPTOP, ROOT / "configs/test.yaml"], STUDY, SPARSE, TWO_NODES, ONE_GPU, TOURNAMENT]
RECIPES = [*LAPTOPS, *REAL, QUESTIONS, *FULL]


@pytest.mark.parametrize("name", ["polaris_v1_4b", "polaris_v1_7b"])
def test_v1_grows_length_and_temperature_from_stage_to_stage(name):
    lengths = {"polaris_v1_4b": [39936, 48128, 52224], "polaris_v1_7b": [15360, 23552, 31744]}[name]
    temperatures = {"polaris_v1_4b": [1.4, 1.45, 1.5], "polaris_v1_7b": [0.7, 1.0, 1.1]}[name]
    v1 = recipe.load([ROOT / f"configs/{name}.yaml"])
    stages = list(v1.small_rl.rl.values())
    assert [stage.max_response_length for stage in stages] == lengths
    assert [stage.temperature for stage in stages] == temperatures
    assert [stage.start for stage in stages] == ["base_small", "stage1", "stage2"]
    assert [stage.drop_easy and stage.drop_easy.log for stage in stages] == [None, "stage1", "stage2"]
    assert all(stage.rescue and stage.substitution and stage.prompts_per_step == 128 for stage in stages)
    # Each temperature is one that the search before the stage looks at, so that `{search: ...}` could choose it.
    for stage, search in zip(stages, v1.small_rl.temperature_search.values(), strict=True):
        assert stage.temperature in search.grid and search.model == stage.start


@pytest.mark.parametrize("files", RECIPES, ids=lambda files: files[-1].stem)
def test_every_shipped_recipe_is_valid(files):
    assert recipe.load(files).run == files[-1].stem


def test_every_recipe_file_is_covered():
    names = {path.name for files in RECIPES for path in files} | {
        "evaluation.yaml"
    }  # of which no run is: test_parts.py
    assert names == {path.name for path in (ROOT / "configs").glob("*.yaml")}


@pytest.mark.parametrize(
    ("files", "arm", "control", "differs"),
    [
        (STUDY, "core", "grpo", {"reward", "core"}),
        (STUDY, "core_filtered", "core_unfiltered", {"overlap"}),
        (STUDY, "core_filtered", "core_high", {"overlap.keep"}),
        (STUDY, "core_guarded", "core", {"core.guard"}),
        (STUDY, "core_unfiltered", "grpo_grpo", {"start", "reward", "core"}),
        (SPARSE, "core", "grpo", {"reward", "core"}),
        (SPARSE, "core_teacher", "core", {"core.consensus", "core.update"}),
        (SPARSE, "core_placebo", "core_teacher", {"core.consensus"}),
        (SPARSE, "rescued", "grpo", {"rescue"}),
        (SPARSE, "core_filtered", "core_high", {"overlap.keep"}),
    ],
)
def test_a_control_differs_in_what_it_controls_and_in_nothing_else(files, arm, control, differs):
    stages = recipe.load(files).small_rl.rl
    a, b = (stages[name].model_dump() for name in (arm, control))
    found = set()
    for key in a:
        if isinstance(a[key], dict) and isinstance(b[key], dict):
            found |= {f"{key}.{one}" for one in a[key] if a[key][one] != b[key][one]}
        elif a[key] != b[key]:
            found.add(key)
    assert found == differs


def test_the_roads_of_the_tournament_differ_in_what_they_are_called_after():
    opd = recipe.load(TOURNAMENT).opd
    changed = lambda name: {
        key: value for key, value in opd[name].model_dump().items() if value != opd["opd"].model_dump()[key]
    }
    assert changed("sft_opd") == {"student": "distilled"}
    assert changed("opd_opd") == {"student": "opd", "seed": 2}
    plain = opd["opd"].distillation.model_dump()
    assert changed("exopd") == {"teacher_base": "base_small", "distillation": plain | {"reward_scale": 1.25}}
    assert changed("delta") == {"teacher_base": "base_small", "distillation": plain | {"delta": True}}


def test_the_roads_of_the_tournament_see_the_same_prompts_and_make_as_many_responses():
    mine = recipe.load(TOURNAMENT)
    prompts, traces = mine.inputs.problems["distill"].count, mine.large_sft.traces.k
    assert traces == {"distill": 2}
    for stage in mine.opd.values():
        assert (stage.prompts, stage.steps * stage.prompts_per_step, stage.group_size) == ("distill", prompts, 2)
        assert stage.teacher == mine.specialist
    (entry,) = mine.evaluate.extra_evaluations.values()
    assert (entry.shift.specialist, entry.shift.base) == (mine.specialist, mine.opd["delta"].teacher_base)


def test_the_study_adds_arms_and_changes_nothing_else():
    plain, study = recipe.load([LAPTOP]), recipe.load(STUDY)
    assert [study.small_rl.rl[name] for name in plain.small_rl.rl] == list(plain.small_rl.rl.values())
    assert study.large_sft.model_copy(update={"self_distillation": False}) == plain.large_sft
    changed = {"run", "small_rl", "large_sft"}
    assert study.model_dump(exclude=changed) == plain.model_dump(exclude=changed)
    assert study.small_rl.model_dump(exclude={"rl"}) == plain.small_rl.model_dump(exclude={"rl"})
    assert set(plain.checkpoints.items()) < set(study.checkpoints.items())
