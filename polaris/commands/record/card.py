"""README.md of published results, and the paragraph about them on a model's card."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from polaris.commands.record.layout import FOLDER, RECORD
from polaris.evaluation import results
from polaris.evaluation.verdicts import AVERAGE
from polaris.report.markdown_text import escaped, table, with_interval


def verifiable(withheld: Sequence[str]) -> str:
    """What lies beside the numbers. withheld: sentences about sets whose questions must not be passed on"""
    text = (
        f"## Check it\n\n`{FOLDER}/` has every response with its verdict, `{RECORD}` every number and digest. "
        "`polaris verify FOLDER` grades the responses again and computes the numbers again, without a GPU. It cannot "
        "show that the model gave these responses.\n"
    )
    return text + "".join(f"\n- {escaped(sentence)}." for sentence in withheld) + ("\n" if withheld else "")


def results_card(report: Mapping[str, Any], models: Sequence[str], title: str, license_id: str) -> str:
    """README.md of a folder without weights: scores, differences and judgements of these models.

    report: results.json
    """
    own = {row["name"] for row in report["models"] if results.evaluated_model(row["name"]) in models} | {*models}
    shown = {name: name for name in report["benchmarks"]} | {AVERAGE: "mean"}
    scores = [
        [
            row["name"],
            shown[row["benchmark"]],
            str(row["n"]),
            str(row["k"] or ""),
            with_interval(row["avg"], row["interval"]),
        ]
        for row in report["models"]
        if row["name"] in own
    ]
    pairs = [
        [f"{row['a']} − {row['b']}", shown[row["benchmark"]]]
        + [with_interval(row["difference"], row["interval"], results.points), results.percent(row["detectable"])]
        for row in report["pairs"]
        if {row["a"], row["b"]} <= own
    ]
    judged = [
        [f"{row['a']} − {row['b']}", shown[row["benchmark"]], results.points(row["published"]), row["judgement"]]
        for row in report["published_differences"]
        if {row["a"], row["b"]} <= own
    ]
    head = (
        f"Evaluations of run {escaped(report['run'])}: avg@k in percent, differences in points, with "
        f"{100 * report['settings']['confidence']:g} % intervals over questions and responses."
    )
    parts = [f"---\nlicense: {json.dumps(license_id)}\n---", f"# {escaped(title)}", head]
    parts.append(table(["model", "benchmark", "questions", "k", "avg@k"], scores))
    if pairs:
        parts.append(table(["difference", "benchmark", "points", "minimum detectable effect"], pairs))
    if judged:
        parts.append(table(["difference", "benchmark", "published", "judgement"], judged))
    return "\n\n".join(parts) + "\n"
