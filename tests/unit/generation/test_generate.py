"""The pure parts of generation: seeds, order, text, shards."""

import os
import random
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from polaris.generation import replicas, vllm_engine, vllm_nodes
from polaris.generation.answering import Decoder, Shards
from polaris.generation.generate import metrics, plan
from polaris.generation.seeds import response_seed
from polaris.generation.settings import Generate
from polaris.generation.vllm_engine import Completion
from polaris.models.prompts import user_message
from polaris.stage.errors import UserError
from tests.helpers.engine_process import forked_engines
from tests.helpers.tables import ENGINE

SETTINGS = Generate.model_validate(
    {
        "k": {"a": 2, "b": 1},
        "instruction": "",
        "sampling": {"temperature": 1.0, "top_p": 1.0, "top_k": -1, "max_tokens": 8, "seed": 7},
        "engine": ENGINE,
    }
)


def test_a_responses_seed_depends_on_nothing_else():
    # Written down (sha256sum of `[7, "aime24", "0", 0]`): another value would change every stored generation.
    assert response_seed(7, "aime24", "0", 0) == 9143874261788489053
    names = [("a", "b1", 0), ("ab", "1", 0), ("a", "b", 10), ("a", "b", 1), ("a", "b1", 1)]
    seeds = {response_seed(seed, *name) for seed in (0, 1) for name in names}
    assert len(seeds) == 10 and all(0 <= seed < 2**63 for seed in seeds)


def test_order_is_sets_problems_samples():
    wanted = plan({"a": {"y": {}, "x": {}}, "b": {"z": {}}}, SETTINGS)
    order = [(w["set"], w["problem_id"], w["sample"], w["prompt"]) for w in wanted]
    assert order == [("a", "y", 0, 0), ("a", "y", 1, 0), ("a", "x", 0, 1), ("a", "x", 1, 1), ("b", "z", 0, 2)]
    assert wanted[1]["seed"] == response_seed(7, "a", "y", 1)


def test_the_instruction_follows_after_one_space():
    assert user_message("P.", "Think.") == "P. Think."
    assert user_message("P.", " Think.") == "P. Think."
    assert user_message("P.", "\n\nThink.") == "P.\n\nThink."
    assert user_message("P.", "") == "P."


@pytest.mark.parametrize("think_is_special", [False, True])
def test_think_tags_stay_and_the_end_of_turn_goes(think_is_special):
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    if think_is_special:
        tokenizer.add_special_tokens({"additional_special_tokens": ["<think>", "</think>"]})
    else:
        tokenizer.add_tokens(["<think>", "</think>"])
    decoder = Decoder(tokenizer)
    said = "<think>\n\\underline{3}</think> So \\boxed{3} ,  é."
    ids = tokenizer.encode(said + "<|im_end|>", add_special_tokens=False)
    assert decoder.text(Completion(0, ids, "stop")) == said
    assert decoder.text(Completion(0, ids[:-1], "length")) == said
    assert decoder.text(Completion(0, ids[-1:], "stop")) == ""
    # A token that ends a turn without being special goes as well.
    assert decoder.text(Completion(0, ids[:-1], "stop")) == said[:-1]


def test_shards_come_back_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("polaris.generation.answering.SHARD_RESPONSES", 2)
    rows = [{"key": i, "response": "x" * i, "tokens": i, "finish_reason": "stop"} for i in (4, 0, 3)]
    shards = Shards(tmp_path)
    for row in rows:
        shards.add(row)
    assert len(list(tmp_path.glob("*.parquet"))) == 1, "the third waits for a shard to fill"
    assert Shards(tmp_path).rows == {4: rows[0], 0: rows[1]}
    shards.flush()
    (tmp_path / "shard-000009.parquet.partial").write_text("killed while it was written")
    again = Shards(tmp_path)
    assert again.rows == {row["key"]: row for row in rows}
    again.add(rows[0] | {"key": 9})
    again.flush()
    assert set(Shards(tmp_path).rows) == {0, 3, 4, 9}


