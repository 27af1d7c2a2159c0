"""The studies: which claims are looked at, each beside the one control that can carry it."""

import dataclasses

# Two sweeps of alpha: of the model that learned the specialist's traces, and of the one that learned its own.
SPECIALIST, OWN = "merge", "merge of own traces"


@dataclasses.dataclass(frozen=True)
class Claim:
    """a against its control; `same` says what both share and in what they differ.

    a, control: models, or a sweep (SPECIALIST, OWN): its alpha that is best on the benchmarks kept for this choice
    """

    question: str
    a: str
    control: str
    same: str


@dataclasses.dataclass(frozen=True)
class Design:
    """One study over replicates of one recipe.

    records: what its records' names begin with; run: what its runs' do; family: the benchmark that the specialist is
    trained for, of other questions it knows nothing before and after; halves: RL stages on the two halves of the
    overlap filter, the one with more overlap first; ladder: the small models of its picture, empty without one;
    underlined: models whose underlined results are counted
    """

    title: str
    recipe: str
    records: str
    run: str
    markdown: str
    page: str
    family: str
    specialist: tuple[Claim, ...]
    generalist: tuple[Claim, ...]
    ladder: tuple[str, ...]
    halves: tuple[str, str]
    underlined: tuple[str, ...]


LAPTOP = Design(
    title="The laptop study: claims beside their controls",
    recipe="The laptop recipe",
    records="laptop",
    run="study",
    markdown="README.md",
    page="index.html",
    family="chain",
    specialist=(
        Claim("Does the format SFT gain?", "format_sft", "base_small", "what it starts from; trained or not"),
        Claim("Does GRPO gain?", "grpo", "format_sft", "what it starts from; trained or not"),
        Claim("CORE instead of GRPO?", "core", "grpo", "start, problems, steps and seed; the reward differs"),
        Claim("The same, a second stage long?", "core_unfiltered", "grpo_grpo",
              "steps and seeds; the rewards of both stages"),
        Claim("The filter instead of all problems?", "core_filtered", "core_unfiltered",
              "start, steps and seed; the problems"),
        Claim("Its half instead of the other?", "core_filtered", "core_high", "start, steps and seed; the half"),
        Claim("The guarded reward?", "core_guarded", "core",
              "start, problems, steps and seed; the reward's denominator"),
    ),
    generalist=(
        Claim("Is the merge above the base?", SPECIALIST, "base_large", "one of its two parts"),
        Claim("Is it above the distilled model?", SPECIALIST, "distilled", "the other part"),
        Claim("Is it more than self-distillation?", SPECIALIST, OWN,
              "prompts, selection, training, alphas; whose traces"),
        Claim("The specialist's traces, unmerged?", "distilled", "distilled_self",
              "prompts, selection, training; whose traces"),
    ),
    ladder=("base_small", "format_sft", "grpo", "core", "core_filtered"),
    halves=("core_filtered", "core_high"),
    underlined=("grpo", "core", "core_guarded"),
)  # fmt: skip

SPARSE = Design(
    title="Sparse rewards: what an outside hint is worth, and in which form",
    recipe="The recipe of sparse rewards (configs/laptop_sparse.yaml)",
    records="sparse",
    run="sparse",
    markdown="sparse.md",
    page="sparse.html",
    family="digits",
    specialist=(
        Claim("Does GRPO gain?", "grpo", "format_sft", "what it starts from; trained or not"),
        Claim("CORE with sets of its own?", "core", "grpo", "start, problems, steps and seed; the reward"),
        Claim("CORE with a teacher's sets?", "core_teacher", "grpo", "start, problems, steps and seed; the reward"),
        Claim("... with sets of other problems?", "core_placebo", "grpo",
              "start, problems, steps and seed; the reward"),
        Claim("Is it what the sets say?", "core_teacher", "core_placebo", "all but whose sets a problem has"),
        Claim("Rescue by the teacher's answers?", "rescued", "grpo", "start, problems, steps and seed; the rescue"),
        Claim("The answers instead of their results?", "rescued", "core_teacher",
              "start, problems, steps, seed, teacher; what is told"),
        Claim("Plain training on the answers?", "teacher_sft", "rescued",
              "start and teacher; the training, its steps and time"),
        Claim("The filter's half, as difficult as the other?", "core_filtered", "core_high",
              "start, steps, seed, accuracy; the half"),
    ),
    generalist=(),
    ladder=(),
    halves=("core_filtered", "core_high"),
    underlined=("grpo", "core", "core_teacher", "core_placebo"),
)  # fmt: skip

DESIGNS = (LAPTOP, SPARSE)
