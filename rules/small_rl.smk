"""The specialist: format SFT, difficulty-filtered RL data, then the RL stages of the recipe."""

from small_rl.format_settings import FormatData
from small_rl.study_settings import TEACHER_SETS, TeacherSets

SMALL = RECIPE.small_rl

# A model's answers under the underline instruction (V2 blog: GPT-OSS-20B on 20K problems): set -> their folder.
# Without a teacher the problems bring worked solutions.
TAUGHT = {"format": "teacher", "rl": "teacher_rl"} if SMALL.teacher else {}
for SET in SMALL.teacher.k if SMALL.teacher else ():

    rule:
        name:
            TAUGHT[SET]
        input:
            model=checkpoint_of("teacher_model"),
            problems=data_of(f"clean/{SET}"),
        output:
            data_of(TAUGHT[SET]),
        params:
            settings=settings(SMALL.teacher.model_copy(update={"k": {SET: SMALL.teacher.k[SET]}})),
            code=code("polaris.generate"),
        threads: 1
        benchmark:
            f"{RUN}/{TAUGHT[SET]}/benchmark.tsv"
        shell:
            "{PY[vllm]} -m polaris.generate --settings {params.settings:q} --code {params.code} "
            "--model {input.model} --problems {input.problems} --out {output}"


if SMALL.format_sft:

    rule format_data:
        "Worked answers that teach the format."
        input:
            problems=data_of("clean/format"),
            responses=data_of(TAUGHT["format"]) if TAUGHT else [],
        output:
            data_of("format_data"),
        params:
            settings=settings(SMALL.format_data),
            code=code("small_rl.build_format_data"),
            responses=f"--responses {data_of(TAUGHT['format'])}" if TAUGHT else "",
        threads: 1
        benchmark:
            f"{RUN}/format_data/benchmark.tsv"
        shell:
            "{PY[polaris]} -m small_rl.build_format_data --settings {params.settings:q} --code {params.code} "
            "--problems {input.problems} {params.responses} --out {output}"

    rule format_sft:
        "Format SFT: underline important intermediate results (V2 blog, 1. 4B training)."
        input:
            start=checkpoint_of("base_small"),
            data=data_of("format_data"),
        output:
            checkpoint_of("format_sft"),
        params:
            settings=settings(SMALL.format_sft),
            code=code("small_rl.train_format"),
        threads: 2
        benchmark:
            f"{RUN}/format_sft/benchmark.tsv"
        shell:
            "{PY[rl]} -m small_rl.train_format --settings {params.settings:q} --code {params.code} "
            "--start {input.start} --data {input.data} --out {output}"


rule difficulty:
    "k rollouts of every RL problem."
    input:
        model=checkpoint_of(SMALL.difficulty_model),
        problems=data_of("clean/rl"),
    output:
        data_of("difficulty"),
    params:
        settings=settings(SMALL.difficulty),
        code=code("polaris.generate"),
    threads: 1
    benchmark:
        f"{RUN}/difficulty/benchmark.tsv"
    shell:
        "{PY[vllm]} -m polaris.generate --settings {params.settings:q} --code {params.code} "
        "--model {input.model} --problems {input.problems} --out {output}"


ANSWERS = data_of(TAUGHT["rl"]) if SMALL.teacher and "rl" in SMALL.teacher.k else None
TEACHER = ANSWERS if SMALL.rl_data.consensus == "teacher" else None


rule rl_data:
    "Problems of the right difficulty, and the offline consensus sets of CORE."
    input:
        problems=data_of("clean/rl"),
        responses=data_of("difficulty"),
        teacher=TEACHER or [],
    output:
        data_of("rl_data"),
    params:
        settings=settings(SMALL.rl_data),
        code=code("small_rl.build_rl_data"),
        teacher=f"--teacher {TEACHER}" if TEACHER else "",
    threads: 1
    benchmark:
        f"{RUN}/rl_data/benchmark.tsv"
    shell:
        "{PY[polaris]} -m small_rl.build_rl_data --settings {params.settings:q} --code {params.code} "
        "--problems {input.problems} --responses {input.responses} {params.teacher} --out {output}"


for SETS in SMALL.teacher_sets:

    # CORE's consensus sets from outside the policy, or as a placebo those of other problems.
    rule:
        name:
            f"{SETS}_sets"
        input:
            problems=data_of("clean/rl"),
            teacher=ANSWERS or [],
        output:
            data_of(f"consensus/{SETS}"),
        params:
            settings=settings(TeacherSets(placebo=TEACHER_SETS[SETS], grading=SMALL.rl_data.grading)),
            code=code("small_rl.build_teacher_sets"),
            teacher=f"--teacher {ANSWERS}" if ANSWERS else "",
        threads: 1
        benchmark:
            f"{RUN}/consensus/{SETS}/benchmark.tsv"
        shell:
            "{PY[polaris]} -m small_rl.build_teacher_sets --settings {params.settings:q} --code {params.code} "
            "--problems {input.problems} {params.teacher} --out {output}"


