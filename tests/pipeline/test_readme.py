"""The README's flow is a grouping of the rules, and its overlay is one that the dry run accepts."""

import re
import subprocess

from .conftest import ROOT, command, snakemake

README = (ROOT / "README.md").read_text()
# Box of the README -> its rules. The report reads every manifest: only the arrow from its last source is drawn.
BOXES = {
    "inputs": {"preflight", "models", "problems", "benchmarks", "clean"},
    "format": {"format_data", "format_sft"},
    "rl": {"difficulty", "rl_data", "rl", "rl_rollouts", "overlap_filter", "probe", "paid"},
    "sft": {"traces", "sft_data", "conversion", "distilled"},
    "merge": {"merged"},
    "evaluation": {"responses", "scores"},
    "report": {"report", "all"},
}  # fmt: skip


def arrows(graph: str) -> set[tuple[str, str]]:
    return set(re.findall(r"^\s*(\w+)(?:\[[^\]]*\])? --> (\w+)", graph, re.MULTILINE))


def test_the_flow_is_the_graph_of_the_rules(tmp_path):
    configs = [str(ROOT / "configs/laptop.yaml")]
    asked = command("--forceall", "--rulegraph", "mermaid-js", configs=configs)
    graph = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    rule = dict(re.findall(r"(id\d+)\[(\w+)\]", graph))
    box = {name: box for box, rules in BOXES.items() for name in rules}
    assert set(rule.values()) == set(box), "BOXES above says which box a rule belongs to"
    drawn = {(box[rule[a]], box[rule[b]]) for a, b in arrows(graph)}
    needed = {(a, b) for a, b in drawn if a != b and (b != "report" or a == "evaluation")}
    shown = re.search(r"```mermaid\n(.*?)```", README, re.DOTALL).group(1)
    assert arrows(shown) == needed and len(BOXES) <= 8


def test_its_overlay_is_a_recipe(tmp_path):
    overlay = re.search(r"```yaml\n(.*?)```", README, re.DOTALL).group(1)
    (tmp_path / "mine.yaml").write_text(overlay)
    (tmp_path / "mine.jsonl").write_text('{"problem": "1 + 1?", "answer": "2"}\n')
    done = snakemake(tmp_path, "-n", configs=["mine.yaml"])
    assert done.returncode == 0, done.stdout[-4000:]
    assert "runs/mine/benchmarks/mine/data.json" in done.stdout
