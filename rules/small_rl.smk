"""The specialist: format SFT, difficulty-filtered RL data, then the RL stages of the recipe."""

from small_rl.format_settings import FormatData
from small_rl.study_settings import TEACHER_SETS, TeacherSets

SMALL = RECIPE.small_rl

# A model's answers under the underline instruction (V2 blog: GPT-OSS-20B on 20K problems): their folder -> set.
# Without a teacher the problems bring worked solutions.
TAUGHT = {"teacher": "format", "teacher_rl": "rl"}
TEACHER_K = SMALL.teacher.k if SMALL.teacher else {}
WORKED = data_of("teacher") if "format" in TEACHER_K else None
ANSWERS = data_of("teacher_rl") if "rl" in TEACHER_K else None
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
    benchmark:
        f"{RUN}/{{taught}}/benchmark.tsv"
    shell:
        "{PY[vllm]} -m polaris.generation.generate --settings {params.settings:q} --code {params.code} "
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
        threads: 2
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
    benchmark:
        f"{RUN}/difficulty/benchmark.tsv"
    shell:
        "{PY[vllm]} -m polaris.generation.generate --settings {params.settings:q} --code {params.code} "
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
        threads: 2
        benchmark:
            f"{RUN}/teacher_sft/benchmark.tsv"
        shell:
            "{PY[rl]} -m small_rl.training.train_format --settings {params.settings:q} --code {params.code} "
            "--start {input.start} --data {input.data} --out {output}"


def before_overlap(name: str) -> str:
    """Data of an RL stage before its overlap filter."""
    return f"{name}_drop_easy" if SMALL.rl[name].drop_easy else "rl_data"


def trained_on(name: str) -> str:
    """Data of an RL stage."""
    return f"{name}_data" if SMALL.rl[name].overlap else before_overlap(name)


rule drop_easy:
    "What an earlier stage was trained on, without what it solves by now."
    input:
        problems=lambda w: data_of(trained_on(SMALL.rl[w.stage].drop_easy.log)),
        log=lambda w: checkpoint_of(SMALL.rl[w.stage].drop_easy.log),
        difficulty=data_of("rl_data"),
    output:
        data_of("{stage}_drop_easy"),
    wildcard_constraints:
        stage=one_of(name for name, stage in SMALL.rl.items() if stage.drop_easy),
    params:
        settings=lambda w: settings(SMALL.rl[w.stage].drop_easy, exclude={"log"}),
        code=lambda w: code("small_rl.data.drop_easy_data", data_of(f"{w.stage}_drop_easy")),
    threads: 1
    benchmark:
        f"{RUN}/{{stage}}_drop_easy/benchmark.tsv"
    shell:
        "{PY[polaris]} -m small_rl.data.drop_easy_data --settings {params.settings:q} --code {params.code} "
        "--problems {input.problems} --log {input.log} --difficulty {input.difficulty} --out {output}"


OVERLAP = {name: stage.overlap for name, stage in SMALL.rl.items() if stage.overlap}


rule rl_rollouts:
    "Rollouts of a stage's start, for its overlap filter."
    input:
        model=lambda w: checkpoint_of(SMALL.rl[w.stage].start),
        problems=lambda w: data_of(before_overlap(w.stage)),
    output:
        data_of("{stage}_rollouts"),
    wildcard_constraints:
        stage=one_of(OVERLAP),
    params:
        settings=lambda w: one_set(OVERLAP[w.stage].generate, "rl_data", before_overlap(w.stage)),
        code=lambda w: code("polaris.generation.generate", data_of(f"{w.stage}_rollouts")),
    threads: 1
    benchmark:
        f"{RUN}/{{stage}}_rollouts/benchmark.tsv"
    shell:
        "{PY[vllm]} -m polaris.generation.generate --settings {params.settings:q} --code {params.code} "
        "--model {input.model} --problems {input.problems} --out {output}"


rule overlap_filter:
    "Problems whose right and wrong rollouts share many intermediate results, or few."
    input:
        problems=lambda w: data_of(before_overlap(w.stage)),
        responses=data_of("{stage}_rollouts"),
    output:
        data_of("{stage}_data"),
    wildcard_constraints:
        stage=one_of(OVERLAP),
    params:
        settings=lambda w: settings(OVERLAP[w.stage], exclude={"generate"}),
        code=lambda w: code("small_rl.data.filter_overlap", data_of(f"{w.stage}_data")),
    threads: 1
    benchmark:
        f"{RUN}/{{stage}}_data/benchmark.tsv"
    shell:
        "{PY[polaris]} -m small_rl.data.filter_overlap --settings {params.settings:q} --code {params.code} "
        "--problems {input.problems} --responses {input.responses} --out {output}"


def sets_of(source: str) -> str:
    """Where an RL stage's consensus sets start."""
    if source in TEACHER_SETS:
        return data_of(f"consensus/{source}")
    return data_of(source) if source == "rl_data" else checkpoint_of(source)


def rl_files(name: str) -> dict[str, str]:
    """What an RL stage reads beside its start and its data, by the verb's options."""
    stage, files = SMALL.rl[name], {}
    if stage.core:
        files["consensus"] = sets_of(stage.core.consensus)
    if stage.rescue == "teacher":
        files["teacher"] = data_of("teacher_answers")
    if not isinstance(stage.temperature, float):  # {search: name} is a file at run time, a number is a setting
        files["temperature"] = data_of(f"temperature/{stage.temperature.search}")
    if stage.validation:
        files["benchmark"] = data_of(f"benchmarks/{stage.validation.benchmark}")
    return files


rule rl:
    "One RL stage, GRPO or CORE: an entry of the recipe, not a script."
    input:
        unpack(lambda w: rl_files(w.stage)),
        start=lambda w: checkpoint_of(SMALL.rl[w.stage].start),
        data=lambda w: data_of(trained_on(w.stage)),
    output:
        checkpoint_of("{stage}"),
    params:
        settings=lambda w: settings(SMALL.rl[w.stage], exclude={"start", "drop_easy", "overlap"}),
        code=lambda w: code("small_rl.training.train_rl", checkpoint_of(w.stage)),
        consensus=lambda w: option("consensus", rl_files(w.stage).get("consensus")),
        teacher=lambda w: option("teacher", rl_files(w.stage).get("teacher")),
        temperature=lambda w: option("temperature", rl_files(w.stage).get("temperature")),
        benchmark=lambda w: option("benchmark", rl_files(w.stage).get("benchmark")),
    threads: 2
    benchmark:
        f"{RUN}/{{stage}}/benchmark.tsv"
    shell:
        "{PY[rl]} -m small_rl.training.train_rl --settings {params.settings:q} --code {params.code} "
        "--start {input.start} --data {input.data} {params.consensus} {params.teacher} {params.temperature} "
        "{params.benchmark} --out {output}"
