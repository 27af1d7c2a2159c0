"""The tournament's page, as Markdown and as one self-contained page."""

from collections.abc import Iterable, Sequence
from statistics import fmean

from polaris.charts import charts
from polaris.charts.charts import Row, axis_points
from polaris.charts.figure_page import figure_page
from polaris.evaluation import results
from polaris.report import study, study_page
from polaris.report.markdown_text import table
from polaris.report.study import CONFIDENCE, TRAININGS, Finding, Record
from polaris.report.study_designs import Design, StudyClaim
from polaris.report.study_page import NONE, spans, wrapped
from polaris.tournament import conclusions
from polaris.tournament.recovery import share
from polaris.tournament.roads import BASE, CLAIMS, ROADS, SPECIALIST, TITLES, Road, other_benchmarks, road_cost

GAIN = "Differences from the base generalist in points of avg@k, paired by question."
LEAD = StudyClaim("The specialist's lead", SPECIALIST, BASE, "")
PLAIN = [StudyClaim(road.title, road.model, BASE, "") for road in ROADS]
MERGED = [StudyClaim(TITLES[road.merged], road.merged, BASE, "") for road in ROADS if road.merged]


def found(records: Sequence[Record], claims: Sequence[StudyClaim], benchmarks: Iterable[str]) -> list[Finding]:
    """Each claim on each benchmark alone."""
    return [one for name in benchmarks for one in study.findings(records, claims, [name], name)]


def lead(design: Design, records: Sequence[Record], absent: Sequence[int]) -> list[str]:
    """The first paragraphs: what was run, how to read the intervals, what is missing."""
    others = " and ".join(other_benchmarks(study.headline(records[0])))
    missing = [f"Replicate {number} was not run." for number in absent]
    missing += [f"Replicate {r['replicate']} lacks {', '.join(r['missing'])}." for r in records if r["missing"]]
    if len(records) < TRAININGS:
        missing.append(f"An interval over trainings takes {TRAININGS}: nothing on this page holds for others yet.")
    family = design.family
    what = (
        f"{design.recipe} from scratch, {_times(len(records))}, with data, base models and sampling of its own each "
        f"time, asked the same questions. A small specialist is trained on {family}; a generalist, a mixture that "
        f"knows {family} and {others}, is to learn from it by each road, on the same prompts of {family} and with as "
        "many responses to each. Tiny models and made-up problems: it says how these roads compare here, and nothing "
        "about models of 4B or 235B."
    )
    how = (
        "These trainings: the mean over replicates with what other questions and samples would have made of it "
        "(bootstrap over questions, each with all its replicates). Other trainings: Student's t interval of the "
        "replicates' differences on these questions. Higher or lower is concluded only where both exclude 0. "
        f"{len(CLAIMS)} claims and {len(PLAIN) + len(MERGED)} gains are looked at on each benchmark, and the intervals "
        f"({100 * CONFIDENCE:g} %) are not corrected for that: of twenty true zeros one is called a difference. Trace "
        "SFT keeps the traces with right answers, so that it is told the gold answers; OPD and RAST are not."
    )
    return [what, how, *([" ".join(missing)] if missing else [])]


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def cost_rows(records: Sequence[Record]) -> list[list[str]]:
    """Tokens and operations of each road, means over the replicates that have them."""
    rows = [["road", "stages", "tokens generated", "of trace SFT's", "GFLOP", "of trace SFT's", "decoding a token"]]
    first = _mean_cost(records, ROADS[0])
    for road in ROADS:
        cells = [road.title + (" (control)" if road.control else ""), ", ".join(road.stages) or "none"]
        if (cost := _mean_cost(records, road)) is None:
            rows.append([*cells, *["missing"] * 4, NONE])
            continue
        shares = [f"{own / its:.2f}" if its else NONE for own, its in zip(cost, first or (0, 0), strict=True)]
        rows.append(
            [*cells, f"{cost[0]:,.0f}", shares[0], f"{cost[1] / 1e9:,.0f}", shares[1], _decoding(records, road)]
        )
    return rows


def _mean_cost(records: Sequence[Record], road: Road) -> tuple[float, float] | None:
    costs = [cost for record in records if (cost := road_cost(record, road))]
    return (fmean(cost[0] for cost in costs), fmean(cost[1] for cost in costs)) if costs else None


