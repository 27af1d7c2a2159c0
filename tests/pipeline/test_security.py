"""What SECURITY.md says of a run: no secret is written down, nobody outside is served."""

import ipaddress
import json
import os
import subprocess
import sys

from .conftest import SECRETS

START = """
import os, subprocess, sys, tempfile
from small_rl.verl_ray_cluster import ray_cluster
with ray_cluster(1, 0, None, None, None, {}) as own:
    os.environ |= own
    import ray
    ray.init(address="local", _node_ip_address=sys.argv[1], include_dashboard=False, num_cpus=1, _temp_dir=sys.argv[2])
    address = ray.get_runtime_context().gcs_address
    ask = f"from ray._raylet import GcsClient; GcsClient(address={address!r}).internal_kv_keys(b'', None, timeout=20)"
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
    """Of the sockets that listened in the middle of RL, those with an address have one of loopback.

    Ray's own servers have no address of their own; the next test is about them.
    """
    sockets = json.loads((finished.parents[1] / "sockets.json").read_text())
    assert any(name == "gcs_server" for name, _ in sockets)
    addresses = {(name, ipaddress.ip_address(ip)) for name, ip in sockets}
    assert any(ip.is_loopback for _, ip in addresses)
    assert {(name, ip) for name, ip in addresses if not ip.is_loopback and not ip.is_unspecified} == set()


def test_ray_refuses_who_does_not_know_the_token(tmp_path_factory):
    from small_rl.verl_config import LOOPBACK

    folder = tmp_path_factory.mktemp("r")
    done = subprocess.run(
        [sys.executable, "-c", START, LOOPBACK, str(folder)],
        capture_output=True, text=True, timeout=300, env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}, check=False,
    )  # fmt: skip
    assert done.stdout.split("\n")[:3] == ["0 False", "1 True", "1 True"], done.stdout + done.stderr[-2000:]
