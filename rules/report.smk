"""The page and results.json, from every finished stage of the run."""

from polaris.sections import ReportPage

FILTERED = [
    folder
    for name, stage in RECIPE.small_rl.rl.items()
    for folder, on in ((f"{name}_drop_easy", stage.drop_easy), (f"{name}_data", stage.overlap))
    if on
]
CLEAN = [f"clean/{name}" for name in RECIPE.clean]
STAGES = {
    "scores": [data_of(f"scores/{name}") for name in RECIPE.checkpoints],
    "checkpoints": [checkpoint_of(folder) for folder in RECIPE.checkpoints.values()],
    "data": [data_of(name) for name in (*CLEAN, "format_data", "rl_data", *FILTERED, "sft_data")],
}
LADDER = ["base_small", "format_sft", *RECIPE.small_rl.rl]
PAGE = ReportPage(
    **RECIPE.report.model_dump(), ladder=LADDER, generalists=["base_large", "distilled"], alphas=RECIPE.alphas
)


rule report:
    "Tables with intervals, curves, where the time went."
    input:
        **STAGES,
    output:
        data_of("report"),
    params:
        settings=settings(PAGE),
        code=code("polaris.report"),
    threads: 1
    benchmark:
        f"{RUN}/report/benchmark.tsv"
    shell:
        "{PY[polaris]} -m polaris.report --settings {params.settings:q} --code {params.code} "
        "--scores {input.scores} --checkpoints {input.checkpoints} --data {input.data} --out {output}"
