"""The merge: theta = alpha * base + (1 - alpha) * distilled. Alpha 0 and 1 are the two inputs themselves, never copies.

One job is one alpha, so that another alpha runs nothing else. `python -m merge.merge_models --alphas` makes several in
one reading of the inputs, beforehand: the jobs then have nothing to do.
"""

from merge.settings import MergeOne


# keep: none. The engine that evaluates an alpha averages the two models while it loads.
UNWRITTEN = {"unwritten": True} if RECIPE.merge is not None and RECIPE.merge.keep == "none" else {}
MERGE = "merge.unwritten" if UNWRITTEN else "merge.merge_models"


def merge_settings(alpha: str) -> str:
    one = RECIPE.merge.model_dump(exclude={"alphas", "select_on", "after", "keep", "selected"})
    return settings(MergeOne(alpha=float(alpha), **one))


rule merged:
    "One alpha of a sweep: of an arm, or of an OPD stage."
    input:
        base=checkpoint_of("base_large"),
        distilled=lambda w: checkpoint_of(RECIPE.sweeps[w.arm]),
    output:
        checkpoint_of("merged{arm}/alpha={alpha}"),
    params:
        settings=lambda w: merge_settings(w.alpha),
        code=lambda w: code(MERGE, checkpoint_of(f"merged{w.arm}/alpha={w.alpha}")),
        **UNWRITTEN,  # another `keep` makes these stages again, also where a change of code does not
    threads: lambda w: RECIPE.merge.threads
    benchmark:
        f"{RUN}/merged{{arm}}/alpha={{alpha}}/benchmark.tsv"
    shell:
        "{PY[merge]} -m " + MERGE + " --settings {params.settings:q} --code {params.code} "
        "--base {input.base} --distilled {input.distilled} --out {output}"


# keep: selected. Nothing that was computed from removed weights is stale; later consumers merge again.
REMOVING = RECIPE.merge is not None and RECIPE.merge.keep == "selected"
MERGED = [folder for folder in RECIPE.checkpoints.values() if "/" in folder] if REMOVING else []
PRESENT = "{PY[merge]} -m merge.merged_weights present --checkpoint {input.model} && " if REMOVING else ""
WEIGHTS = [f"{RUN}/{folder}/weights.json" for folder in MERGED]


def scores_of(w) -> list[str]:
    """Every evaluation of a merged model."""
    merged = f"alpha={w.alpha}{w.arm}"
    return [data_of(f"scores/{name}") for name, (model, _) in RECIPE.evaluations.items() if model == merged]


def weights_of(w) -> str:
    """A control (an arm with a name) is released nowhere."""
    return "present" if not w.arm and w.alpha == RECIPE.selected else "removed"


if REMOVING:

    rule merged_weights:
        "Weights of an alpha that was evaluated: kept if it is the selected one."
        input:
            model=checkpoint_of("merged{arm}/alpha={alpha}"),
            scores=scores_of,
        output:
            update(f"{RUN}/merged{{arm}}/alpha={{alpha}}/weights.json"),  # what is removed must be known at any moment
        params:
            state=weights_of,
        shell:
            "{PY[merge]} -m merge.merged_weights {params.state} --checkpoint {input.model}"
