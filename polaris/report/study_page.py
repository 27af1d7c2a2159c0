"""The findings of polaris/report/study.py as Markdown and as one self-contained page."""

import textwrap
from collections.abc import Sequence

from polaris.charts import charts
from polaris.charts.charts import Line, Row, axis_percent, axis_points
from polaris.charts.figure_page import figure_page
from polaris.evaluation import replicates, results
from polaris.report import study
from polaris.report.markdown_text import table
from polaris.report.study import CONFIDENCE, ENDS, Finding, Record
from polaris.report.study_designs import SELF_SWEEP, SPECIALIST_SWEEP, Design
from polaris.stage.progress import duration

NONE = "–"
WIDTH = 100  # of the lines of a Markdown page
HALVES = ("high overlap", "low overlap")


def groups(design: Design, records: Sequence[Record]) -> list[tuple[str, list[Finding]]]:
    """(heading, findings) of each table of claims."""
    both, claims = study.headline(records[0]), design.generalist
    tables = [
        (f"Specialist, on {design.family}", study.findings(records, design.specialist, [design.family], design.family))
    ]
    if not claims:
        return tables
    tables.append(("Generalist, mean of the benchmarks", study.findings(records, claims, both, "mean")))
    return tables + [(f"Generalist, on {name}", study.findings(records, claims, [name], name)) for name in both]


def lead(design: Design, records: Sequence[Record], absent: Sequence[int]) -> list[str]:
    """The first paragraphs: what was run, how to read the intervals, what is missing."""
    claims = len(design.specialist) + len(design.generalist)
    missing = [f"Replicate {number} was not run." for number in absent]
    missing += [f"Replicate {r['replicate']} lacks {', '.join(r['missing'])}." for r in records if r["missing"]]
    what = (
        f"{design.recipe} from scratch, {len(records)} times, each with its own data, base models and sampling, asked "
        "the same questions. Tiny models and made-up problems: it says whether the machinery shows an effect here, and "
        "nothing about the method at 4B or 235B."
    )
    how = (
        "These trainings: the mean over replicates with what other questions and samples would have made of it "
        "(bootstrap over questions, each with all its replicates). Other trainings: Student's t interval of the "
        "replicates' differences on these questions; with three of them it is wide. Higher or lower is concluded only "
        f"where both exclude 0. {claims} claims are looked at, and the intervals ({100 * CONFIDENCE:g} %) are not "
        "corrected for that: of twenty true zeros one is called a difference."
    )
    return [what, how, *([" ".join(missing)] if missing else [])]


def claim_rows(records: Sequence[Record], findings: Sequence[Finding]) -> list[list[str]]:
    """A table of claims, its head first. Differences in points."""
    numbers = [record["replicate"] for record in records]
    columns = [f"replicate {number}" for number in numbers]
    rows = [["claim", "comparison", *columns, "these trainings", "other trainings", "conclusion", "shared; differs"]]
    for finding in findings:
        each = dict(zip(finding.models, finding.pooled.each_N if finding.pooled else (), strict=True))
        cells = [results.points(each[n]) if n in each else "missing" for n in numbers]
        compared = f"{finding.claim.a} − {finding.claim.control}"
        rows.append([finding.claim.question, compared, *cells, *spans(finding), finding.conclusion, finding.claim.same])
    return rows


def spans(finding: Finding) -> tuple[str, str]:
    """The mean with its interval for these trainings, and the interval for others, in points."""
    if finding.pooled is None or finding.these is None:
        return NONE, NONE
    mean = f"{results.points(finding.pooled.mean.value)} {results.span(finding.these, results.points)}"
    return mean, results.span(finding.others, results.points) if finding.others else NONE


def alpha_rows(records: Sequence[Record]) -> list[list[str]]:
    """The sweeps, a row per replicate and alpha; * marks the alpha that the selection split chose."""
    rows = [["replicate", "alpha", "specialist's traces", "own traces"]]
    for record in records:
        best = {study.chosen(record, sweep) for sweep in (SPECIALIST_SWEEP, SELF_SWEEP)}
        for alpha in record["alphas"][SPECIALIST_SWEEP]:
            models = [record["alphas"][sweep].get(alpha) for sweep in (SPECIALIST_SWEEP, SELF_SWEEP)]
            cells = [_score(record, model) + (" *" if model and model in best else "") for model in models]
            rows.append([str(record["replicate"]), alpha, *cells])
    return rows