@pytest.mark.parametrize("damage", ["cut", "zeroed"])
def test_a_damaged_shard_is_set_aside_and_the_others_stay(tmp_path, capsys, damage):
    """Cut in the middle of its row group, or whole in length with a hole in it: its responses are asked for again."""
    texts = ["".join(random.Random(i).choices("abcdefgh ", k=2000)) for i in range(4)]
    rows = [{"key": i, "response": text, "tokens": 9, "finish_reason": "stop"} for i, text in enumerate(texts)]
    shards = Shards(tmp_path)
    for pair in (rows[:2], rows[2:]):
        for row in pair:
            shards.add(row)
        shards.flush()
    path = tmp_path / "shard-0-000000.parquet"
    whole = path.read_bytes()
    half = len(whole) // 2
    path.write_bytes(whole[:half] if damage == "cut" else whole[:4] + bytes(half) + whole[half + 4 :])
    again = Shards(tmp_path)
    assert again.rows == {2: rows[2], 3: rows[3]} and again.tokens == 18
    said = capsys.readouterr().err
    assert "this is not a readable parquet file" in said and "its responses are generated again" in said
    again.add(rows[0])
    again.flush()
    assert set(Shards(tmp_path).rows) == {0, 2, 3} and (tmp_path / f"unreadable-{path.name}").exists()


@pytest.mark.parametrize(("missing", "engines"), [(0, 1), (1, 4), (7, 2), (2500, 3), (2500, 16)])
def test_every_missing_response_has_one_engine(tmp_path, missing, engines):
    """Whatever the number of nodes and engines, and also where an engine has nothing to do."""
    rows = {"key": range(missing), "prompt": [[1] * (key % 5 + 1) for key in range(missing)], "seed": [2**62] * missing}
    types = {"key": pa.int64(), "prompt": pa.list_(pa.int64()), "seed": pa.int64()}
    todo = tmp_path / "todo.parquet"
    pq.write_table(pa.table({name: pa.array(list(rows[name]), types[name]) for name in rows}), todo)
    shares = [list(replicas.share(todo, number, engines)) for number in range(engines)]
    assert sorted(request.key for mine in shares for request in mine) == list(range(missing))
    assert all(len(one.prompt) == one.key % 5 + 1 and one.seed == 2**62 for mine in shares for one in mine)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize(
    ("engines", "tensor", "pipeline", "visible", "expected"),
    [
        (2, 1, 1, None, ["0", "1"]),
        (2, 2, 1, "4,5,6,7", ["4,5", "6,7"]),
        (1, 8, 1, None, ["0,1,2,3,4,5,6,7"]),
        (2, 2, 2, None, ["0,1,2,3", "4,5,6,7"]),
    ],
)
def test_each_engine_of_a_node_has_its_gpus(monkeypatch, engines, tensor, pipeline, visible, expected):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    width = {"device": "cuda", "replicas": engines, "tensor_parallel_size": tensor, "pipeline_parallel_size": pipeline}
    engine = SETTINGS.engine.model_copy(update=width)
    given = replicas.environments(engine)
    assert [one["CUDA_VISIBLE_DEVICES"] for one in given] == expected
    assert all(int(one["OMP_NUM_THREADS"]) * engines <= max(engines, len(os.sched_getaffinity(0))) for one in given)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")  # what somebody has set holds
    assert {one["OMP_NUM_THREADS"] for one in replicas.environments(engine)} == {"3"}


