"""What the two training verbs decide before verl starts: examples, prompts, and errors that name the row."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from polaris.grading.settings import Grading
from polaris.models.tiny_tokenizer import build_tokenizer
from polaris.recipe import recipe
from polaris.stage.errors import UserError
from polaris.stage.records import CONSENSUS, MESSAGES, RESCUE_BUFFER, read_rows, write_rows
from polaris.stage.stage import Stage
from small_rl.reward.step_metrics import Trajectory, step_metrics
from small_rl.rl_settings import Core, RlTraining
from small_rl.rollouts import store, updates
from small_rl.training import train_rl, verl_ray_cluster
from small_rl.training.answer_tokens import tokenised
from small_rl.training.verl_config import RlFiles
from tests.helpers import tables

ROOT = Path(__file__).resolve().parents[4]
GRADING = Grading(**tables.GRADING)
PROBLEM = {"id": "p1", "problem": "a=6,b=a*4. Find (b).", "answers": ["4"], "source": "chain", "solution": None}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    build_tokenizer().save_pretrained(folder)
    return folder


def example(answer="<think>\n\\underline{b=6*4=4}\n</think>\n\n\\boxed{4}", role="assistant"):
    return {
        "problem_id": "p1",
        "messages": [{"role": "user", "content": "Find (b)."}, {"role": role, "content": answer}],
    }


def test_loss_on_the_answer_and_its_end(model):
    tokenizer = build_tokenizer()
    row = tokenised([example()], model, limit=200)[0]
    prompt, answer = row["input_ids"][: row["prompt_tokens"]], row["input_ids"][row["prompt_tokens"] :]
    assert tokenizer.decode(prompt) == "<|im_start|>user\nFind (b).<|im_end|>\n<|im_start|>assistant\n<think>\n"
    assert tokenizer.decode(answer) == "\\underline{b=6*4=4}\n</think>\n\n\\boxed{4}<|im_end|>"


def test_examples_that_do_not_fit_are_named(model):
    with pytest.raises(UserError, match="p1: prompt and answer have .* max_tokens is 20"):
        tokenised([example()], model, limit=20)
    with pytest.raises(UserError, match="p1: the answer does not continue"):
        tokenised([example(answer="4")], model, limit=200)
    with pytest.raises(UserError, match="p1: the answer does not continue"):
        tokenised([example(role="user")], model, limit=200)


def test_verl_prompts():
    row = train_rl.prompts({"p1": PROBLEM}, " Underline key results.")[0]
    assert row["prompt"] == [{"role": "user", "content": "a=6,b=a*4. Find (b). Underline key results."}]
    assert json.loads(row["reward_model"]["ground_truth"]) == ["4"]
    assert row["extra_info"]["index"] == "p1"


def test_long_prompts_are_named(model):
    rows = train_rl.prompts({"p1": PROBLEM}, "")
    train_rl.check_lengths(rows, model, limit=100)
    with pytest.raises(UserError, match="p1: its prompt has .* max_prompt_length is 5"):
        train_rl.check_lengths(rows, model, limit=5)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_problems_than_a_step_needs_are_refused(count):
    settings = SimpleNamespace(prompts_per_step=2, all_nodes=1)
    names = ["p1", "p2"]
    with pytest.raises(UserError, match=rf"data.parquet: {count} problems, but one step needs 2"):
        train_rl.check(settings, dict.fromkeys(names[:count], PROBLEM), Path("data.parquet"))
    train_rl.check(settings, dict.fromkeys(names, PROBLEM), Path("data.parquet"))


def test_a_teachers_buffer(tmp_path, model):
    """The first answer that fits, as the tokens that a rollout would have; of the stage's own problems."""
    tokenizer, answers, out = build_tokenizer(), tmp_path / "messages.parquet", tmp_path / "sink.parquet"
    long = example("<think>\n" + "\\underline{b=6*4=4}" * 9 + "\n</think>\n\n\\boxed{4}")
    short, later = example(), example("<think>\n</think>\n\n\\boxed{4}")
    write_rows(answers, [long, short, later, short | {"problem_id": "elsewhere"}], MESSAGES)
    assert train_rl.write_teacher_buffer(answers, {"p1": PROBLEM, "p2": PROBLEM}, model, 40, out) == 1
    (row,) = read_rows(out, RESCUE_BUFFER)
    assert (row["problem_id"], row["step"], row["weights"]) == ("p1", 0, 0)
    assert tokenizer.decode(row["tokens"]) == "\\underline{b=6*4=4}\n</think>\n\n\\boxed{4}<|im_end|>"
    with pytest.raises(UserError, match="none of 4 answers .* has at most 3 tokens; raise max_response_length"):
        train_rl.write_teacher_buffer(answers, {"p1": PROBLEM, "elsewhere": PROBLEM}, model, 3, out)


