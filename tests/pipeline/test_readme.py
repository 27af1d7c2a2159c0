"""The README's pictures are of this tree and this graph."""

import re
import subprocess

from .conftest import ROOT, command

README = (ROOT / "README.md").read_text()


def test_the_flow_is_the_graph_of_the_rules(tmp_path):
    graph = subprocess.run(
        command("--forceall", "--rulegraph", "mermaid-js", configs=[str(ROOT / "configs/laptop.yaml")]),
        cwd=tmp_path, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    names = dict(re.findall(r"(id\d+)\[(\w+)\]", graph))
    drawn = {(names[a], names[b]) for a, b in re.findall(r"(id\d+) --> (id\d+)", graph)}
    block = re.search(r"```mermaid\n(.*?)```", README, re.DOTALL).group(1)
    shown = set(re.findall(r"(\w+) --> (\w+)", block))
    assert drawn - {(a, b) for a, b in drawn if b in ("all", "report")} == shown - {
        (a, b) for a, b in shown if b in ("all", "report")
    }
    assert "scores --> report" in block


def test_every_file_has_its_line():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    tree = re.search(r"## The tree\n.*?```\n(.*?)```", README, re.DOTALL).group(1)
    for path in tracked:
        folder, _, name = path.rpartition("/")
        if folder in ("polaris", "small_rl", "large_sft", "merge", "rules", "configs") and name != "__init__.py":
            assert re.search(rf"\b{re.escape(name)}\b", tree), f"{path} is missing in the README's tree"
    names = {path.rpartition("/")[2] for path in tracked}
    assert {name for name in re.findall(r"^  ([\w.]+) ", tree, re.MULTILINE) if name not in names} == set()
