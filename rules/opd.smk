"""On-policy distillation: a student samples, a teacher's log-probabilities are what it learns from."""


wildcard_constraints:
    opd=one_of(RECIPE.opd),


OPD_MB = machine_mb("rl", ALL_MODELS)  # and for each model that reads, an engine more


def opd_models(name: str) -> dict[str, str]:
    """What an OPD stage reads beside its student and its prompts, by the verb's options."""
    stage = RECIPE.opd[name]
    files = {"base": checkpoint_of(RECIPE.checkpoints[stage.teacher_base])} if stage.teacher_base else {}
    if stage.validation:
        files["benchmark"] = data_of(f"benchmarks/{stage.validation.benchmark}")
    return files


rule opd:
    "One stage of on-policy distillation: an entry of the recipe, not a script."
    input:
        unpack(lambda w: opd_models(w.opd)),
        start=lambda w: checkpoint_of(RECIPE.checkpoints[RECIPE.opd[w.opd].student]),
        teacher=lambda w: checkpoint_of(RECIPE.checkpoints[RECIPE.opd[w.opd].teacher]),
        data=lambda w: data_of(f"clean/{RECIPE.opd[w.opd].prompts}"),
    output:
        checkpoint_of("{opd}"),
    params:
        settings=lambda w: settings(RECIPE.opd[w.opd].training),
        code=lambda w: code("small_rl.distillation.train_opd", checkpoint_of(w.opd)),
        base=lambda w: option("base", opd_models(w.opd).get("base")),
        benchmark=lambda w: option("benchmark", opd_models(w.opd).get("benchmark")),
    threads: 1 if ON_CPU else 2
    priority: 1
    resources:
        machine_mb=lambda w: OPD_MB + len(RECIPE.opd[w.opd].read) * VLLM_MB,
    benchmark:
        f"{RUN}/{{opd}}/benchmark.tsv"
    shell:
        "{PY[rl]} -m small_rl.distillation.train_opd --settings {params.settings:q} --code {params.code} "
        "--start {input.start} --teacher {input.teacher} --data {input.data} {params.base} {params.benchmark} "
        "--out {output}"
