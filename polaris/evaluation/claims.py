"""Claims about a method and their controls: the same training without the method.

A control is found by its settings, never by its name. Once what the claim is about is taken out of both, the two stages
have equal settings, steps and seed among them, the same problems, and the same start, or starts that are each other's
control in the same sense: two chains that differ in the method alone.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

TRAINING, PROCESS_REWARD, FILTER, HALF = "training", "process reward", "overlap filter", "half that the filter keeps"
RESCUE = "rollout rescue"
MERGE, TRANSFER, SOUP = "merge", "weak-to-strong transfer", "merge of several"
WITHOUT = {
    PROCESS_REWARD: "rewarded by the outcome alone",
    FILTER: "on all problems",
    HALF: "on the other half of the problems",
    RESCUE: "without rescue",
}
# Settings of a training stage on which no number of the trained model depends.
IDLE = {"validate", "timeout", "save_every", "rollout_store", "alarm", "loggers"}


@dataclasses.dataclass(frozen=True)
class TrainedStage:
    """An RL stage as its manifests describe it.

    start: the model that it began from; settings: of the training; problems: digest of its problems, before an overlap
    filter; overlap: settings of the filter and of its rollouts, None without one
    """

    name: str
    start: str
    settings: Mapping[str, Any]
    problems: str
    overlap: Mapping[str, Any] | None


@dataclasses.dataclass(frozen=True)
class Claim:
    """What a comparison could show.

    a: the model of the claim; b: its control, None where none was run; explanation: how b differs, or what is missing
    """

    about: str
    a: str
    b: str | None
    explanation: str


def _uses(stage: TrainedStage, method: str) -> bool:
    if method == PROCESS_REWARD:
        return stage.settings["reward"] == "core"
    if method == RESCUE:
        return bool(stage.settings["rescue"])
    return stage.overlap is not None and stage.overlap["keep"] != "lower_half"


def _lacks(stage: TrainedStage, method: str) -> bool:
    """It could be a control: what stands in the method's place."""
    if method == PROCESS_REWARD:
        return stage.settings["reward"] == "outcome"
    if method == RESCUE:
        return not stage.settings["rescue"]
    if method == FILTER:
        return stage.overlap is None
    return stage.overlap is not None and stage.overlap["keep"] == "lower_half"


def _rest(stage: TrainedStage, method: str) -> dict[str, Any]:
    """The stage without the method and its start."""
    out = {PROCESS_REWARD: {"reward", "core"}, FILTER: {"overlap"}, HALF: set(), RESCUE: {"rescue"}}[method]
    overlap = stage.overlap
    if method == HALF and overlap:
        overlap = {key: value for key, value in overlap.items() if key != "keep"}
    rest = {**stage.settings, "problems": stage.problems, "overlap": overlap}
    return {key: value for key, value in rest.items() if key not in out | IDLE}


def control(stage: TrainedStage, method: str, stages: Mapping[str, TrainedStage]) -> TrainedStage | None:
    """The same training without the method; from the same start, if there is such a one, else from the start's
    control.
    """
    if not _uses(stage, method):
        return None
    starts = [stage.start]
    if stage.start in stages and (before := control(stages[stage.start], method, stages)):
        starts.append(before.name)
    rest = _rest(stage, method)
    for start in starts:
        for other in stages.values():
            if other.start == start and _lacks(other, method) and _rest(other, method) == rest:
                return other
    return None


def rl_claims(stages: Sequence[TrainedStage]) -> list[Claim]:
    """What each RL stage could be said to show: that training helps, and what each of its methods adds."""
    by_name = {stage.name: stage for stage in stages}
    claims = [
        Claim(TRAINING, stage.name, stage.start, f"its start, {stage.settings['steps']} steps before")
        for stage in stages
    ]
    for method, without in WITHOUT.items():
        for stage in (stage for stage in stages if _uses(stage, method)):
            steps = f"{stage.settings['steps']} steps"
            other = control(stage, method, by_name)
            if other is None:
                explanation = f"no control was run ({steps} from {stage.start} {without})"
            elif other.start == stage.start:
                explanation = f"{steps} from {stage.start}, too, {without}"
            else:
                explanation = f"{steps}, too, {without}, from {other.start}, whose training was, too"
            claims.append(Claim(method, stage.name, other and other.name, explanation))
    return claims


def merge_claims(
    ends: Sequence[str], chosen: str | None, on_reported: bool, own_ends: Sequence[str], own_chosen: str | None
) -> list[Claim]:
    """The merge against both of its parts, and against the merge of the model that learned from its own traces.

    ends: base and distilled model; chosen: the model at the alpha that was chosen, None where none was; on_reported: on
    questions that are also reported; own_ends, own_chosen: the same of the control, empty and None without one
    """
    if not ends:
        return []
    if chosen is None or on_reported:
        explanation = _not_chosen("alpha", on_reported)
        return [
            Claim(MERGE, chosen or "merged", None, explanation),
            Claim(TRANSFER, chosen or "merged", None, explanation),
        ]
    if chosen in ends:
        claims = [Claim(MERGE, chosen, None, "the alpha that was chosen is an end of the sweep: this is no merge")]
    else:
        claims = [Claim(MERGE, chosen, end, "one of its two parts") for end in ends]
    if own_chosen is None:
        explanation = "no control was run (the same distillation of its own traces: large_sft.self_distillation)"
    elif own_chosen == chosen:
        explanation, own_chosen = (
            f"the choice of alpha took {chosen} in both arms: nothing of either distillation is left",
            None,
        )
    else:
        kind = "" if own_chosen in own_ends else "merge of the "
        explanation = f"the {kind}same distillation of its own traces, at the alpha chosen for it"
    return [*claims, Claim(TRANSFER, chosen, own_chosen, explanation)]


def soup_claims(parts: Sequence[str], chosen: str | None, on_reported: bool) -> list[Claim]:
    """The average of several distilled models against each of its parts; chosen, on_reported: as in `merge_claims`."""
    if chosen is None or on_reported:
        return [Claim(SOUP, chosen or "merged", None, _not_chosen("point", on_reported))]
    if chosen in parts:
        return [Claim(SOUP, chosen, None, "the point that was chosen is one of the models alone: this is no average")]
    return [Claim(SOUP, chosen, part, "one of the averaged models") for part in parts]


def _not_chosen(what: str, on_reported: bool) -> str:
    why = f"its {what} was chosen on reported questions" if on_reported else f"no {what} was chosen"
    return f"{why}; questions kept apart for it are missing (merge.select_on)"


def conclusion(claim: Claim, verdict: Mapping[str, str]) -> str:
    """No more than the control allows. verdict: benchmark as it is headed -> higher, lower, no difference shown."""
    if claim.b is None:
        return "no conclusion"
    words: dict[str, list[str]] = {"higher": [], "lower": []}
    for benchmark, word in verdict.items():
        words.setdefault(word, []).append(benchmark)
    benchmarks = {word: where for word, where in words.items() if where}
    if len(benchmarks) == 1:
        return next(iter(benchmarks))
    return "; ".join(f"{word} on {' and '.join(where)}" for word, where in benchmarks.items())
