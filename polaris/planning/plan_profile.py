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
    """What a job of a rule gets. gpus: over all nodes; cpus: of one task, None where the site gives them with the GPUs

    seconds: of one job; memory: bytes per node; attempts: at a job that times out
    """

    nodes: int
    gpus: int
    cpus: int | None
    seconds: float
    memory: float
    attempts: int


class Profile:
    """`cluster/config.yaml`, or its folder; without an executor it is this machine, whose jobs have no time limit.

    values: those of a profile that is in no file. Raises UserError where there is none, or it has another form.
    """

    def __init__(self, path: Path, values: Any = None):
        self._path = path = path / "config.yaml" if path.is_dir() else path
        values = _read(path) if values is None else values
        if not isinstance(values, dict):
            raise UserError(f"{path}: this is no profile: a mapping is expected")
        self._executor = values.get("executor")
        self._default: Mapping[str, Any] = self._mapping("default-resources", values.get("default-resources"))
        rules = self._mapping("set-resources", values.get("set-resources"))
        self._rules = {rule: self._mapping(f"set-resources.{rule}", given) for rule, given in rules.items()}
        retries = values.get("retries", 0)
        if not isinstance(retries, int):
            raise UserError(f"{path}: retries: {retries!r} is no whole number")
        self._attempts = 1 + retries

    def _mapping(self, key: str, value: Any) -> Mapping[str, Any]:
        if not isinstance(value or {}, dict):
            raise UserError(f"{self._path}: {key}: write it as a mapping (mem_mb: 16000), not {str(value)[:60]!r}")
        return value or {}

    def reserved(self, rule: str) -> Reserved:
        """What a job of the rule gets. Raises UserError for an expression: only Snakemake can evaluate it."""
        given = {**self._default, **self._rules.get(rule, {})}

        def number(key: str, absent: int) -> float:
            try:
                return float(given.get(key, absent))
            except (TypeError, ValueError):
                raise UserError(
                    f"{self._path}: {key} of {rule} is no number ({given[key]}); plan with a profile that has numbers"
                ) from None

        nodes = int(number("nodes", 1))
        text = f"{given.get('slurm_extra', '')}"
        match = GPUS_PER_NODE.search(text)
        if match:
            gpus = nodes * int(match[1])
        elif gres := GRES.search(str(given.get("gres", ""))):
            gpus = int(gres[1])
        else:
            gpus = int(number("gpu", 0))
        # The plugin falls back on the rule's threads, which are a laptop's.
        cpus = int(number("cpus_per_task", 1 if self._executor else -1))
        seconds = 60.0 * number("runtime", 240) if self._executor else math.inf
        memory = 1e6 * number("mem_mb", 0) if self._executor else math.inf
        return Reserved(nodes, gpus, cpus if cpus >= 0 else None, seconds, memory, self._attempts)


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such profile") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: this profile cannot be read ({' '.join(str(error).split())})") from None
