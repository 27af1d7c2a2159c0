"""`polaris show`: the report's tables on a terminal."""

import re
from pathlib import Path

import pytest

from polaris.commands import show
from polaris.stage.errors import UserError
from tests.helpers.reports import make, whole_run


def test_show_prints_both_tables(tmp_path: Path, capsys):
    run = whole_run(tmp_path / "small <&>")
    make(run)
    capsys.readouterr()
    show.main(run.folder)
    out = capsys.readouterr().out
    assert re.search(r"^chain: 2 questions x 4\nmodel ", out, re.MULTILINE)
    assert re.search(r"^format_sft +base_small +87\.5 \[.*\] +\+50\.0 \[\+50\.0, \+50\.0\]$", out, re.MULTILINE)
    assert "core against grpo: chain −50.0 [−50.0, −50.0], digits 0.0 [0.0, 0.0], mean −25.0 [−25.0, −25.0]" in out
    assert re.search(r"^alpha=0\.50 +37\.5 \[.*\] +0\.0 \[0\.0, 0\.0\] +0\.0 \[0\.0, 0\.0\]$", out, re.MULTILINE)
    assert out.rstrip().endswith(str(run.folder / "report" / "index.html"))
    assert max(map(len, out.splitlines()[:-1])) <= 100


def test_show_without_a_report(tmp_path: Path):
    with pytest.raises(UserError, match="report/data.json: there is no such manifest"):
        show.main(tmp_path)
