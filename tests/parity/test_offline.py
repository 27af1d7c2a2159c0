"""What the engines themselves make of our environment: no usage reports, no hub."""

import json
import os
import subprocess
import sys

import pytest

from small_rl.training import verl_devices

ASK = """
import json, sys
if sys.argv[1] == "vllm":
    from polaris.generation import vllm_engine
    vllm_engine.work_offline()
    from vllm.usage.usage_lib import is_usage_stats_enabled as reports
else:
    from ray._common.usage.usage_lib import usage_stats_enabled as reports
import huggingface_hub.constants
print(json.dumps([reports(), huggingface_hub.constants.HF_HUB_OFFLINE]))
"""
# What a machine's own environment may say otherwise; without ours, both engines report.
CHATTY = {"RAY_USAGE_STATS_ENABLED": "1", "VLLM_NO_USAGE_STATS": "0", "DO_NOT_TRACK": "0", "HF_HUB_OFFLINE": "0"}


@pytest.mark.parametrize(
    ("engine", "ours"),
    [("vllm", {}), ("ray", verl_devices.environment("cpu")), ("ray", verl_devices.environment("cuda"))],
)
def test_engines_neither_report_nor_ask_the_hub(engine, ours):
    pytest.importorskip(engine)
    environment = {**os.environ, **CHATTY, **ours}
    done = subprocess.run(
        [sys.executable, "-c", ASK, engine], env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [False, True]
