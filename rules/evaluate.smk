"""Every checkpoint on every benchmark, some once more in another way: one engine start per evaluation, then grading."""

BENCHMARKS = [data_of(f"benchmarks/{name}") for name in RECIPE.inputs.benchmarks]


def gate_of(w) -> list[str]:
    """The conversion gate, before the large base model is evaluated: a model that cannot be trained is not paid for."""
    gated = RECIPE.large_sft and RECIPE.evaluations[w.model][0] == "base_large"
    return [data_of("conversion")] if gated else []


def shifted_by(w) -> dict[str, str]:
    """The two small models whose difference is added to the logits of an extra evaluation with `shift`."""
    shift = RECIPE.evaluations[w.model][1].shift
    names = {"specialist": shift.specialist, "base": shift.base} if shift else {}
    return {flag: checkpoint_of(RECIPE.checkpoints[name]) for flag, name in names.items()}


rule responses:
    "k responses of one model to every problem of every benchmark."
    input:
        unpack(shifted_by),
        model=lambda w: checkpoint_of(RECIPE.checkpoints[RECIPE.evaluations[w.model][0]]),
        problems=BENCHMARKS,
        conversion=ancient(gate_of),
    output:
        data_of("responses/{model}"),
    params:
        settings=lambda w: settings(RECIPE.evaluations[w.model][1]),
        code=lambda w: code("polaris.generation.generate", data_of(f"responses/{w.model}")),
        shift=lambda w: " ".join(f"--{flag} {path}" for flag, path in shifted_by(w).items()),
    threads: 1
    resources:
        machine_mb=VLLM_MB,
    benchmark:
        f"{RUN}/responses/{{model}}/benchmark.tsv"
    shell:
        PRESENT + "{PY[generate]} -m polaris.generation.generate --settings {params.settings:q} --code {params.code} "
        "--model {input.model} {params.shift} --problems {input.problems} --out {output}"


rule scores:
    "Which of the responses are right."
    input:
        responses=data_of("responses/{model}"),
        problems=BENCHMARKS,
    output:
        data_of("scores/{model}"),
    params:
        settings=lambda w: settings(RECIPE.evaluate.grading),
        code=lambda w: code("polaris.grading.grade", data_of(f"scores/{w.model}")),
    threads: 1
    benchmark:
        f"{RUN}/scores/{{model}}/benchmark.tsv"
    shell:
        "{PY[polaris]} -m polaris.grading.grade --settings {params.settings:q} --code {params.code} "
        "--responses {input.responses} --problems {input.problems} --out {output}"