def test_start_sets(tmp_path):
    literal = {"cap": 0.5, "results": "intermediate", "scope": "response", "update": "online", "denominator": "current"}
    core = Core(**literal, min_support=2, key="string", guard="none", consensus="rl_data")
    consensus, out = tmp_path / "consensus.parquet", tmp_path / "out.parquet"
    rows = [{"problem_id": "p1", "step": step, "count": 3} for step in ("4", "b=6*4=4", "b=6*4+0")]
    write_rows(consensus, rows, CONSENSUS)
    train_rl.write_start_sets(core, GRADING, {"p1": PROBLEM}, consensus, out)
    assert read_rows(out, CONSENSUS) == rows[2:]
    with pytest.raises(UserError, match="no set of this stage's problems: other data, or too few solved"):
        train_rl.write_start_sets(core, GRADING, {"p2": PROBLEM}, consensus, out)
    train_rl.write_start_sets(core.model_copy(update={"key": "structure"}), GRADING, {"p1": PROBLEM}, consensus, out)
    assert [row["step"][:16] for row in read_rows(out, CONSENSUS)] == ["formula:Equation"]
    with pytest.raises(UserError, match="set core.key to `structure`"):
        train_rl.write_start_sets(core, GRADING, {"p1": PROBLEM}, out, tmp_path / "again.parquet")


def test_step_metrics():
    made = [("g1", True, "exact"), ("g1", False, "different"), ("g2", False, "timeout"), ("g2", False, "crashed")]
    trajectories = [
        Trajectory(group, "p", ok, reason, ("x",) * ok, tokens, tokens == 22)
        for (group, ok, reason), tokens in zip(made, (6, 8, 4, 22), strict=True)
    ]
    numbers = step_metrics(trajectories, [1.0, 0.3, 0.0, 0.0], [0.0] * 4)
    assert numbers["accuracy"] == 0.25 and numbers["reward"] == pytest.approx(0.325)
    assert numbers["process_reward"] == pytest.approx(0.1)
    assert numbers["zero_variance"] == 0.5 and numbers["grading_failures"] == 0.5 and numbers["timeouts"] == 0.25
    assert numbers["response_steps"] == 0.25 and numbers["truncated"] == 0.25
    assert numbers["response_tokens"] == 10 and numbers["response_tokens_max"] == 22
    paid = step_metrics(trajectories, [1.0, 0.3, 0.0, 0.0], [0.0, 0.0, 0.0, 0.4])
    assert paid["reward"] == pytest.approx(0.225) and paid["process_reward"] == pytest.approx(0.1)
    assert paid["zero_variance"] == 0.0 and paid["accuracy"] == 0.25


def laptop_grpo():
    """Values of the laptop recipe's GRPO stage, as the stage reads them."""
    stage = recipe.load([ROOT / "configs/laptop.yaml"]).small_rl.rl["grpo"]
    return stage.model_dump(exclude={"start", "drop_easy", "overlap"})


def test_an_evaluation_is_due_at_the_start_every_so_often_at_the_end_and_once(tmp_path):
    log = tmp_path / "validation.jsonl"
    log.write_text('{"step": 0}\n{"step": 4}\n')
    values = laptop_grpo()
    asked = RlTraining.model_validate(values | {"steps": 10, "validate": {"benchmark": "chain", "k": 2, "every": 4}})
    due = [step for step in range(11) if train_rl.evaluation_due(asked, log, step)]
    assert due == [8, 10]  # after a kill between a checkpoint and its evaluation
    log.write_text("")
    assert train_rl.evaluation_due(asked, log, 0) and not train_rl.evaluation_due(asked, log, 1)
    assert not train_rl.evaluation_due(RlTraining.model_validate(values), log, 0)


