"""`polaris generate MODEL FILE...`: a model's responses to problem files, in a folder of their own."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from polaris.commands.alone.asked import Asked, named, source_of
from polaris.commands.alone.child import waited
from polaris.recipe import recipe_yaml
from polaris.recipe.layers import SHIPPED
from polaris.stage import manifest
from polaris.stage.errors import UserError
from polaris.stage.manifest import replace_file
from polaris.stage.records import RESPONSES, read_problems, read_rows
from polaris.stage.terminal import say


def main(model: Path, files: Sequence[Path], asked: Asked, output: Path) -> None:
    """Generate into `output`: the stages' folders, and responses.jsonl for people. The same command goes on.

    Raises UserError where a stage fails, which has said why.
    """
    sets = named(files)
    checkpoint = _stage("polaris.models.fetch_model", source_of(model), output / "model/checkpoint.json")
    problems = [
        _stage(
            "polaris.problems.fetch_problems",
            {"file": str(path), "gold": "some"},
            output / f"problems/{name}/data.json",
        )
        for name, path in sets.items()
    ]
    settings = {"k": dict.fromkeys(sets, asked.samples), **asked.generate([model])}
    settings["engine"] = {"device": asked.device} | _engine() | settings["engine"]
    del settings["engine"]["like"]
    words = ["--model", str(checkpoint), "--problems", *map(str, problems)]
    responses = _stage("polaris.generation.generate", settings, output / "responses/data.json", *words)
    path = output / "responses.jsonl"
    lines = [json.dumps(row, ensure_ascii=False) for row in rows(responses, problems)]
    replace_file(path, "".join(f"{line}\n" for line in lines))
    say(f"{path}: {len(lines)} responses")


def _engine() -> dict[str, Any]:
    """The engine of configs/evaluation.yaml."""
    return recipe_yaml.read_file(SHIPPED / "evaluation.yaml")["engines"]["evaluation"]


def rows(responses: Path, problems: Sequence[Path]) -> list[dict[str, Any]]:
    """The responses with their problems' texts and golds, as `polaris grade` and `polaris probe` read them."""
    sets = {
        one.stage: read_problems(one.file("problems.parquet")) for one in (manifest.read(path) for path in problems)
    }
    stored = read_rows(manifest.read(responses).file("responses.parquet"), RESPONSES)
    return [
        {
            "set": row["set"],
            "problem_id": row["problem_id"],
            "sample_id": row["sample"],
            "problem": sets[row["set"]][row["problem_id"]]["problem"],
            "gold": sets[row["set"]][row["problem_id"]]["answers"],
            **{name: row[name] for name in ("response", "tokens", "finish_reason")},
        }
        for row in stored
    ]


def _stage(module: str, settings: dict[str, Any], out: Path, *words: str) -> Path:
    """Run a verb, and return the manifest that it wrote."""
    command = [sys.executable, "-m", module, "--settings", json.dumps(settings), "--out", str(out), *words]
    if waited(command):
        raise UserError(f"{out.parent}: {module} did not finish; the same command goes on")
    return out