def _score(record: Record, model: str | None) -> str:
    if model is None or model not in record["models"]:
        return "missing"
    estimate = study.score(record, model, study.headline(record))
    return f"{results.percent(estimate.value)} {results.span(estimate.interval(CONFIDENCE))}"


def entropy_rows(records: Sequence[Record]) -> list[list[str]]:
    """Entropy per token at the start and the end of each RL stage, each on the problems it trains on."""
    stages = list(dict.fromkeys(stage for record in records for stage in record["rl"]))
    rows = [["stage", *(f"replicate {record['replicate']}" for record in records)]]
    for stage in stages:
        changes = [study.entropy_change(record, stage) for record in records]
        rows.append(
            [stage, *(f"{c[0]:.4f} → {c[1]:.4f} ({c[1] / c[0] - 1:+.0%})" if c else "missing" for c in changes)]
        )
    return rows


def underlined_rows(design: Design, records: Sequence[Record]) -> list[list[str]]:
    """Underlined results per response on the specialist's questions."""
    rows = [
        ["model", "replicate", "wrong: all", "wrong: different", "right: all", "right: different", "wrong responses"]
    ]
    for model in design.underlined:
        for record in records:
            counts = record["underlined"].get(model, {}).get(design.family)
            if counts is None:
                rows.append([model, str(record["replicate"]), "missing", *[NONE] * 4])
                continue
            means = [f"{counts[kind][key]:.2f}" if counts[kind]["responses"] else NONE
                     for kind in ("wrong", "right") for key in ("spans", "distinct")]  # fmt: skip
            rows.append([model, str(record["replicate"]), *means, f"{counts['wrong']['responses']:,}"])
    return rows


def score_rows(records: Sequence[Record]) -> list[list[str]]:
    """avg@k of every model on the reported benchmarks, a column per benchmark and replicate."""
    names = study.headline(records[0])
    models = list(dict.fromkeys(m for r in records for m in (*r["models"], *r["missing"])))
    head = ["model", *(f"{name}, {record['replicate']}" for name in names for record in records)]
    return [head] + [
        [m, *(results.percent(r["models"][m]["accuracy"][n]) if m in r["models"] else "missing"
              for n in names for r in records)]
        for m in models
    ]  # fmt: skip


def halves_change(design: Design, records: Sequence[Record]) -> str:
    """By how much more the entropy of the half with little overlap falls, over the replicates that have both."""
    pairs = [[study.entropy_change(record, stage) for stage in design.halves] for record in records]
    falls = [1 - low[1] / low[0] - (1 - high[1] / high[0]) for high, low in pairs if high and low]
    if len(falls) < 2:
        return "Fewer than two replicates have both halves: no conclusion about their entropy."
    span = results.span(replicates.trainings_interval(falls, CONFIDENCE), results.points)
    mean = sum(falls) / len(falls)
    return (
        f"The entropy's fall in percent of its start, on the low-overlap half less that on the high-overlap half: "
        f"{results.points(mean)} {span} over trainings. V2 says that low overlap (high difference) makes it collapse. "
        "Each half's entropy is that of its own problems."
    )


def markdown(design: Design, records: Sequence[Record], absent: Sequence[int]) -> str:
    """A study's page as Markdown; absent: replicates without a record."""
    parts = [f"# {design.title}", "Written by `polaris study` from the records beside it; `make study` runs it all."]
    parts += [wrapped(text) for text in lead(design, records, absent)]
    for heading, findings in groups(design, records):
        parts += _section(heading, "Differences of avg@k in points, paired by question.", claim_rows(records, findings))
    sweeps = "Mean of the benchmarks, in percent. 0: distilled; 1: base. *: chosen on the split that is not reported."
    if design.generalist:
        parts += _section("Alpha", sweeps, alpha_rows(records))
    entropy = f"Per token, means of the first and the last {ENDS} steps. {halves_change(design, records)}"
    parts += _section("Entropy", entropy, entropy_rows(records))
    spam = (
        f"Per response, on {design.family}. A reward that is hacked by underlining shows in more, or in repeated, "
        "results of wrong responses."
    )
    parts += _section("Underlined results", spam, underlined_rows(design, records))
    parts += _section("Scores", "avg@k in percent.", score_rows(records))
    parts += _section("Replicates", "Where the records come from.", run_rows(records))
    return "\n\n".join(parts) + "\n"


def _section(heading: str, text: str, rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"## {heading}", wrapped(text), table(rows[0], rows[1:])]


