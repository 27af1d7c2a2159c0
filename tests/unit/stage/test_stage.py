"""The stage contract: published last, locked, resumable, nothing half-written taken for whole."""

import ast
import builtins
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from polaris.stage import manifest
from polaris.stage import stage as contract
from polaris.stage.errors import UserError
from polaris.stage.settings import read_section
from polaris.stage.stage import fingerprint
from tests.helpers.toy_stage import Toy, publish, stage


def test_published_files_are_described_and_private_folders_are_gone(tmp_path):
    done = publish(tmp_path / "s")
    assert done.stage == "s" and done.settings == {"value": 1} and done.metrics == {"n": 3}
    assert done.files["part/a.txt"]["size"] == 1
    assert (tmp_path / "s/part/a.txt").stat().st_mode & 0o777 == 0o644
    assert not (tmp_path / "s/new.partial").exists()
    assert [p.name for p in (tmp_path / "s/state").iterdir()] == ["lock"]


def test_a_failure_leaves_state_but_no_target(tmp_path):
    publish(tmp_path / "s")
    with pytest.raises(RuntimeError, match="boom"), stage(tmp_path / "s") as one:
        (one.state / "step").write_text("7")
        raise RuntimeError("boom")
    assert not (tmp_path / "s/data.json").exists()
    with pytest.raises(RuntimeError, match="without publishing"), stage(tmp_path / "s") as again:
        assert (again.state / "step").read_text() == "7"


def test_other_settings_code_or_inputs_start_clean(tmp_path):
    source = publish(tmp_path / "a")
    other = publish(tmp_path / "b", text="y")
    prints = {
        stage(tmp_path / "s").fingerprint,
        stage(tmp_path / "s", value=2).fingerprint,
        stage(tmp_path / "s", code="d").fingerprint,
        stage(tmp_path / "s", source=source).fingerprint,
        stage(tmp_path / "s", source=other).fingerprint,
        stage(tmp_path / "s", source=[source, other]).fingerprint,
    }
    assert len(prints) == 6
    of = [fingerprint({"value": 1, **how}, {}, "c") for how in ({}, {"timeout": 9.0}, {"layout": {"nodes": 2}})]
    assert len(set(of)) == 1, "how and how long a stage works does not count"
    with pytest.raises(RuntimeError), stage(tmp_path / "s") as one:
        (one.state / "step").write_text("7")
    with pytest.raises(RuntimeError), stage(tmp_path / "s", value=2) as two:
        assert not any(two.state.iterdir())
        assert not one.state.exists(), "the state of an abandoned recipe must not pile up"


def test_content_ignores_dates_and_logs_but_not_bytes(tmp_path):
    first = publish(tmp_path / "a").content
    with stage(tmp_path / "b", value=5) as one:
        (one.partial / "part").mkdir()
        (one.partial / "part" / "a.txt").write_text("x")
        (one.log / "engine.log").write_text(str(time.time()))
        one.publish()
    assert manifest.read(tmp_path / "b/data.json").content == first
    assert publish(tmp_path / "c", text="y").content != first


@pytest.mark.parametrize("harm", [lambda p: p.unlink(), lambda p: p.write_text("longer")])
def test_a_missing_or_cut_file_is_refused(tmp_path, harm):
    publish(tmp_path / "s")
    harm(tmp_path / "s/part/a.txt")
    with pytest.raises(UserError, match="part/a.txt"):
        manifest.read(tmp_path / "s/data.json")


def test_fewer_steps_than_planned_is_a_failure(tmp_path):
    with pytest.raises(UserError, match="only 3 of 5 steps"), stage(tmp_path / "s") as one:
        (one.partial / "a").write_text("x")
        one.publish(planned=5, reached=3)
    assert not (tmp_path / "s/data.json").exists()


HOLDER = """
import sys, time
from pathlib import Path
from tests.helpers.toy_stage import stage
with stage(Path(sys.argv[1])) as one:
    (one.partial / "half.txt").write_text("half")
    (one.state / "step").write_text("4")
    print("holding", flush=True)
    time.sleep(60)
"""


@pytest.mark.slow
def test_a_second_process_is_refused_and_a_killed_one_leaves_nothing_in_the_way(tmp_path):
    root = Path(__file__).resolve().parents[3]
    env = {**os.environ, "PYTHONPATH": str(root)}
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "s")], stdout=subprocess.PIPE, text=True, env=env
    )
    try:
        assert holder.stdout.readline() == "holding\n"
        with pytest.raises(UserError, match=f"another process works on this stage.*pid {holder.pid}"):
            publish(tmp_path / "s")
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert not (tmp_path / "s/data.json").exists() and not (tmp_path / "s/half.txt").exists()
    with stage(tmp_path / "s") as one:
        assert (one.state / "step").read_text() == "4"
        (one.partial / "whole.txt").write_text("whole")
        one.publish()
    assert set(manifest.read(tmp_path / "s/data.json").files) == {"whole.txt"}


def test_a_file_that_is_no_manifest_is_refused(tmp_path):
    (tmp_path / "data.json").write_text(json.dumps({"stage": "x"}))
    with pytest.raises(UserError, match="not the manifest of a stage"):
        manifest.read(tmp_path / "data.json")
    with pytest.raises(UserError, match="its stage has not finished"):
        manifest.read(tmp_path / "missing.json")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "--settings: this is not JSON"),
        ("{" + '"a":[' * 9999, "--settings: this is not JSON"),
        ("missing.yaml", "--settings missing.yaml: there is no such file"),
        ("folder", "folder: this is a directory"),
        ("bytes.yaml", "bytes.yaml: this is not YAML"),
        ("list.yaml", "list.yaml"),
        ("broken.yaml", "broken.yaml: this is not YAML"),
    ],
)
def test_settings_that_are_none_are_refused(tmp_path, monkeypatch, text, said):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("bytes.yaml").write_bytes(b"value: \xff")
    Path("list.yaml").write_text("[1]")
    Path("broken.yaml").write_text("value: [1")
    with pytest.raises(UserError, match=said):
        read_section(Toy, text)
    Path("good.yaml").write_bytes(b"\xef\xbb\xbfvalue: 3")
    assert read_section(Toy, "good.yaml") == read_section(Toy, ' {"value": 3}') == Toy(value=3)


def test_the_contracts_example_names_what_exists():
    """The verb in the docstring of polaris.stage.stage is that of its module, shortened."""
    example = textwrap.dedent(contract.__doc__.split("by hand:\n")[1].split("Folders of")[0])
    tree = ast.parse(example)
    (name,) = re.findall(r'from_command_line\(\s*"([\w.]+)"', example)
    module = importlib.import_module(name)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    made = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    assert [word for word in used - made if not hasattr(module, word) and not hasattr(builtins, word)] == []
