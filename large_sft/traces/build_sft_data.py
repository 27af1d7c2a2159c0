"""Stage: traces worth teaching, as tokens of the generalist's own chat template.

Without `--responses` the problems' own worked solutions are the traces. `tokens.parquet` are the examples, `card.html`
what was dropped and why, and one example with its loss mask; `log/traces.parquet` says it of each trace.
`large_sft.traces.template` says what a template does to a trace.
"""

import collections
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from large_sft.settings import SftData
from large_sft.traces.repetition import repeated_share
from large_sft.traces.template import Example, Prompt, check_template, decoded, example_of, prompt_of, rendered
from large_sft.traces.traces_card import traces_card
from polaris.grading.answers import END_OF_THOUGHT, NO_THINK, TRUNCATED
from polaris.grading.grade import grade_responses
from polaris.models.chat_template import ChatTemplate
from polaris.models.prompts import load_tokenizer
from polaris.problems.contamination import Held, HeldOut, leaks
from polaris.problems.solutions import from_solutions
from polaris.stage.errors import UserError
from polaris.stage.records import RESPONSES, TOKENS, TRACES, TRACES_FILE, read_problems, read_rows, write_rows
from polaris.stage.stage import Stage, run_verb

DUPLICATE, CONTAMINATED, REPETITIVE = "duplicate", "contaminated", "repetitive"
BORDER = 4  # tokens on each side of it that the card shows one by one
Problems = dict[str, dict[str, Any]]  # rows of records.PROBLEMS by id
Responses = list[dict[str, Any]]  # rows of records.RESPONSES
Dropped = dict[int, str]  # place among the responses -> why it is not taught


def together(sets: dict[str, Problems], responses: Responses) -> tuple[Problems, Responses]:
    """Problems and responses of several sets as of one. Ids are unique within a set alone: they become `set/id`.

    Raises UserError for a response to a set that is not here.
    """
    if len(sets) == 1:
        return next(iter(sets.values())), responses
    if unknown := next((row["set"] for row in responses if row["set"] not in sets), None):
        raise UserError(f"there are responses to the set {unknown}, whose problems are not here; generate anew")
    problems = {
        f"{name}/{key}": row | {"id": f"{name}/{key}"} for name, rows in sets.items() for key, row in rows.items()
    }
    return problems, [row | {"problem_id": f"{row['set']}/{row['problem_id']}"} for row in responses]


def lengths(examples: list[Example]) -> dict[str, int]:
    """Histogram of lengths: "<=1024" -> examples of 513..1024 tokens."""
    bounds = collections.Counter(1 << (len(example.input_ids) - 1).bit_length() for example in examples)
    return {f"<={bound}": bounds[bound] for bound in sorted(bounds)}


def unfit(response: dict[str, Any], seen: set[tuple[str, str]]) -> str | None:
    """Why a trace is not taught, by its text alone; `seen` remembers what was there before."""
    if response["finish_reason"] != "stop":
        return TRUNCATED
    if END_OF_THOUGHT not in response["response"]:
        return NO_THINK
    key = (response["problem_id"], response["response"])
    if key in seen:
        return DUPLICATE
    seen.add(key)
    return None


def fates(responses: Responses, dropped: Dropped) -> Iterator[dict[str, Any]]:
    """Rows of records.TRACES."""
    for place, response in enumerate(responses):
        yield {name: response[name] for name in TRACES.names[:-1]} | {"reason": dropped.get(place)}


def contaminated(responses: Responses, problems: Problems, held: Sequence[Held], settings: SftData) -> set[str]:
    """Problems of which the text or a response holds a benchmark's problem; one text each, whatever the responses."""
    texts = {response["problem_id"]: problems[response["problem_id"]]["problem"] for response in responses}
    for response in responses:
        texts[response["problem_id"]] += "\n\n" + response["response"]
    ids = list(texts)
    leaking = leaks(list(texts.values()), HeldOut(held, settings.leak_ngram), settings.leak_template)
    return {ids[number] for number in leaking}


def select(
    responses: Responses,
    problems: Problems,
    held: Sequence[Held],
    settings: SftData,
    dropped: Dropped,
) -> list[int]:
    """Places of the responses that are taught, as far as texts and gold answers say; the others go to `dropped`."""
    seen: set[tuple[str, str]] = set()
    for place, response in enumerate(responses):
        if reason := unfit(response, seen):
            dropped[place] = reason
    finished = {place: response for place, response in enumerate(responses) if place not in dropped}
    if unknown := next((r["problem_id"] for r in finished.values() if r["problem_id"] not in problems), None):
        raise UserError(
            f"problem {unknown}: there is a response to it, but it is not among the problems; generate anew"
        )
    leaking = contaminated([*finished.values()], problems, held, settings)
    dropped |= {place: CONTAMINATED for place, response in finished.items() if response["problem_id"] in leaking}
    clean = [place for place in finished if place not in dropped]
    if settings.verify != "none":
        graded = grade_responses([responses[place] for place in clean], problems, settings.grading)
        dropped |= {place: v["reason"] for place, v in zip(clean, graded, strict=True) if not v["correct"]}
    return [place for place in clean if place not in dropped]