def _decoding(records: Sequence[Record], road: Road) -> str:
    """Operations of a decoded token, of the generalist's own; RAST asks two small models as well."""
    forward = records[0]["costs"]["forward"]
    if road.stages or not {"small", "large"} <= set(forward):
        return "1.00"
    return f"{1 + 2 * forward['small'] / forward['large']:.2f}"


def gain_rows(records: Sequence[Record], findings: Sequence[Finding], shares: bool) -> list[list[str]]:
    """A row per finding; shares: with the share of the specialist's lead."""
    numbers = [record["replicate"] for record in records]
    head = ["road", *(f"replicate {number}" for number in numbers), "these trainings", "other trainings"]
    rows = [[*head, *(["share of the lead", "other trainings"] if shares else []), "conclusion"]]
    for one in findings:
        cells = [one.claim.question, *_each(records, one), *spans(one)]
        rows.append([*cells, *(_share(records, one) if shares else []), one.conclusion])
    return rows


def _each(records: Sequence[Record], finding: Finding) -> list[str]:
    """The difference in each replicate, of a merge with the alpha that was chosen."""
    each = dict(zip(finding.models, finding.pooled.each_N if finding.pooled else (), strict=True))
    cells = []
    for record in records:
        if (number := record["replicate"]) not in each:
            cells.append("missing")
            continue
        sweep = record["alphas"].get(finding.claim.a, {})
        chosen = next((alpha for alpha, model in sweep.items() if model == finding.models[number][0]), None)
        cells.append(results.points(each[number]) + (f" (alpha {chosen})" if chosen else ""))
    return cells


def _share(records: Sequence[Record], finding: Finding) -> list[str]:
    found = share(records, finding.models, finding.benchmark)
    if found is None or found.these is None:
        return [NONE, NONE]
    both = f"{results.percent(found.value)} % {results.span(found.these)}"
    return [both, results.span(found.others) if found.others else NONE]


def claim_rows(records: Sequence[Record], findings: Sequence[Finding]) -> list[list[str]]:
    """Roads against each other, with what the one costs of the other."""
    head, *rows = study_page.claim_rows(records, findings)
    costs = [_compared_cost(records, one.claim) for one in findings]
    return [[*head, "tokens; operations"], *([*row, cost] for row, cost in zip(rows, costs, strict=True))]


def _compared_cost(records: Sequence[Record], claim: StudyClaim) -> str:
    roads = {road.model: road for road in ROADS} | {road.merged: road for road in ROADS if road.merged}
    pair = [_mean_cost(records, roads[name]) for name in (claim.a, claim.control)]
    if pair[0] is None or pair[1] is None:
        return "missing"
    ratios = [f"×{own / its:.2f}" if its else NONE for own, its in zip(*pair, strict=True)]
    return "; ".join(ratios)


def lead_text(records: Sequence[Record], family: str) -> str:
    """By how much the specialist is above the base generalist."""
    (finding,) = study.findings(records, [LEAD], [family], family)
    if finding.pooled is None:
        return f"The specialist's lead on {family} is not known yet."
    each = ", ".join(_each(records, finding))
    mean, others = spans(finding)
    over = f", {others} for other trainings" if finding.others else ""
    text = f"The specialist's lead on {family}, its avg@k less the base generalist's: {each}; mean {mean}{over}."
    if finding.others is None or finding.others[0] <= 0:
        text += " A share of it is stated for other trainings only where this interval is above 0."
    return text