def test_the_temperature_of_a_search(tmp_path):
    """Its number, from the file that the search publishes; a stage of the command line must name it."""
    from polaris.stage import manifest

    settings = RlTraining.model_validate(laptop_grpo() | {"temperature": {"search": "first"}})
    with Stage(
        "small_rl.studies.search_temperature", GRADING, {}, tmp_path / "first" / "data.json", "by hand"
    ) as search:
        (search.partial / "temperature.json").write_text('{"temperature": 1.45}')
        search.publish()
    found = manifest.read(tmp_path / "first" / "data.json")
    assert train_rl.at_temperature(settings, found) == settings.model_copy(update={"temperature": 1.45})
    with pytest.raises(UserError, match="{search: first} needs --temperature"):
        train_rl.at_temperature(settings, None)
    number = settings.model_copy(update={"temperature": 0.7})
    assert train_rl.at_temperature(number, None) is number


@pytest.mark.parametrize("elsewhere", ["theirs", "ray-theirs"])
def test_ray_clears_up_after_a_kill_but_only_what_it_made(tmp_path, elsewhere):
    """Of a link that another put in its place, the link goes and the folder stays."""
    (tmp_path / elsewhere).mkdir()
    (tmp_path / "ray").symlink_to(tmp_path / elsewhere)
    with verl_ray_cluster.ray_folder(tmp_path) as first:
        assert (tmp_path / elsewhere).is_dir()
        killed = tmp_path / "killed"
        killed.mkdir()
        (killed / "ray").symlink_to(first)
        with verl_ray_cluster.ray_folder(killed):
            assert not first.exists()


def test_a_stage_that_lost_its_workers_to_a_full_memory_says_so():
    log = "the engine exited with status 1; read verl.log:\nRay killed 3 worker(s) based on the killing policy\n"
    assert str(verl_ray_cluster.explained(UserError(log))).startswith("the machine's memory ran out, and Ray ended")
    assert str(verl_ray_cluster.explained(UserError(log))).endswith(log)
    assert str(verl_ray_cluster.explained(UserError("stopped after its timeout"))) == "stopped after its timeout"


@pytest.mark.parametrize("kill", ["before the store", "before the line", "before the tracker", "before the digest"])
def test_after_a_kill_store_logs_and_checkpoint_are_of_one_step(tmp_path, kill):
    """Step 3 was killed at that moment: what is left of it goes, or the checkpoint has it and it stays."""
    log, checkpoints = tmp_path / "log", tmp_path / "checkpoints"
    folder = log / store.FOLDER
    files = RlFiles(*(tmp_path / "none",) * 2, checkpoints, *(log / f"{name}.jsonl" for name in "mav"), folder)
    moments = ["before the store", "before the line", "before the tracker", "before the digest"]
    for step in (1, 2, 3):
        reached = moments.index(kill) if step == 3 else len(moments)
        (checkpoints / f"global_step_{step}").mkdir(parents=True)
        folder.mkdir(parents=True, exist_ok=True)
        (store.step_file(folder, step) if reached > 0 else folder / "step_000003.partial").touch()
        if reached > 1:
            updates.append(folder, step, {"loss": 0.5})
            with files.metrics.open("a") as file:
                file.write(json.dumps({"step": step}) + "\n")
        if reached > 2:
            (checkpoints / "latest_checkpointed_iteration.txt").write_text(str(step))
        if reached > 3:
            updates.append(folder, step, {"weights": "a"})
    files.accuracy.write_text("".join(json.dumps({"step": step}) + "\n" for step in (1, 2, 3)))
    kept = 3 if kill == "before the digest" else 2
    settings = RlTraining.model_validate(laptop_grpo() | {"steps": kept})
    stage = SimpleNamespace(say=lambda text: None, name="stage", log=log)
    assert train_rl.run(stage, settings, files, tmp_path, "no engine is started") == kept
    assert store.stored_steps(folder) == list(range(1, kept + 1)) and not list(folder.glob("*.partial"))
    for path in (files.metrics, files.accuracy):
        assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == list(range(1, kept + 1))
    assert list(updates.read(folder)) == list(range(1, kept + 1))
    assert ("weights" in updates.read(folder)[kept]) == (kill != "before the digest")
