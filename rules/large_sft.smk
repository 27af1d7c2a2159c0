"""The distilled generalist: the specialist's traces, their selection, Megatron SFT of the mixture of experts."""

LARGE = RECIPE.large_sft


if LARGE.gate.reference:

    rule conversion_reference:
        "What vLLM says on the gate's prompts, where transformers cannot hold the generalist."
        input:
            start=checkpoint_of("base_large"),
        output:
            data_of("conversion_reference"),
        params:
            settings=lambda w: settings(LARGE.gate.reference),
            code=code("large_sft.score_prompts"),
        threads: 1
        benchmark:
            f"{RUN}/conversion_reference/benchmark.tsv"
        shell:
            "{PY[vllm]} -m large_sft.score_prompts --settings {params.settings:q} --code {params.code} "
            "--start {input.start} --out {output}"


rule conversion:
    "The gate: the generalist goes into Megatron and out again unchanged, and answers as in transformers or vLLM."
    input:
        start=checkpoint_of("base_large"),
        reference=data_of("conversion_reference") if LARGE.gate.reference else [],
    output:
        data_of("conversion"),
    params:
        settings=lambda w: settings(LARGE.conversion),  # a prompt may hold {braces}
        code=code("large_sft.check_conversion"),
        reference=f"--reference {data_of('conversion_reference')}" if LARGE.gate.reference else "",
    threads: 2
    benchmark:
        f"{RUN}/conversion/benchmark.tsv"
    shell:
        "{PY[megatron]} -m large_sft.check_conversion --settings {params.settings:q} --code {params.code} "
        "--start {input.start} {params.reference} --out {output}"


# The recipe's arm, and with self_distillation its control: the same stages on the large model's own traces.
for ARM, WRITER in RECIPE.arms.items():

    # The writer's responses to the distillation prompts.
    rule:
        name:
            f"traces{ARM}"
        input:
            model=checkpoint_of(WRITER),
            problems=data_of("clean/distill"),
        output:
            data_of(f"traces{ARM}"),
        params:
            settings=settings(LARGE.traces),
            code=code("polaris.generate"),
        threads: 1
        benchmark:
            f"{RUN}/traces{ARM}/benchmark.tsv"
        shell:
            "{PY[vllm]} -m polaris.generate --settings {params.settings:q} --code {params.code} "
            "--model {input.model} --problems {input.problems} --out {output}"

    # Traces worth teaching, as tokens of the generalist's own chat template.
    rule:
        name:
            f"sft_data{ARM}"
        input:
            problems=data_of("clean/distill"),
            responses=data_of(f"traces{ARM}"),
            base=checkpoint_of("base_large"),
            benchmarks=[data_of(f"benchmarks/{name}") for name in RECIPE.inputs.benchmarks],
        output:
            data_of(f"sft_data{ARM}"),
        params:
            settings=settings(LARGE.sft_data),
            code=code("large_sft.build_sft_data"),
        threads: 1
        benchmark:
            f"{RUN}/sft_data{ARM}/benchmark.tsv"
        shell:
            "{PY[megatron]} -m large_sft.build_sft_data --settings {params.settings:q} --code {params.code} "
            "--problems {input.problems} --responses {input.responses} --base {input.base} "
            "--benchmarks {input.benchmarks} --out {output}"

    # Megatron SFT of the generalist (V2 blog, 2. 235B training).
    rule:
        name:
            f"distilled{ARM}"
        input:
            start=checkpoint_of("base_large"),
            data=data_of(f"sft_data{ARM}"),
            conversion=data_of("conversion"),
        output:
            checkpoint_of(f"distilled{ARM}"),
        params:
            settings=settings(LARGE.sft),
            code=code("large_sft.train_sft"),
        threads: 2
        benchmark:
            f"{RUN}/distilled{ARM}/benchmark.tsv"
        shell:
            "{PY[megatron]} -m large_sft.train_sft --settings {params.settings:q} --code {params.code} "
            "--start {input.start} --data {input.data} --conversion {input.conversion} --out {output}"
