"""The distilled generalist: the specialist's traces, their selection, Megatron SFT."""

LARGE = RECIPE.large_sft


def prompts_of(sets) -> list[str]:
    return [data_of(f"clean/{name}") for name in sets]


def traces_of(arm: str) -> list[str]:
    """The traces that an arm learns from; none: worked solutions."""
    return [data_of(folder) for folder, one in RECIPE.traces.items() if one.arm == arm]


if LARGE.gate.reference:

    rule conversion_reference:
        "What vLLM says on the gate's prompts, where transformers cannot hold the generalist."
        input:
            start=checkpoint_of("base_large"),
        output:
            data_of("conversion_reference"),
        params:
            settings=lambda w: settings(LARGE.gate.reference),
            code=lambda w: code("large_sft.training.score_prompts", data_of("conversion_reference")),
        threads: 1
        resources:
            machine_mb=VLLM_MB,
        benchmark:
            f"{RUN}/conversion_reference/benchmark.tsv"
        shell:
            "{PY[vllm]} -m large_sft.training.score_prompts --settings {params.settings:q} --code {params.code} "
            "--start {input.start} --out {output}"


rule conversion:
    "The gate: the generalist goes into Megatron and out again unchanged, and answers as in transformers or vLLM."
    input:
        start=checkpoint_of("base_large"),
        reference=data_of("conversion_reference") if LARGE.gate.reference else [],
    output:
        data_of("conversion"),
    params:
        settings=lambda w: settings(LARGE.conversion),
        code=lambda w: code("large_sft.training.check_conversion", data_of("conversion")),
        reference=lambda w: option("reference", LARGE.gate.reference and data_of("conversion_reference")),
    threads: 1 if ON_CPU else 2
    resources:
        machine_mb=MEGATRON_MB,
    benchmark:
        f"{RUN}/conversion/benchmark.tsv"
    shell:
        "{PY[megatron]} -m large_sft.training.check_conversion --settings {params.settings:q} --code {params.code} "
        "--start {input.start} {params.reference} --out {output}"


rule traces:
    "Responses to the distillation prompts: each specialist's, and in the control arm `_self` the large model's own."
    input:
        model=lambda w: checkpoint_of(RECIPE.checkpoints[RECIPE.traces[w.traces].writer]),
        problems=lambda w: prompts_of(RECIPE.traces[w.traces].sets),
        conversion=ancient(data_of("conversion")),  # no trace is paid for before the generalist can be trained on it
    output:
        data_of("{traces}"),
    wildcard_constraints:
        traces=one_of(RECIPE.traces),
    params:
        settings=lambda w: settings(LARGE.traces_to(RECIPE.traces[w.traces].sets)),
        code=lambda w: code("polaris.generation.generate", data_of(w.traces)),
    threads: 1
    priority: 1
    resources:
        machine_mb=VLLM_MB,
    benchmark:
        f"{RUN}/{{traces}}/benchmark.tsv"
    shell:
        "{PY[generate]} -m polaris.generation.generate --settings {params.settings:q} --code {params.code} "
        "--model {input.model} --problems {input.problems} --out {output}"


rule sft_data:
    "Traces or worked solutions worth teaching, as tokens of the generalist's own chat template."
    input:
        problems=prompts_of(LARGE.prompts),
        responses=lambda w: traces_of(w.arm),
        base=checkpoint_of("base_large"),
        benchmarks=[data_of(f"benchmarks/{name}") for name in RECIPE.inputs.benchmarks],
    output:
        data_of("sft_data{arm}"),
    params:
        settings=lambda w: settings(LARGE.sft_data),
        code=lambda w: code("large_sft.traces.build_sft_data", data_of(f"sft_data{w.arm}")),
        responses=lambda w: option("responses", " ".join(traces_of(w.arm))),
    threads: 1
    priority: 1
    benchmark:
        f"{RUN}/sft_data{{arm}}/benchmark.tsv"
    shell:
        "{PY[megatron]} -m large_sft.traces.build_sft_data --settings {params.settings:q} --code {params.code} "
        "--problems {input.problems} {params.responses} --base {input.base} "
        "--benchmarks {input.benchmarks} --out {output}"


rule distilled:
    "Megatron SFT of the generalist (V2 blog, 2. 235B training)."
    input:
        start=checkpoint_of("base_large"),
        data=data_of("sft_data{arm}"),
        conversion=data_of("conversion"),
    output:
        checkpoint_of("distilled{arm}"),
    params:
        settings=lambda w: settings(LARGE.sft),
        code=lambda w: code("large_sft.training.train_sft", checkpoint_of(f"distilled{w.arm}")),
    threads: 2
    priority: 1
    resources:
        machine_mb=MEGATRON_MB,
    benchmark:
        f"{RUN}/distilled{{arm}}/benchmark.tsv"
    shell:
        "{PY[megatron]} -m large_sft.training.train_sft --settings {params.settings:q} --code {params.code} "
        "--start {input.start} --data {input.data} --conversion {input.conversion} --out {output}"
