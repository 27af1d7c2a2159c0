"""The page, its Markdown and results.json, from every finished stage of the run."""

from pathlib import Path

from merge.alpha import spelled_shares
from polaris.planning.plan import kept
from polaris.recipe.model_dates import model_dates
from polaris.recipe.published import published
from polaris.recipe.recipe import SELF
from polaris.evaluation.settings import SelfDistillation
from polaris.report.settings import ReportPage, SoupPage

FILTERED = [
    folder
    for name, stage in RECIPE.rl.items()
    for folder, on in ((f"{name}_drop_easy", stage.drop_easy), (f"{name}_data", stage.overlap))
    if on
]
FORMAT_DATA = ["format_data"] if RECIPE.small_rl and RECIPE.small_rl.format_sft else []
RL_DATA = ["rl_data"] if RECIPE.small_rl else []
SFT_DATA = [f"sft_data{arm}" for arm in RECIPE.arms] if RECIPE.large_sft else []
CLEAN = [f"clean/{name}" for name in RECIPE.clean]
STAGES = {
    "scores": [data_of(f"scores/{name}") for name in RECIPE.evaluations],
    "checkpoints": [checkpoint_of(folder) for folder in RECIPE.checkpoints.values()],
    "paid": [data_of(f"paid/{name}") for name in (PAID if RECIPE.small_rl else [])],
    "data": [data_of(name) for name in (*CLEAN, *FORMAT_DATA, *RL_DATA, *FILTERED, *SFT_DATA)],
}
OWN = SelfDistillation(distilled=f"distilled{SELF}", alphas=RECIPE.alphas_of(SELF)) if SELF in RECIPE.arms else None
EXTRA = {
    f"{model}@{entry}": asked.changes(RECIPE.evaluate.generate)
    for entry, asked in RECIPE.evaluate.extra_evaluations.items()
    for model in asked.models
}
AVERAGES = RECIPE.merge.soup if RECIPE.merge else None
AVERAGES_PAGE = AVERAGES and SoupPage(
    models=["base_large", *AVERAGES.models],
    points=RECIPE.soup,
    made=list(RECIPE.soups),
    selected=AVERAGES.selected and spelled_shares(AVERAGES.selected),
)
DATES = {name: date for name, source in RECIPE.inputs.benchmarks.items() if (date := getattr(source, "date", None))}
PAGE = ReportPage(
    **RECIPE.report.model_dump(),
    ladder=RECIPE.specialists,
    generalists=RECIPE.generalists,
    models=[*(model for name in RECIPE.opd for model in (name, *RECIPE.merged(f"_{name}"))), *RECIPE.inputs.models],
    alphas=RECIPE.alphas,
    select_on=RECIPE.select_on,
    selected=RECIPE.selected,
    extra_evaluations=EXTRA,
    dates=DATES,
    model_dates=model_dates(RECIPE),
    self_distillation=OWN,
    soup=AVERAGES_PAGE,
    published_values=published(RECIPE.report.published),
    planned=kept(Path(RUN)),
)


rule report:
    "Tables with intervals, curves, where the time went."
    input:
        **STAGES,
    output:
        data_of("report"),
    params:
        settings=lambda w: settings(PAGE),
        code=lambda w: code("polaris.report.report", data_of("report")),
        data=lambda w: option("data", " ".join(STAGES["data"])),  # an evaluation alone has none
        paid=lambda w: option("paid", " ".join(STAGES["paid"])),
    threads: 1
    benchmark:
        f"{RUN}/report/benchmark.tsv"
    shell:
        "{PY[polaris]} -m polaris.report.report --settings {params.settings:q} --code {params.code} "
        "--scores {input.scores} --checkpoints {input.checkpoints} {params.data} {params.paid} --out {output}"