if SMALL.teacher_answers:

    rule teacher_answers:
        "The teacher's right answers to the RL problems, to learn from themselves: of the same come its consensus sets."
        input:
            problems=data_of("clean/rl"),
            responses=ANSWERS or [],
        output:
            data_of("teacher_answers"),
        params:
            settings=settings(
                FormatData(
                    instruction=SMALL.difficulty.instruction, keep="correct", underlined_only=False, grading=SMALL.rl_data.grading
                )
            ),
            code=code("small_rl.build_format_data"),
            responses=f"--responses {ANSWERS}" if ANSWERS else "",
        threads: 1
        benchmark:
            f"{RUN}/teacher_answers/benchmark.tsv"
        shell:
            "{PY[polaris]} -m small_rl.build_format_data --settings {params.settings:q} --code {params.code} "
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
            settings=settings(SMALL.teacher_sft),
            code=code("small_rl.train_format"),
        threads: 2
        benchmark:
            f"{RUN}/teacher_sft/benchmark.tsv"
        shell:
            "{PY[rl]} -m small_rl.train_format --settings {params.settings:q} --code {params.code} "
            "--start {input.start} --data {input.data} --out {output}"


def sets_of(source: str) -> str:
    """Where an RL stage's consensus sets start."""
    if source in TEACHER_SETS:
        return data_of(f"consensus/{source}")
    return data_of(source) if source == "rl_data" else checkpoint_of(source)


# An RL stage is data, not a script: one rule per entry of the recipe's mapping, so that each is a node of the graph.
DATA = {}  # RL stage -> the data that it is trained on
for NAME, STAGE in SMALL.rl.items():
    PROBLEMS = "rl_data"
    if STAGE.drop_easy:
        PROBLEMS = f"{NAME}_drop_easy"

        rule:
            name:
                f"{NAME}_drop_easy"
            input:
                problems=data_of(DATA[STAGE.drop_easy.log]),
                log=checkpoint_of(STAGE.drop_easy.log),
                difficulty=data_of("rl_data"),
            output:
                data_of(f"{NAME}_drop_easy"),
            params:
                settings=settings(STAGE.drop_easy, exclude={"log"}),
                code=code("small_rl.drop_easy_data"),
            threads: 1
            benchmark:
                f"{RUN}/{NAME}_drop_easy/benchmark.tsv"
            shell:
                "{PY[polaris]} -m small_rl.drop_easy_data --settings {params.settings:q} --code {params.code} "
                "--problems {input.problems} --log {input.log} --difficulty {input.difficulty} --out {output}"

    if STAGE.overlap:
        K = {PROBLEMS: STAGE.overlap.generate.k["rl_data"]}  # a set's name is its folder's

        rule:
            name:
                f"{NAME}_rollouts"
            input:
                model=checkpoint_of(STAGE.start),
                problems=data_of(PROBLEMS),
            output:
                data_of(f"{NAME}_rollouts"),
            params:
                settings=settings(STAGE.overlap.generate.model_copy(update={"k": K})),
                code=code("polaris.generate"),
            threads: 1
            benchmark:
                f"{RUN}/{NAME}_rollouts/benchmark.tsv"
            shell:
                "{PY[vllm]} -m polaris.generate --settings {params.settings:q} --code {params.code} "
                "--model {input.model} --problems {input.problems} --out {output}"

        rule:
            name:
                f"{NAME}_data"
            input:
                problems=data_of(PROBLEMS),
                responses=data_of(f"{NAME}_rollouts"),
            output:
                data_of(f"{NAME}_data"),
            params:
                settings=settings(STAGE.overlap, exclude={"generate"}),
                code=code("small_rl.filter_overlap"),
            threads: 1
            benchmark:
                f"{RUN}/{NAME}_data/benchmark.tsv"
            shell:
                "{PY[polaris]} -m small_rl.filter_overlap --settings {params.settings:q} --code {params.code} "
                "--problems {input.problems} --responses {input.responses} --out {output}"

    DATA[NAME] = f"{NAME}_data" if STAGE.overlap else PROBLEMS
    # {search: name} is a file at run time, a number is a setting.
    SEARCHED = None if isinstance(STAGE.temperature, float) else data_of(f"temperature/{STAGE.temperature.search}")
    ASKED = data_of(f"benchmarks/{STAGE.validation.benchmark}") if STAGE.validation else None
    SETS = sets_of(STAGE.core.consensus) if STAGE.core else None
    RESCUER = data_of("teacher_answers") if STAGE.rescue == "teacher" else None

    rule:
        name:
            NAME
        input:
            start=checkpoint_of(STAGE.start),
            data=data_of(DATA[NAME]),
            consensus=SETS or [],
            teacher=RESCUER or [],
            temperature=SEARCHED or [],
            benchmark=ASKED or [],
        output:
            checkpoint_of(NAME),
        params:
            settings=settings(STAGE, exclude={"start", "drop_easy", "overlap"}),
            code=code("small_rl.train_rl"),
            consensus=f"--consensus {SETS}" if SETS else "",
            teacher=f"--teacher {RESCUER}" if RESCUER else "",
            temperature=f"--temperature {SEARCHED}" if SEARCHED else "",
            benchmark=f"--benchmark {ASKED}" if ASKED else "",
        threads: 2
        benchmark:
            f"{RUN}/{NAME}/benchmark.tsv"
        shell:
            "{PY[rl]} -m small_rl.train_rl --settings {params.settings:q} --code {params.code} "
            "--start {input.start} --data {input.data} {params.consensus} {params.teacher} {params.temperature} "
            "{params.benchmark} --out {output}"