def shown(tokenizer: Any, example: Example) -> list[tuple[str, int, str]]:
    """One example for people: (loss or not, number of tokens, text), then the tokens at the border."""
    prompt, taught = example.input_ids[: example.prompt_tokens], example.taught
    parts = [("no", prompt), ("yes", taught)]
    border = [("no", [token]) for token in prompt[-BORDER:]] + [("yes", [token]) for token in taught[:BORDER]]
    return [(loss, len(ids), decoded(tokenizer, ids)) for loss, ids in parts] + [
        (loss, 1, repr(decoded(tokenizer, ids))) for loss, ids in border
    ]


class Examples:
    """The traces that became examples, one by one.

    repeated: shares of repeated runs, of every trace that was measured; rewritten: examples whose text the template
    itself would write otherwise
    """

    def __init__(self, template: ChatTemplate, settings: SftData):
        self.template, self.settings = template, settings
        self.kept: list[Example] = []
        self.repeated: list[float] = []
        self.rewritten = 0

    def add(self, problem_id: str, problem: str, response: str) -> str | None:
        """Keep the trace as an example; or why it is none."""
        prompt = prompt_of(self.template, problem, self.settings.instruction)
        example = example_of(self.template.tokenizer, problem_id, prompt, response, self.settings.max_tokens)
        if isinstance(example, Example):
            self.repeated.append(repeated_share(example.taught, self.settings.repeated_ngram))
            if self.repeated[-1] > self.settings.max_repeated:
                example = REPETITIVE
        if isinstance(example, str):
            return example
        self.kept.append(example)
        self.rewritten += not self._as_the_template_writes_it(prompt, response)
        return None

    def _as_the_template_writes_it(self, prompt: Prompt, response: str) -> bool:
        ours = prompt.text + prompt.turn(response) + self.template.tokenizer.eos_token
        return rendered(self.template, prompt, response).startswith(ours)


def main() -> None:
    # Of the base the tokenizer is read, and none of its weights.
    flags = {"inputs": ("base",), "repeated": ("problems", "responses", "benchmarks"), "unchecked": ("base",)}
    with (
        Stage.from_command_line("large_sft.traces.build_sft_data", SftData, **flags) as stage,
        ChatTemplate(load_tokenizer(stage.inputs["base"].model)) as template,
    ):
        check_template(template)
        sets = {one.stage: read_problems(one.file("problems.parquet")) for one in stage.inputs["problems"]}
        traces = [
            row for one in stage.inputs["responses"] for row in read_rows(one.file("responses.parquet"), RESPONSES)
        ]
        problems, responses = together(sets, traces)
        responses = responses if stage.inputs["responses"] else from_solutions(problems)
        benchmarks = {b.stage: read_problems(b.file("problems.parquet")) for b in stage.inputs["benchmarks"]}
        held = [Held(name, row["id"], row["problem"]) for name, rows in benchmarks.items() for row in rows.values()]
        dropped: Dropped = {}
        examples = Examples(template, stage.settings)
        for place in select(responses, problems, held, stage.settings, dropped):
            problem_id = responses[place]["problem_id"]
            if reason := examples.add(problem_id, problems[problem_id]["problem"], responses[place]["response"]):
                dropped[place] = reason
        counts, kept = dict(collections.Counter(dropped.values()).most_common()), examples.kept
        write_rows(stage.log / TRACES_FILE, fates(responses, dropped), TRACES)
        if not kept:
            raise UserError(f"{stage.name}: no trace of {len(responses)} is left; dropped: {counts}")
        write_rows(stage.partial / "tokens.parquet", map(dataclasses.asdict, kept), TOKENS)
        note = (
            f"Of {len(kept):,} examples the template itself would write {examples.rewritten:,} otherwise than they "
            "were generated (blanks around the think block); taught is what was generated."
        )
        page = traces_card(
            len(responses), counts, lengths(kept), examples.repeated, shown(template.tokenizer, kept[0]), note
        )
        (stage.partial / "card.html").write_text(page)
        taught = sum(len(example.taught) for example in kept)
        stage.say(f"{len(kept)} of {len(responses)} traces, {taught} tokens with loss; dropped: {counts or 'none'}")
        stage.publish(
            metrics={
                "examples": len(kept),
                "dropped": counts,
                "tokens": sum(len(example.input_ids) for example in kept),
                "tokens_with_loss": taught,
                "lengths": lengths(kept),
                "rewritten": examples.rewritten,
            }
        )


if __name__ == "__main__":
    run_verb(main)
