"""What SECURITY.md says of a run: no secret is written down, nobody outside is served."""

import ipaddress
import json
import subprocess
import sys

from .conftest import SECRETS

START = """
import os, subprocess, sys, tempfile
from pathlib import Path
from small_rl.training.verl_devices import environment
from small_rl.training.verl_ray_cluster import ray_cluster
folder = Path(sys.argv[1])
with ray_cluster(1, 0, 1, folder, folder / "ray.log", environment("cpu")) as own:
    os.environ |= own
    import ray
    ray.init()
    address = ray.get_runtime_context().gcs_address
    ask = f"from ray._raylet import GcsClient; GcsClient(address={address!r}).internal_kv_keys(b'', None, timeout=120)"
    for extra in ({}, {"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": ""}, {"RAY_AUTH_TOKEN": "0" * 64}):
        asked = subprocess.run([sys.executable, "-c", ask], env=os.environ | extra, capture_output=True, text=True)
        print(asked.returncode, "InvalidAuthToken" in asked.stderr)
    ray.shutdown()
"""


def test_no_secret_of_the_environment_is_written_down(finished):
    folder = finished.parents[1]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 100
    for path in files:
        content = path.read_bytes()
        assert not any(secret.encode() in content for secret in SECRETS.values()), path


def test_no_engine_of_a_laptop_run_serves_the_network(finished):
    """All sockets that listened in the middle of RL are of loopback, but one of torch.

    The processes of a training find each other by torch's TCPStore, which has no option for an address (SECURITY.md).
    """
    sockets = json.loads((finished.parents[1] / "sockets.json").read_text())
    assert {"gcs_server", "raylet"} <= {name for name, _ in sockets}
    # A Ray process at work bears its method's name, too.
    addresses = {(name.partition(".")[0], ipaddress.ip_address(ip.removeprefix("::ffff:"))) for name, ip in sockets}
    assert {name for name, ip in addresses if not ip.is_loopback} <= {"ray::WorkerDict"}


def test_ray_refuses_who_does_not_know_the_token(tmp_path_factory):
    folder = tmp_path_factory.mktemp("r")
    done = subprocess.run(
        [sys.executable, "-c", START, str(folder)], capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.stdout.split("\n")[:3] == ["0 False", "1 True", "1 True"], done.stdout + done.stderr[-2000:]