def wrapped(text: str, indent: str = "") -> str:
    """A paragraph, or with `indent` a list's item, in lines of WIDTH."""
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def run_rows(records: Sequence[Record]) -> list[list[str]]:
    """Where the records come from."""
    return [["replicate", "commit", "wall time of its stages", "lacks"]] + [
        [str(r["replicate"]), r["commit"] or NONE, duration(r["seconds"]), ", ".join(r["missing"]) or "nothing"]
        for r in records
    ]


def page(design: Design, records: Sequence[Record], absent: Sequence[int]) -> str:
    """A study's page."""
    tables = groups(design, records)
    figures = [figure for record in records for figure in _alpha_figure(record)]
    figures += [_claim_figure(heading, findings) for heading, findings in tables[:2] if any(f.pooled for f in findings)]
    figures += [figure for record in records for figure in _entropy_figure(design, record)]
    head = claim_rows(records, [])[0]
    rows = [[f"{row[0]} ({finding.benchmark})", *row[1:]]
            for _, findings in tables for finding,
            row in zip(findings, claim_rows(records, findings)[1:], strict=True)]  # fmt: skip
    notes = [
        halves_change(design, records),
        "All tables, and the counts that every number can be recomputed from, lie beside this page.",
    ]
    return figure_page(design.title, lead(design, records, absent), figures, [head, *rows], notes)


def picture(design: Design, records: Sequence[Record]) -> str:
    """The ladder and the sweep of alpha of the first replicate, as an SVG file."""
    first = records[0]
    rows = []
    for name in (name for name in design.ladder if name in first["models"]):
        estimate = study.score(first, name, [design.family])
        span = estimate.interval(CONFIDENCE)
        rows.append(Row(name, estimate.value, f"{results.percent(estimate.value)} {results.span(span)}", *span))
    kind = f"avg@{first['benchmarks'][design.family]['k']}"
    figures = [(f"Specialist: {kind} on {design.family}", charts.interval_chart(rows, design.title, axis_percent))]
    figures += [(f"Generalist: mean {kind} over alpha", svg) for _, svg, _ in _alpha_figure(first)]
    return charts.side_by_side(figures, f"{design.title}: replicate {first['replicate']}")


def _alpha_figure(record: Record) -> list[tuple[str, str, str]]:
    lines: list[Line] = []
    for tone, (sweep, name) in enumerate([(SPECIALIST_SWEEP, "specialist's traces"), (SELF_SWEEP, "own traces")]):
        models = {float(a): m for a, m in record["alphas"].get(sweep, {}).items() if m in record["models"]}
        if models:
            scores = {alpha: study.score(record, models[alpha], study.headline(record)) for alpha in sorted(models)}
            low, high = zip(*(estimate.interval(CONFIDENCE) for estimate in scores.values()), strict=True)
            lines.append(Line(name, list(scores), [estimate.value for estimate in scores.values()], low, high, tone))
    title = f"Alpha, replicate {record['replicate']}"
    caption = (
        "Mean of the benchmarks, intervals over questions and samples of this training. 0: distilled, 1: base. A "
        "merge of "
    )
    caption += "own traces that is as good says that the gain is no transfer from the specialist."
    return (
        [(title, charts.line_chart(lines, title, "alpha, share of the base", axis_percent), caption)] if lines else []
    )


def _claim_figure(heading: str, findings: Sequence[Finding]) -> tuple[str, str, str]:
    rows = []
    for finding in findings:
        if finding.pooled:
            low, high = finding.others or (None, None)
            label = f"{finding.claim.a} − {finding.claim.control}"
            rows.append(Row(label, finding.pooled.mean.value, spans(finding)[1], low, high))
    caption = "Mean of the replicates' differences in points, with the interval for other trainings."
    return heading, charts.interval_chart(rows, heading, axis_points, zero=True), caption


def _entropy_figure(design: Design, record: Record) -> list[tuple[str, str, str]]:
    curves = {
        name: record["rl"].get(stage, {}).get("entropy", []) for stage, name in zip(design.halves, HALVES, strict=True)
    }
    lines = [Line(name, list(range(1, len(y) + 1)), y, tone=i) for i, (name, y) in enumerate(curves.items()) if y]
    title = f"Entropy of the halves, replicate {record['replicate']}"
    caption = "Per token, each half on its own problems, whose difficulty need not be the same."
    return [(title, charts.line_chart(lines, title, "step", lambda y: f"{y:.3f}"), caption)] if len(lines) == 2 else []
