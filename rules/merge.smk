"""The merge: theta = alpha * base + (1 - alpha) * distilled. Alpha 0 and 1 are the two inputs themselves, never copies.
Of several distilled models (merge.soup): their weighted averages with the base.

One job is one alpha, so that another alpha runs nothing else. `python -m merge.merge_models --alphas` makes several in
one reading of the inputs, beforehand: the jobs then have nothing to do.
"""

from merge.alpha import SOUP, of_alpha, spelled_shares


# keep: none. The engine that evaluates an alpha averages the two models while it loads.
UNWRITTEN = {"unwritten": True} if RECIPE.merge is not None and RECIPE.merge.keep == "none" else {}
MERGE = "merge.unwritten" if UNWRITTEN else "merge.merge_models"


def soup_shares(merge: str) -> dict[str, float]:
    """Model -> its share, the base's first; nothing for an alpha of a sweep."""
    return RECIPE.soups.get(merge, {})


def merge_settings(merge: str) -> str:
    alpha = merge.removeprefix("alpha=")
    shares = tuple(soup_shares(merge).values()) or of_alpha(float(alpha))
    return settings(RECIPE.merge.one(shares, soup=merge in RECIPE.soups))


def merged_models(w) -> list[str]:
    """The distilled models of a merge: the sweep's, or those of the soup."""
    _, *soup = soup_shares(w.merge) or ["base_large"]
    return [checkpoint_of(RECIPE.checkpoints[name]) for name in soup or [RECIPE.sweeps[w.arm]]]


rule merged:
    "One alpha of a sweep (of an arm, or of an OPD stage), or an average of several distilled models."
    input:
        base=checkpoint_of("base_large"),
        distilled=merged_models,
    output:
        checkpoint_of("merged{arm}/{merge}"),
    params:
        settings=lambda w: merge_settings(w.merge),
        code=lambda w: code(MERGE, checkpoint_of(f"merged{w.arm}/{w.merge}")),
        **UNWRITTEN,  # another `keep` makes these stages again, also where a change of code does not
    threads: lambda w: RECIPE.merge.threads
    benchmark:
        f"{RUN}/merged{{arm}}/{{merge}}/benchmark.tsv"
    shell:
        "{PY[merge]} -m " + MERGE + " --settings {params.settings:q} --code {params.code} "
        "--base {input.base} --distilled {input.distilled} --out {output}"


# keep: selected. Nothing that was computed from removed weights is stale; later consumers merge again.
REMOVING = RECIPE.merge is not None and RECIPE.merge.keep == "selected"
MERGED = [folder for folder in RECIPE.checkpoints.values() if re.match("merged.*/", folder)] if REMOVING else []
PRESENT = "{PY[merge]} -m merge.merged_weights present --checkpoint {input.model} && " if REMOVING else ""
WEIGHTS = [f"{RUN}/{folder}/weights.json" for folder in MERGED]


def scores_of(w) -> list[str]:
    """Every evaluation of a merged model."""
    merged = f"{w.merge}{w.arm}"
    return [data_of(f"scores/{name}") for name, (model, _) in RECIPE.evaluations.items() if model == merged]


def weights_of(w) -> str:
    """A control (an arm with a name) is released nowhere."""
    soup = RECIPE.merge.soup.selected if RECIPE.merge.soup else None
    chosen = {f"alpha={RECIPE.selected}", *([f"{SOUP}{spelled_shares(soup)}"] if soup else [])}
    return "present" if not w.arm and w.merge in chosen else "removed"


if REMOVING:

    rule merged_weights:
        "Weights of a merge that was evaluated: kept if it is the selected one."
        input:
            model=checkpoint_of("merged{arm}/{merge}"),
            scores=scores_of,
        output:
            update(f"{RUN}/merged{{arm}}/{{merge}}/weights.json"),  # what is removed must be known at any moment
        params:
            state=weights_of,
        shell:
            "{PY[merge]} -m merge.merged_weights {params.state} --checkpoint {input.model}"