def test_an_engine_of_several_nodes_has_its_part_of_the_gpus_on_each(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    wide = {"device": "cuda", "tensor_parallel_size": 8, "pipeline_parallel_size": 2, "nodes": 2}
    engine = SETTINGS.engine.model_copy(update=wide)
    assert [one["CUDA_VISIBLE_DEVICES"] for one in replicas.environments(engine)] == ["0,1,2,3,4,5,6,7"]
    assert engine.gpus_per_node == 8 and [replicas.engines_of(engine, nodes) for nodes in (2, 8)] == [1, 4]
    assert replicas.engines_of(engine.model_copy(update={"nodes": 1, "replicas": 3}), 2) == 6
    for nodes in (1, 3):
        with pytest.raises(UserError, match=f"an engine takes 2 nodes, but this job has {nodes}; reserve a multiple"):
            replicas.engines_of(engine, nodes)


def test_the_nodes_of_an_engine_meet_in_the_folder(tmp_path, monkeypatch):
    """Each launch for itself: what an earlier try has left behind says nothing."""
    first, other = (vllm_nodes.Meeting(tmp_path, "now", 3) for _ in range(2))
    old = vllm_nodes.Meeting(tmp_path, "before", 3)
    old.place(2, 0), old.end()
    threading.Timer(0.2, first.place, (2, 0)).start()
    place = other.place(2, 1)
    assert (place.rank, place.nodes) == (1, 2) and place.address and 1024 < place.port < 65536
    assert place.arguments()["node_rank"] == 1 and place.arguments()["nnodes"] == 2
    assert not other.ended()
    first.end()
    assert other.ended() and other.await_end() is None


def test_a_node_whose_engine_does_not_start_or_end_is_told(tmp_path, monkeypatch):
    for name in ("LOOK", "START", "ARRIVAL"):
        monkeypatch.setattr(vllm_nodes, name, 0.05)
    alone = vllm_nodes.Meeting(tmp_path, "now", 0)
    with pytest.raises(UserError, match=r"the first node of this engine has written no address \(.*engine-0-now\.json"):
        alone.place(2, 1)
    with pytest.raises(UserError, match="workers on this node have ended before the engine's first node was done"):
        alone.await_end()


def test_engines_without_a_gpu_are_refused_and_on_a_cpu_a_card_is_left_alone(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    engine = SETTINGS.engine.model_copy(update={"device": "cuda", "replicas": 2, "tensor_parallel_size": 2})
    with pytest.raises(
        UserError, match=r"2 replicas with 2 GPUs each on a node, but this one has 3 \(CUDA_VISIBLE_DEVICES=4,5,6\)"
    ):
        replicas.environments(engine)
    given = replicas.environments(engine.model_copy(update={"device": "cpu"}))
    assert [one["CUDA_VISIBLE_DEVICES"] for one in given] == ["", ""]


def test_shards_that_come_late_are_waited_for_and_lost_ones_told(tmp_path, monkeypatch):
    """As another node's files on NFS: not there at the first look."""
    monkeypatch.setattr(replicas, "LOOK", 0.05)
    row = {"key": 0, "response": "x", "tokens": 1, "finish_reason": "stop"}
    here, late = Shards(tmp_path), Shards(tmp_path, writer=5, others=False)
    late.add(row)
    threading.Timer(0.2, late.flush).start()
    replicas.await_shards(here, {0})
    assert here.rows == {0: row}
    monkeypatch.setattr(replicas, "ARRIVAL", 0.2)
    with pytest.raises(UserError, match="1 of 2 responses are in no shard .* same file system"):
        replicas.await_shards(here, {0, 1})


SRUN = """#!/bin/sh
while [ "$1" != "--cpu-bind=none" ]; do shift; done; shift
for rank in 0 1; do SLURM_PROCID=$rank SLURMD_NODENAME=n$rank sh -c 'exec "$@"' sh "$@" & done
wait %1 && wait %2 || { echo "srun: error: n1: task 1: Exited with exit code 1"; exit 1; }
"""


@pytest.mark.slow
def test_the_node_that_failed_is_named_with_its_engines_log(tmp_path, monkeypatch):
    """No model in the folder: every engine fails, and what its log ends with is told once, with the node's name."""
    srun = tmp_path / "bin/srun"
    srun.parent.mkdir()
    srun.write_text(SRUN)
    srun.chmod(0o755)
    monkeypatch.setenv("PATH", f"{srun.parent}:/usr/bin:/bin")
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    log = tmp_path / "vllm.log"
    log.with_name("nodes.log").write_text("error: node n7: of an earlier try\n")
    todo = [vllm_engine.Request(0, [1], 2)]
    words = r"(?s)^node n[01]: .*polaris\.generation\.replicas .* [01]: exited with status 1; .*vllm-[01]"
    with forked_engines(), pytest.raises(UserError, match=words) as told:
        replicas.side_by_side(
            todo, tmp_path / "none", SETTINGS.engine, SETTINGS.sampling, Shards(tmp_path), log, lambda: None, 2
        )
    assert "n7" not in str(told.value) and str(tmp_path / "none") in str(told.value)


def test_metrics_count_empty_and_cut_responses():
    rows = [{"set": "a", "tokens": 1, "finish_reason": "stop"}, {"set": "a", "tokens": 4, "finish_reason": "length"}]
    assert metrics(rows) == {"a": {"responses": 2, "mean_tokens": 2.5, "truncated": 0.5}}
