"""`polaris pin` against a local server that answers the hub's call for a repository's current commit."""

import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

from polaris.commands.pin import unpinned
from polaris.recipe.layers import CATALOGUE

COMMITS = {
    "/api/models/org/model": "a" * 40,
    "/api/datasets/org/data": "0" * 40,
    "/api/models/POLARIS-Project/Polaris-V2-Qwen3-4B": "a" * 40,
    "/api/datasets/inclusionAI/AReaL-boba-Data": "b" * 40,
}
RECIPE = """\
# a recipe; every byte of this stays
inputs:   # two spaces and more
  base_small: {hub: org/model, revision: unpinned}   # flow style, "unpinned" in a comment
  base_large:
    revision: 'unpinned'   # before its hub
    hub: org/model
  done: {hub: org/model, revision: 1111111111111111111111111111111111111111}
  benchmarks:
    a: &shared
      hub: org/data
      revision: unpinned
      config: null
      split: test
      max_rows: null
    b: *shared
note: unpinned
"""


class Hub(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        commit = COMMITS.get(self.path.split("?")[0])
        body = json.dumps({"id": "x", "sha": commit} if commit else {"error": "Repository not found"}).encode()
        self.send_response(200 if commit else 404)
        if not commit:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def endpoint():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def pin(path: Path, endpoint: str, **env) -> subprocess.CompletedProcess:
    code = "import sys; from polaris.commands.cli import main; sys.argv[0] = 'polaris'; main()"
    return subprocess.run(
        [sys.executable, "-c", code, "pin", str(path)],
        env={**os.environ, "HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1", **env},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.slow
def test_only_the_word_changes(tmp_path, endpoint):
    path = tmp_path / "x.yaml"
    # A Windows line end and a character of two bytes: byte for byte means these as well.
    before = RECIPE.replace("stays\n", "stays, é\r\n")
    path.write_bytes(before.encode())
    done = pin(path, endpoint)
    assert done.returncode == 0, done.stderr
    expected = before.replace("{hub: org/model, revision: unpinned}", f"{{hub: org/model, revision: {'a' * 40}}}")
    expected = expected.replace("'unpinned'", f"'{'a' * 40}'")
    expected = expected.replace("      revision: unpinned\n", f"      revision: '{'0' * 40}'\n")
    assert path.read_bytes().decode() == expected
    assert yaml.safe_load(expected)["inputs"]["benchmarks"]["b"]["revision"] == "0" * 40
    assert f"dataset org/data is now pinned to {'0' * 40}" in done.stdout

    again = pin(path, endpoint)
    assert again.returncode == 0 and "nothing is unpinned" in again.stdout
    assert path.read_bytes().decode() == expected


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "cannot be reached from here"),
        ({"HF_HUB_OFFLINE": "1"}, "cannot be reached from here"),
    ],
)
@pytest.mark.slow
def test_without_a_network_nothing_changes(tmp_path, endpoint, env, message):
    path = tmp_path / "x.yaml"
    path.write_text(RECIPE)
    done = pin(path, endpoint, **env)
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr
    assert path.read_text() == RECIPE and list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_files_beside_it_and_the_link_that_leads_to_it_stay(tmp_path, endpoint):
    path, link = tmp_path / "x.yaml", tmp_path / "link.yaml"
    path.write_text(RECIPE)
    path.chmod(0o640)
    link.symlink_to(path)
    for name in ("x.yaml.partial", "link.yaml.partial"):
        (tmp_path / name).write_text("mine")
    assert pin(link, endpoint).returncode == 0
    assert link.is_symlink() and "a" * 40 in path.read_text() and path.stat().st_mode & 0o777 == 0o640
    assert {one.name for one in tmp_path.iterdir()} == {"x.yaml", "link.yaml", "x.yaml.partial", "link.yaml.partial"}
    assert (tmp_path / "x.yaml.partial").read_text() == (tmp_path / "link.yaml.partial").read_text() == "mine"


@pytest.mark.slow
def test_an_unknown_id_is_named_and_nothing_changes(tmp_path, endpoint):
    path = tmp_path / "x.yaml"
    text = RECIPE.replace("hub: org/data", "hub: org/nothing")
    path.write_text(text)
    done = pin(path, endpoint)
    assert done.returncode == 1 and "dataset org/nothing" in done.stderr and "Traceback" not in done.stderr
    assert path.read_text() == text


def test_every_hub_id_of_the_presets_is_found():
    for path in CATALOGUE:
        text = path.read_text()
        found = unpinned(text)
        assert found and all(text[item.start : item.end] == "unpinned" for item in found)
        assert len(found) == text.count("revision: unpinned")


@pytest.mark.slow
def test_a_named_model_is_pinned_in_the_recipe_and_the_presets_stay(tmp_path, endpoint):
    """Those that it names and no other, with what it extends; a second time there is nothing to do."""
    presets = [path.read_bytes() for path in CATALOGUE]
    path = tmp_path / "mine.yaml"
    text = """# mine
inputs:
  base_small: polaris_v2_4b # ours
  problems: {rl: {like: mine, max_rows: 5}}
models:
  own: {path: /models/own}
problem_sets:
  mine: {like: boba, max_rows: 9}
"""
    path.write_text(text)
    done = pin(path, endpoint)
    assert done.returncode == 0, done.stderr
    expected = text.replace("models:\n", f'models:\n  polaris_v2_4b: {{revision: "{"a" * 40}"}}\n')
    expected = expected.replace("sets:\n", f'sets:\n  boba: {{revision: "{"b" * 40}"}}\n')
    assert path.read_text() == expected and [one.read_bytes() for one in CATALOGUE] == presets
    assert "nothing is unpinned" in pin(path, endpoint).stdout


@pytest.mark.slow
def test_what_an_extended_recipe_leaves_unpinned_is_said(tmp_path, endpoint):
    (tmp_path / "low.yaml").write_text(RECIPE)
    path = tmp_path / "mine.yaml"
    path.write_text("extends: low.yaml\nrun: mine\n")
    done = pin(path, endpoint)
    below = tmp_path / "low.yaml"
    assert done.returncode == 0 and below.read_text() == RECIPE
    assert f"{path} extends {below}, where {len(unpinned(RECIPE))} are unpinned: polaris pin {below}" in done.stdout
