"""Verbs that fetch, from local files and from a cache laid out as the hub's, without a network."""

import json
import os
import subprocess
import sys
from pathlib import Path

from polaris.stage import manifest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def run(monkeypatch, module, settings, out: Path) -> manifest.Manifest:
    """The verb's main in this process, as its command line would call it."""
    monkeypatch.setattr("sys.argv", [module.__name__, "--settings", json.dumps(settings), "--out", str(out)])
    module.main()
    return manifest.read(out)


def run_offline(module, settings, out: Path, cache: Path) -> subprocess.CompletedProcess:
    """The verb as a process of its own, with this hub cache and no network."""
    command = [sys.executable, "-m", module.__name__, "--settings", json.dumps(settings), "--out", str(out)]
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(cache), "HF_HOME": str(cache.parent / "home")}
    return subprocess.run(command, env=env, check=False, capture_output=True, text=True, timeout=300)


def hub_repository(cache: Path, kind: str, repo: str) -> Path:
    """The folder of one revision, laid out as huggingface_hub lays out its cache."""
    root = cache / f"{kind}s--{repo.replace('/', '--')}"
    (root / "refs").mkdir(parents=True)
    (root / "refs/main").write_text(COMMIT)
    return root / "snapshots" / COMMIT
