"""Planned and measured jobs, hours, GPU hours and bytes of each stage."""

from collections.abc import Mapping, Sequence
from typing import Any

from polaris.report.settings import Plan

HOUR = 3600.0  # seconds


def planned_rows(plan: Plan | None, timings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """`planned` of results.json: a row for each planned stage; hours are wall time, of all its jobs together.

    timings: as `polaris.evaluation.lineage.timing_rows` gives them
    jobs, hours, gpu_hours, bytes: {"planned": ..., "measured": ...}; planned hours and GPU hours are [lowest, highest],
        null for work without a GPU, measured ones of the jobs that are finished, null where none is
    """
    rows = []
    for rule, stage in plan.stages.items() if plan else ():
        finished = [row for row in timings if row["stage"].split("/")[0] == rule]
        hours = sum(row["seconds"] for row in finished) / HOUR if finished else None
        measured = {
            "jobs": len(finished),
            "hours": hours,
            "gpu_hours": None if hours is None else hours * stage.gpus,
            "bytes": sum(row["bytes"] for row in finished) if finished else None,
        }
        planned = {
            "jobs": stage.jobs,
            "hours": list(stage.hours) if stage.gpus else None,
            "gpu_hours": [end * stage.gpus for end in stage.hours] if stage.gpus else None,
            "bytes": stage.bytes,
        }
        rows.append({"stage": rule} | {key: {"planned": planned[key], "measured": measured[key]} for key in planned})
    return rows
