"""What the specialist starts from: format SFT, a teacher's answers, difficulty-filtered RL data."""

from small_rl.format_settings import FormatData
from small_rl.study_settings import TEACHER_SETS, TEACHER_STAGES, TeacherSets

SMALL = RECIPE.small_rl

# A model's answers under the underline instruction (V2 blog: GPT-OSS-20B on 20K problems): their folder -> set.
# Without a teacher the problems bring worked solutions.
TAUGHT = {stage: name for name, stage in TEACHER_STAGES.items()}
TEACHER_K = SMALL.teacher.k if SMALL.teacher else {}
WORKED = data_of(TEACHER_STAGES["format"]) if "format" in TEACHER_K else None
ANSWERS = data_of(TEACHER_STAGES["rl"]) if "rl" in TEACHER_K else None
TEACHER = ANSWERS if SMALL.rl_data.consensus == "teacher" else None


def one_set(generate, name: str, called: str) -> str:
    """Settings of the k responses to one set alone, which is called as its folder."""
    return settings(generate.model_copy(update={"k": {called: generate.k[name]}}))


rule teacher_responses:
    "The teacher's k responses to every problem of a set."
    input:
        model=checkpoint_of("teacher_model"),
        problems=lambda w: data_of(f"clean/{TAUGHT[w.taught]}"),
    output:
        data_of("{taught}"),
    wildcard_constraints:
        taught=one_of(folder for folder, name in TAUGHT.items() if name in TEACHER_K),
    params:
        settings=lambda w: one_set(SMALL.teacher, TAUGHT[w.taught], TAUGHT[w.taught]),
        code=lambda w: code("polaris.generation.generate", data_of(w.taught)),
    threads: 1
    priority: 1
    resources:
        machine_mb=VLLM_MB,
    benchmark:
        f"{RUN}/{{taught}}/benchmark.tsv"
    shell:
        "{PY[generate]} -m polaris.generation.generate --settings {params.settings:q} --code {params.code} "
        "--model {input.model} --problems {input.problems} --out {output}"


if SMALL.format_sft:

    rule format_data:
        "Worked answers that teach the format."
        input:
            problems=data_of("clean/format"),
            responses=WORKED or [],
        output:
            data_of("format_data"),
        params:
            settings=lambda w: settings(SMALL.format_data),
            code=lambda w: code("small_rl.data.build_format_data", data_of("format_data")),
            responses=lambda w: option("responses", WORKED),
        threads: 1
        priority: 2
        benchmark:
            f"{RUN}/format_data/benchmark.tsv"
        shell:
            "{PY[polaris]} -m small_rl.data.build_format_data --settings {params.settings:q} --code {params.code} "
            "--problems {input.problems} {params.responses} --out {output}"

    rule format_sft:
        "Format SFT: underline important intermediate results (V2 blog, 1. 4B training)."
        input:
            start=checkpoint_of("base_small"),
            data=data_of("format_data"),
        output:
            checkpoint_of("format_sft"),
        params:
            settings=lambda w: settings(SMALL.format_sft),
            code=lambda w: code("small_rl.training.train_format", checkpoint_of("format_sft")),
        threads: 1 if ON_CPU else 2
        priority: 1
        resources:
            machine_mb=SFT_MB,
        benchmark:
            f"{RUN}/format_sft/benchmark.tsv"
        shell:
            "{PY[rl]} -m small_rl.training.train_format --settings {params.settings:q} --code {params.code} "
            "--start {input.start} --data {input.data} --out {output}"


rule difficulty:
    "k rollouts of every RL problem."
    input:
        model=checkpoint_of(SMALL.difficulty_model),
        problems=data_of("clean/rl"),
    output:
        data_of("difficulty"),
    params:
        settings=lambda w: settings(SMALL.difficulty),
        code=lambda w: code("polaris.generation.generate", data_of("difficulty")),
    threads: 1
    priority: 1
    resources:
        machine_mb=VLLM_MB,
    benchmark:
        f"{RUN}/difficulty/benchmark.tsv"
    shell:
        "{PY[generate]} -m polaris.generation.generate --settings {params.settings:q} --code {params.code} "
        "--model {input.model} --problems {input.problems} --out {output}"


rule rl_data:
    "Problems of the right difficulty, and the offline consensus sets of CORE."
    input:
        problems=data_of("clean/rl"),
        responses=data_of("difficulty"),
        teacher=TEACHER or [],
    output:
        data_of("rl_data"),
    params:
        settings=lambda w: settings(SMALL.rl_data),
        code=lambda w: code("small_rl.data.build_rl_data", data_of("rl_data")),
        teacher=lambda w: option("teacher", TEACHER),
    threads: 1
    priority: 1
    benchmark:
        f"{RUN}/rl_data/benchmark.tsv"
    shell:
        "{PY[polaris]} -m small_rl.data.build_rl_data --settings {params.settings:q} --code {params.code} "
        "--problems {input.problems} --responses {input.responses} {params.teacher} --out {output}"


rule teacher_sets:
    "CORE's consensus sets from outside the policy, or as a placebo those of other problems."
    input:
        problems=data_of("clean/rl"),
        teacher=ANSWERS or [],
    output:
        data_of("consensus/{sets}"),
    wildcard_constraints:
        sets=one_of(SMALL.teacher_sets),
    params:
        settings=lambda w: settings(TeacherSets(placebo=TEACHER_SETS[w.sets], grading=SMALL.rl_data.grading)),
        code=lambda w: code("small_rl.data.build_teacher_sets", data_of(f"consensus/{w.sets}")),
        teacher=lambda w: option("teacher", ANSWERS),
    threads: 1
    benchmark:
        f"{RUN}/consensus/{{sets}}/benchmark.tsv"
    shell:
        "{PY[polaris]} -m small_rl.data.build_teacher_sets --settings {params.settings:q} --code {params.code} "
        "--problems {input.problems} {params.teacher} --out {output}"


if SMALL.teacher_answers:

    LEARNED = FormatData(
        instruction=SMALL.difficulty.instruction,
        keep="correct",
        underlined_only=False,
        grading=SMALL.rl_data.grading,
    )

    rule teacher_answers:
        "The teacher's right answers to the RL problems, to learn from themselves: of the same come its consensus sets."
        input:
            problems=data_of("clean/rl"),
            responses=ANSWERS or [],
        output:
            data_of("teacher_answers"),
        params:
            settings=lambda w: settings(LEARNED),
            code=lambda w: code("small_rl.data.build_format_data", data_of("teacher_answers")),
            responses=lambda w: option("responses", ANSWERS),
        threads: 1
        benchmark:
            f"{RUN}/teacher_answers/benchmark.tsv"
        shell:
            "{PY[polaris]} -m small_rl.data.build_format_data --settings {params.settings:q} --code {params.code} "
            "--problems {input.problems} {params.responses} --out {output}"


if SMALL.teacher_sft:

    rule teacher_sft:
        "The control of what RL makes of the teacher's answers: plain training on them."
        input:
            start=checkpoint_of("format_sft"),
            data=data_of("teacher_answers"),
        output:
            checkpoint_of("teacher_sft"),
        params:
            settings=lambda w: settings(SMALL.teacher_sft),
            code=lambda w: code("small_rl.training.train_format", checkpoint_of("teacher_sft")),
        threads: 1 if ON_CPU else 2
        resources:
            machine_mb=SFT_MB,
        benchmark:
            f"{RUN}/teacher_sft/benchmark.tsv"
        shell:
            "{PY[rl]} -m small_rl.training.train_format --settings {params.settings:q} --code {params.code} "
            "--start {input.start} --data {input.data} --out {output}"
