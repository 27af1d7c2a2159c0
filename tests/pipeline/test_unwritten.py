"""A merge that was never written is the written one, response by response, averaged while the engine loads."""

import json

import pytest

from polaris.models import make_model
from polaris.problems import make_problems
from polaris.stage import manifest, subprocesses
from polaris.stage.records import RESPONSES, read_rows
from tests.helpers.generation_run import MODEL, SETTINGS
from tests.helpers.merge_checkpoints import MERGING
from tests.helpers.stages import command
from tests.helpers.tables import run

pytest.importorskip("vllm")

MIXTURE = {"tiny": "qwen3_moe", "intermediate_size": 64, "experts": 4, "experts_per_token": 2}
SET = {"family": "chain", "pool": "train", "count": 8, "depth": [1, 2], "error_rate": 0.0, "seed": 5}


@pytest.fixture(scope="module", params=["mixture", "dense", "several"])
def stages(request, tmp_path_factory):
    """A base, a further trained model, their merge at 0.3 written and unwritten, and the responses of both; several:
    two further trained mixtures.
    """
    folder = tmp_path_factory.mktemp(request.param)
    kind = {} if request.param == "dense" else MIXTURE
    trained = {"distilled": 30, "second": 20} if request.param == "several" else {"distilled": 30}
    for name, steps in ({"base": 2} | trained).items():
        settings = MODEL | kind | {"pretraining": MODEL["pretraining"] | {"steps": steps}}
        run(make_model.main, "--settings", json.dumps(settings), "--out", folder / name / "checkpoint.json")
    run(make_problems.main, "--settings", json.dumps(SET), "--out", folder / "chain/data.json")
    distilled = [folder / name / "checkpoint.json" for name in trained]
    shares = {"several": [0.2, 0.5, 0.3]} if request.param == "several" else {"alpha": 0.3}
    settings = SETTINGS | {"k": {"chain": 4}}
    for name, module in (("written", "merge.merge_models"), ("unwritten", "merge.unwritten")):
        out = folder / name / "checkpoint.json"
        base = folder / "base/checkpoint.json"
        merging = command(module, MERGING | shares, out, base=base, distilled=distilled)
        evaluation = {"model": out, "problems": folder / "chain/data.json"}
        answering = command("polaris.generation.generate", settings, folder / f"of_{name}/data.json", **evaluation)
        for words in (merging, answering):
            subprocesses.run(words, folder / f"{name}.log", {}, timeout=300)
    return folder


def test_every_response_is_the_same(stages):
    both = [read_rows(stages / f"of_{name}/responses.parquet", RESPONSES) for name in ("written", "unwritten")]
    assert len(both[0]) == 32 and both[0] == both[1]
    assert len({row["response"] for row in both[0]}) > 4


def test_nothing_was_written(stages):
    assert not list((stages / "unwritten").rglob("*.safetensors"))
    written = manifest.read(stages / "written/checkpoint.json")
    assert any(name.endswith(".safetensors") for name in written.files)
