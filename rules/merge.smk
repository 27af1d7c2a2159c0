"""The merge: theta = alpha * base + (1 - alpha) * distilled. Alpha 0 and 1 are the two inputs themselves, never copies."""

from merge.settings import MergeOne


def merge_settings(alpha: str) -> str:
    one = RECIPE.merge.model_dump(exclude={"alphas"})
    return settings(MergeOne(alpha=float(alpha), **one))


rule merged:
    "One alpha of the sweep."
    input:
        base=checkpoint_of("base_large"),
        distilled=checkpoint_of("distilled"),
    output:
        checkpoint_of("merged/alpha={alpha}"),
    params:
        settings=lambda w: merge_settings(w.alpha),
        code=code("merge.merge_models"),
    threads: RECIPE.merge.threads
    benchmark:
        f"{RUN}/merged/alpha={{alpha}}/benchmark.tsv"
    shell:
        "{PY[merge]} -m merge.merge_models --settings {params.settings:q} --code {params.code} "
        "--base {input.base} --distilled {input.distilled} --out {output}"
