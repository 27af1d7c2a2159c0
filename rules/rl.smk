"""The specialist: the RL stages of the recipe, and the data that each of them makes for itself."""

from small_rl.study_settings import TEACHER_SETS


wildcard_constraints:
    stage=one_of(SMALL.rl),


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
    priority: 1
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
    priority: 1
    resources:
        machine_mb=VLLM_MB,
    benchmark:
        f"{RUN}/{{stage}}_rollouts/benchmark.tsv"
    shell:
        "{PY[generate]} -m polaris.generation.generate --settings {params.settings:q} --code {params.code} "
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
    priority: 1
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
    threads: 1 if ON_CPU else 2
    priority: 1
    resources:
        machine_mb=RL_MB,
    benchmark:
        f"{RUN}/{{stage}}/benchmark.tsv"
    shell:
        "{PY[rl]} -m small_rl.training.train_rl --settings {params.settings:q} --code {params.code} "
        "--start {input.start} --data {input.data} {params.consensus} {params.teacher} {params.temperature} "
        "{params.benchmark} --out {output}"
