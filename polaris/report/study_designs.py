"""The studies: their claims, each with its control."""

import dataclasses

# Two sweeps of alpha: of the model that learned the specialist's traces, and of the one that learned its own.
SPECIALIST_SWEEP, SELF_SWEEP = "merge", "merge of own traces"


@dataclasses.dataclass(frozen=True)
class StudyClaim:
    """a against its control; `same` says what both share and in what they differ.

    a, control: models, or a sweep (SPECIALIST_SWEEP, SELF_SWEEP), whose alpha is the best on the benchmarks kept for
        this choice
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
    specialist: tuple[StudyClaim, ...]
    generalist: tuple[StudyClaim, ...]
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
        StudyClaim("Does the format SFT gain?", "format_sft", "base_small", "what it starts from; trained or not"),
        StudyClaim("Does GRPO gain?", "grpo", "format_sft", "what it starts from; trained or not"),
        StudyClaim("CORE instead of GRPO?", "core", "grpo", "start, problems, steps and seed; the reward differs"),
        StudyClaim("The same, a second stage long?", "core_unfiltered", "grpo_grpo",
                   "steps and seeds; the rewards of both stages"),
        StudyClaim("The filter instead of all problems?", "core_filtered", "core_unfiltered",
                   "start, steps and seed; the problems"),
        StudyClaim("Its half instead of the other?", "core_filtered", "core_high", "start, steps and seed; the half"),
        StudyClaim("The guarded reward?", "core_guarded", "core",
                   "start, problems, steps and seed; the reward's denominator"),
    ),
    generalist=(
        StudyClaim("Is the merge above the base?", SPECIALIST_SWEEP, "base_large", "one of its two parts"),
        StudyClaim("Is it above the distilled model?", SPECIALIST_SWEEP, "distilled", "the other part"),
        StudyClaim("Is it more than self-distillation?", SPECIALIST_SWEEP, SELF_SWEEP,
                   "prompts, selection, training, alphas; whose traces"),
        StudyClaim("The specialist's traces, unmerged?", "distilled", "distilled_self",
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
        StudyClaim("Does GRPO gain?", "grpo", "format_sft", "what it starts from; trained or not"),
        StudyClaim("CORE with sets of its own?", "core", "grpo", "start, problems, steps and seed; the reward"),
        StudyClaim("CORE with a teacher's sets?", "core_teacher", "grpo",
                   "start, problems, steps and seed; the reward"),
        StudyClaim("... with sets of other problems?", "core_placebo", "grpo",
                   "start, problems, steps and seed; the reward"),
        StudyClaim("Is it what the sets say?", "core_teacher", "core_placebo", "all but whose sets a problem has"),
        StudyClaim("Rescue by the teacher's answers?", "rescued", "grpo",
                   "start, problems, steps and seed; the rescue"),
        StudyClaim("The answers instead of their results?", "rescued", "core_teacher",
                   "start, problems, steps, seed, teacher; the form of the hint"),
        StudyClaim("Plain training on the answers?", "teacher_sft", "rescued",
                   "start and teacher; the training, its steps and time"),
        StudyClaim("The filter's half, as difficult as the other?", "core_filtered", "core_high",
                   "start, steps, seed, accuracy; the half"),
    ),
    generalist=(),
    ladder=(),
    halves=("core_filtered", "core_high"),
    underlined=("grpo", "core", "core_teacher", "core_placebo"),
)  # fmt: skip

SMOLLM2 = Design(
    title="SmolLM2-135M on word problems: claims beside their controls",
    recipe="The recipe of a real language model (configs/smollm2.yaml)",
    records="smollm2",
    run="smollm2",
    markdown="smollm2_replicates.md",
    page="smollm2.html",
    family="words_told",  # of `words`, with stories of its own, the model solves one in a hundred
    specialist=(
        StudyClaim("Does the format SFT gain?", "format_sft", "base_small", "what it starts from; trained or not"),
        StudyClaim("Does GRPO gain?", "grpo", "format_sft", "what it starts from; trained or not"),
        StudyClaim("CORE instead of GRPO?", "core", "grpo", "start, problems, steps and seed; the reward differs"),
        StudyClaim("Is it what the sets say?", "core", "core_placebo", "all but whose sets a problem has"),
        StudyClaim("The filter instead of all problems?", "core_filtered", "core_unfiltered",
                   "start, steps and seed; the problems"),
        StudyClaim("Its half instead of the other?", "core_filtered", "core_high", "start, steps and seed; the half"),
    ),
    generalist=(
        StudyClaim("Is the merge above the base?", SPECIALIST_SWEEP, "base_large", "one of its two parts"),
        StudyClaim("Is it above the distilled model?", SPECIALIST_SWEEP, "distilled", "the other part"),
        StudyClaim("Is it more than self-distillation?", SPECIALIST_SWEEP, SELF_SWEEP,
                   "prompts, selection, training, alphas; whose traces"),
    ),
    ladder=("base_small", "format_sft", "grpo", "core", "core_filtered"),
    halves=("core_filtered", "core_high"),
    underlined=("grpo", "core", "core_placebo"),
)  # fmt: skip

DESIGNS = (LAPTOP, SPARSE, SMOLLM2)