def sections(records: Sequence[Record], family: str) -> list[tuple[str, str, list[list[str]]]]:
    """(heading, what it shows, table)."""
    names = study.headline(records[0])
    others = other_benchmarks(names)
    spent = (
        f"Beside the base models and the specialist, which all roads but self-distillation need{_specialist(records)}. "
        "A response counts with its prompt: sampled, once more read and trained on (3 forward passes) by RL's trainer, "
        "read by each model that teaches; a trace is sampled by its writer and trained on in each epoch, where it is "
        "kept. A merge costs nothing more; choosing its alpha costs evaluations, RAST two small models at each decoded "
        "token."
    )
    rows = [("What each road costs", spent, cost_rows(records))]
    recovered = f"{GAIN} {lead_text(records, family)}"
    rows.append(
        (f"What each road recovers: {family}", recovered, gain_rows(records, found(records, PLAIN, [family]), True))
    )
    for name in others:
        rows.append((f"What each road loses: {name}", GAIN, gain_rows(records, found(records, PLAIN, [name]), False)))
    chosen = f"{GAIN} Each alpha is chosen on questions that are not reported; 0: unmerged, 1: the base."
    for name in names:
        rows.append(
            (f"After the merge: {name}", chosen, gain_rows(records, found(records, MERGED, [name]), name == family))
        )
    paired = "Differences of avg@k in points, paired by question; tokens and operations of the first over the second's."
    for name in names:
        rows.append((f"Against each other: {name}", paired, claim_rows(records, found(records, CLAIMS, [name]))))
    return rows


def _specialist(records: Sequence[Record]) -> str:
    """What its RL has cost, in parentheses; nothing where it has not run."""
    costs = [cost for record in records if (cost := record["costs"]["stages"].get(SPECIALIST))]
    if not costs:
        return ""
    tokens, flops = (fmean(cost[key] for cost in costs) for key in ("generated", "flops"))
    return f" (its RL alone generates {tokens:,.0f} tokens in {flops / 1e9:,.0f} GFLOP)"


def concluded(records: Sequence[Record]) -> tuple[list[str], list[str], list[str]]:
    """What may be concluded, what may not, and how small a difference could be seen."""
    names = study.headline(records[0])
    findings = found(records, [*PLAIN, *CLAIMS], names)
    resolved = [text for name in names if (text := conclusions.resolution(findings, name))]
    return conclusions.may(findings), conclusions.may_not(findings), resolved


def markdown(design: Design, records: Sequence[Record], absent: Sequence[int]) -> str:
    """The page as Markdown; absent: replicates without a record."""
    parts = [
        f"# {design.title}",
        "Written by `polaris study` from the records beside it; `make study-tournament` runs it all.",
        *map(wrapped, lead(design, records, absent)),
    ]
    yes, no, resolved = concluded(records)
    parts += ["## What may be concluded", _bullets(yes or ["Nothing."])]
    parts += ["## What may not be concluded", wrapped(" ".join(resolved)), _bullets(no or ["Nothing was left open."])]
    for heading, text, rows in sections(records, design.family):
        parts += _section(heading, text, rows)
    parts += _section("Scores", "avg@k in percent.", study_page.score_rows(records))
    parts += _section("Replicates", "Where the records come from.", study_page.run_rows(records))
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(heading: str, text: str, rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"## {heading}", wrapped(text), table(rows[0], rows[1:])]


def _bullets(sentences: Sequence[str]) -> str:
    return "\n".join(wrapped(f"- {one}", "  ") for one in sentences)


def page(design: Design, records: Sequence[Record], absent: Sequence[int]) -> str:
    """The page with pictures: what each road gains and loses, the claims, the sentences."""
    names = study.headline(records[0])
    figures = [figure for name in names for figure in _gain_figure(records, name)]
    head = ["on", *claim_rows(records, [])[0]]
    findings = found(records, CLAIMS, names)
    rows = [[one.benchmark, *row] for one, row in zip(findings, claim_rows(records, findings)[1:], strict=True)]
    yes, no, resolved = concluded(records)
    notes = ["May be concluded:", *(yes or ["Nothing."]), "May not be concluded:", *resolved, *no]
    notes += ["All tables, and the counts that every number can be recomputed from, lie beside this page."]
    return figure_page(design.title, lead(design, records, absent), figures, [head, *rows], notes)


def _gain_figure(records: Sequence[Record], name: str) -> list[tuple[str, str, str]]:
    rows, ahead = [], [] if other_benchmarks([name]) else [LEAD]  # elsewhere it was taught nothing
    for one in found(records, [*ahead, *PLAIN, *MERGED], [name]):
        if one.pooled:
            low, high = one.others or (None, None)
            rows.append(Row(one.claim.question, one.pooled.mean.value, spans(one)[1], low, high))
    heading = f"Above the base generalist on {name}"
    caption = "Mean of the replicates' differences in points, with the interval for other trainings."
    return [(heading, charts.interval_chart(rows, heading, axis_points, zero=True), caption)] if rows else []
