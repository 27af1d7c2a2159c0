"""What a Snakemake profile reserves for the jobs of a rule."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from polaris.stage.errors import UserError

GPUS_PER_NODE = re.compile(r"--gpus-per-node=(\d+)")
GRES = re.compile(r"gpu:(?:\w+:)?(\d+)")


@dataclass(frozen=True)
class Reserved:
    """gpus: over all nodes; cpus: of one task, None where Slurm is not asked; seconds: of one job; memory: bytes per
    node;
    attempts: a job that timed out is tried again.
    """

    nodes: int
    gpus: int
    cpus: int | None
    seconds: float
    memory: float
    attempts: int


class Profile:
    """`cluster/config.yaml`, or its folder; without an executor it is this machine, whose jobs have no time limit.

    Raises UserError where there is none, or it is no mapping.
    """

    def __init__(self, path: Path):
        path = path / "config.yaml" if path.is_dir() else path
        try:
            values = yaml.safe_load(path.read_text())
        except FileNotFoundError:
            raise UserError(f"{path}: there is no such profile") from None
        except yaml.YAMLError as error:
            raise UserError(f"{path}: {' '.join(str(error).split())}") from None
        if not isinstance(values, dict):
            raise UserError(f"{path}: this is no profile: a mapping is expected")
        self._path, self._executor = path, values.get("executor")
        self._default: Mapping[str, Any] = values.get("default-resources") or {}
        self._rules: Mapping[str, Mapping[str, Any]] = values.get("set-resources") or {}
        self._attempts = 1 + int(values.get("retries", 0))

    def reserved(self, rule: str) -> Reserved:
        """What a job of the rule gets. Raises UserError for an expression: only Snakemake can evaluate it."""
        given = {**self._default, **self._rules.get(rule, {})}

        def number(key: str, absent: int) -> float:
            try:
                return float(given.get(key, absent))
            except ValueError:
                raise UserError(
                    f"{self._path}: {key} of {rule} is no number ({given[key]}); plan with a profile that has numbers"
                ) from None

        nodes = int(number("nodes", 1))
        text = f"{given.get('slurm_extra', '')}"
        match = GPUS_PER_NODE.search(text)
        if match:
            gpus = nodes * int(match[1])
        elif found := GRES.search(str(given.get("gres", ""))):
            gpus = int(found[1])
        else:
            gpus = int(number("gpu", 0))
        # The plugin falls back on the rule's threads, which are a laptop's.
        asked = int(number("cpus_per_task", 1 if self._executor else -1))
        cpus = asked if asked >= 0 else None
        seconds = 60.0 * number("runtime", 240) if self._executor else math.inf
        memory = 1e6 * number("mem_mb", 0) if self._executor else math.inf
        return Reserved(nodes, gpus, cpus, seconds, memory, self._attempts)
