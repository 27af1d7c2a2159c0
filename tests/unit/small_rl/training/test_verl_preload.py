"""What verl's processes are forked from."""

import os
import subprocess
import sys

import pytest

from small_rl.training import verl_devices
from tests.helpers.verl_stages import NEEDS_VERL

pytestmark = [pytest.mark.slow, NEEDS_VERL]

TWO_FORKS = """
import importlib, os
from small_rl.training.verl_preload import MODULES
for name in MODULES:
    importlib.import_module(name)
from ray import ObjectRef
for _ in range(2):
    if not (child := os.fork()):
        os.write(1, ObjectRef.from_random().hex().encode() + b"\\n")
        os._exit(0)
    os.waitpid(child, 0)
"""


def test_two_workers_draw_different_ids():
    """Ray's generator, drawn from before a fork, gives all children the same: two of them then put one object."""
    env = {**os.environ, **verl_devices.environment("cpu")}
    done = subprocess.run([sys.executable, "-c", TWO_FORKS], env=env, capture_output=True, text=True, check=True)
    ids = [line for line in done.stdout.split() if len(line) == 56]
    assert len(ids) == 2 and ids[0] != ids[1]
