"""The page in a real browser, where there is one: what the first screen shows, that nothing is wider than the screen,
that no text is cut off or covered, and that every section folds.

A second page holds the report in a frame of a phone's or a desktop's width and measures it there.
"""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.helpers.report_run import Marks, Run
from tests.helpers.reports import BETTER, DIGITS, make, whole_run

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MEASURE = """<!DOCTYPE html><body style="margin:0">
<iframe src="report/index.html" style="width:WIDTHpx;height:900px;border:0"></iframe>
<pre id="found"></pre><script>
const shared = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2
  && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3;
onload = () => {
  const page = document.querySelector("iframe").contentDocument, found = {charts: 0, overlaps: [], outside: []};
  const folds = [...page.querySelectorAll("details")], first = [...page.querySelectorAll(".first svg")];
  const height = () => page.documentElement.getBoundingClientRect().height;
  found.first = first.map(svg => svg.getBoundingClientRect().bottom);
  found.findings = page.querySelector(".findings").getBoundingClientRect().top;
  found.loose = [...page.querySelectorAll("h2")].filter(head => !head.closest("details.section > summary"))
    .map(head => head.textContent);
  for (const fold of folds) fold.open = true;
  found.stuck = folds.filter(fold => {
    const before = height();
    fold.open = false;
    const after = height();
    fold.open = true;
    return after >= before;
  }).map(fold => fold.textContent.slice(0, 60));
  found.width = page.documentElement.scrollWidth;
  found.scrolling = [...page.querySelectorAll(".scroll")].filter(box => box.scrollWidth > box.clientWidth)
    .map(box => box.getAttribute("aria-label"));
  found.paper = page.defaultView.getComputedStyle(page.body).backgroundColor;
  for (const svg of page.querySelectorAll("svg")) {
    found.charts += 1;
    const frame = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll("text")].map(t => [t.textContent, t.getBoundingClientRect()]);
    texts.forEach(([text, box], i) => {
      if (box.left < frame.left - 6 || box.right > frame.right + 6 || box.bottom > frame.bottom + 2)
        found.outside.push(text);
      if (box.height < 9) found.outside.push("small: " + text);
      for (const [other, its] of texts.slice(i + 1)) if (shared(box, its)) found.overlaps.push([text, other]);
    });
  }
  document.getElementById("found").textContent = JSON.stringify(found);
};</script></body>"""


class Wide(Run):
    """Verdicts of `chain` under three more names: as many benchmarks as a large recipe has."""

    def scores(self, name: str, benchmarks: dict[str, Marks], **more: object) -> None:
        others = dict.fromkeys(["aime26", "hmmt25", "olympiad_bench"], benchmarks["chain"])
        super().scores(name, benchmarks | others, **more)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder with its report."""
    run = whole_run(tmp_path_factory.mktemp("runs") / "small", Wide)
    run.scores("distilled@no_yarn", {"chain": BETTER, "digits": DIGITS})
    make(
        run,
        select_on=["olympiad_bench"],
        extra_evaluations={"distilled@no_yarn": "engine.yarn none instead of factor 1.5, original 65536"},
    )
    return run.folder


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
@pytest.mark.parametrize(("width", "dark"), [(390, False), (390, True), (1280, False), (1280, True)])
def test_nothing_is_cut_off_or_covered(folder: Path, width: int, dark: bool):
    page = folder / f"measure-{width}.html"
    page.write_text(MEASURE.replace("WIDTH", str(width)))
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--dump-dom"]
    command += [f"--user-data-dir={folder / 'browser'}", "--window-size=1400,1000", "--virtual-time-budget=10000"]
    command += ["--blink-settings=preferredColorScheme=0"] if dark else []
    dumped = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=120, check=True).stdout
    found = json.loads(html.unescape(re.search(r'<pre id="found">(.*?)</pre>', dumped, re.DOTALL)[1]))
    assert found["width"] <= width and found["charts"] >= 20 and found["scrolling"] == []
    assert len(found["first"]) == 2 and (width < 1280 or max(found["first"]) < found["findings"] < 900)
    assert found["loose"] == [] and found["stuck"] == []
    assert found["overlaps"] == [] and found["outside"] == []
    assert found["paper"] == ("rgb(20, 23, 26)" if dark else "rgb(252, 252, 250)")
