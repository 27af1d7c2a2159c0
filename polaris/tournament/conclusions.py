"""What may and what may not be concluded from the tournament, in sentences; none without its intervals."""

import statistics as moments
from collections.abc import Sequence

from polaris.evaluation import results
from polaris.report.study import Finding
from polaris.tournament.roads import TITLES


def sentence(finding: Finding) -> str:
    """What the finding says about its two models on its benchmark."""
    a, b = TITLES[finding.claim.a], TITLES[finding.claim.control]
    where = f"On {finding.benchmark}"
    if finding.pooled is None or finding.these is None:
        absent = sorted({TITLES.get(name, name) for names in finding.missing.values() for name in names})
        return f"{where}, nothing about {a} against {b}: {', '.join(absent)} not run."
    mean = results.points(finding.pooled.mean.value)
    these = f"{mean} {results.span(finding.these, results.points)}"
    if finding.others is None:
        many = len(finding.models)
        trainings = "one training" if many == 1 else f"{many} trainings"
        return f"{where}, {a} less {b}: {these} in {trainings}; nothing about others."
    others = results.span(finding.others, results.points)
    if finding.conclusion in ("higher", "lower"):
        return f"{where}, {a} is {finding.conclusion} than {b}: {these} in these trainings, {others} for others."
    if finding.conclusion != "no difference shown":  # one of the two intervals excludes 0
        shown, here = finding.conclusion.split()[0], not finding.these[0] <= 0 <= finding.these[1]
        held, open_ = ("in these trainings", "for others") if here else ("on these questions", "on others")
        first, second = (these, others) if here else (f"{mean} {others}", results.span(finding.these, results.points))
        so = f"that it is so {open_} may not be concluded: {second}"
        return f"{where}, {a} is {shown} than {b} {held}, {first}; {so}."
    return f"{where}, neither of {a} and {b} is shown to be better: {these} in these trainings, {others} for others."


def may(findings: Sequence[Finding]) -> list[str]:
    """What may be concluded for other trainings and questions of this recipe."""
    return [sentence(one) for one in findings if one.conclusion in ("higher", "lower")]


def may_not(findings: Sequence[Finding]) -> list[str]:
    """What may not, each with the intervals that forbid it."""
    return [sentence(one) for one in findings if one.conclusion not in ("higher", "lower")]


def resolution(findings: Sequence[Finding], benchmark: str) -> str | None:
    """How small a difference these questions and trainings could show, by the intervals that were found."""
    half = lambda spans: 100 * moments.median((high - low) / 2 for low, high in spans)
    mine = [one for one in findings if one.benchmark == benchmark]
    these = [one.these for one in mine if one.these]
    if not these:
        return None
    text = f"On {benchmark} the median interval is {half(these):.1f} points to each side for these trainings"
    if others := [one.others for one in mine if one.others]:
        text += f" and {half(others):.1f} for others"
    return f"{text}: a smaller difference is not seen."
