"""`.eval_results/*.yaml`: a model's scores as the hub reads them (huggingface.co/docs/hub/eval-results)."""

from collections.abc import Mapping
from typing import Any

import yaml

from polaris.commands.record.layout import HUB, Record
from polaris.evaluation.results import evaluated_model, percent, span
from polaris.evaluation.verdicts import AVERAGE


def hub_files(record: Record, repository: str | None) -> dict[str, str]:
    """Path -> text, a file for each evaluation on each data set of the hub. Other sets have no leaderboard there.

    repository: where the responses will lie; None: not known yet
    """
    texts = {}
    for row in record.scores:
        source = record.benchmarks[row["benchmark"]].source if row["benchmark"] != AVERAGE else {}
        if "hub" in source:
            name = row["name"].removeprefix(evaluated_model(row["name"])).replace("@", "_")
            entry = _entry(row, source, record.evaluations[row["name"]], repository)
            texts[f"{HUB}/{row['benchmark']}{name}.yaml"] = yaml.safe_dump([entry], sort_keys=False, width=100)
    return texts


def _entry(
    row: Mapping[str, Any], source: Mapping[str, Any], generate: Mapping[str, Any], repository: str | None
) -> dict[str, Any]:
    sampling = ", ".join(f"{key} {value}" for key, value in generate["sampling"].items() if key != "seed")
    entry: dict[str, Any] = {
        "dataset": {
            "id": source["hub"],
            "task_id": source.get("config") or "default",
            "revision": source.get("revision"),
        },
        "value": round(100 * row["avg"], 2),
        "notes": f"avg@{row['k']} {percent(row['avg'])} {span(row['interval'])}; {sampling}",
    }
    if repository:
        url = f"https://huggingface.co/{repository}"
        entry["source"] = {"url": url, "name": "Responses, verdicts and polaris verify"}
    return entry
