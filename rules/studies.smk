"""Measurements beside the flow: the search for a sampling temperature, and the probe."""

SEARCHES = SMALL.temperature_search
ROLLOUTS = SMALL.probe and SMALL.probe.rollouts
STUDIES = [data_of(f"temperature/{name}") for name in SEARCHES] + ([data_of("probe")] if SMALL.probe else [])


def problem_set(name: str) -> str:
    """A set of inputs.problems: a training set as it is trained on, another as it came."""
    return data_of(f"clean/{name}" if name in RECIPE.clean else f"problems/{name}")


rule responses_at_temperature:
    "k responses to every problem of a search at one temperature of its grid."
    input:
        model=lambda w: checkpoint_of(SEARCHES[w.search].model),
        problems=lambda w: problem_set(SEARCHES[w.search].problems),
    output:
        data_of("temperature/{search}/T={temperature}"),
    wildcard_constraints:
        search=r"\w+",
        temperature=r"\d\.\d\d",
    params:
        settings=lambda w: settings(SEARCHES[w.search].at(float(w.temperature))),
        code=code("polaris.generate"),
    threads: 1
    benchmark:
        f"{RUN}/temperature/{{search}}/T={{temperature}}/benchmark.tsv"
    shell:
        "{PY[vllm]} -m polaris.generate --settings {params.settings:q} --code {params.code} "
        "--model {input.model} --problems {input.problems} --out {output}"


# One rule per search, so that an RL stage can name its temperature.json as an input like any other.
for NAME, SEARCH in SEARCHES.items():
    LAST = data_of(f"temperature/{SEARCH.after}") if SEARCH.after else None
    TRAINED = checkpoint_of(SEARCH.model) if SEARCH.after else None

    rule:
        name:
            f"temperature_{NAME}"
        input:
            problems=problem_set(SEARCH.problems),
            responses=[data_of(f"temperature/{NAME}/T={temperature:.2f}") for temperature in SEARCH.grid],
            last=LAST or [],
            trained=TRAINED or [],
        output:
            data_of(f"temperature/{NAME}"),
        params:
            settings=settings(SEARCH.choice),
            code=code("small_rl.search_temperature"),
            reset=f"--last {LAST} --trained {TRAINED}" if LAST else "",
        threads: 1
        benchmark:
            f"{RUN}/temperature/{NAME}/benchmark.tsv"
        shell:
            "{PY[polaris]} -m small_rl.search_temperature --settings {params.settings:q} --code {params.code} "
            "--problems {input.problems} --responses {input.responses} {params.reset} --out {output}"


if ROLLOUTS:

    rule probe_rollouts:
        "Rollouts for the probe (V2 blog: 100 problems of BeyondAIME, 32 each)."
        input:
            model=checkpoint_of(ROLLOUTS.model),
            problems=problem_set(ROLLOUTS.problems),
        output:
            data_of("probe_rollouts"),
        params:
            settings=settings(ROLLOUTS.generate),
            code=code("polaris.generate"),
        threads: 1
        benchmark:
            f"{RUN}/probe_rollouts/benchmark.tsv"
        shell:
            "{PY[vllm]} -m polaris.generate --settings {params.settings:q} --code {params.code} "
            "--model {input.model} --problems {input.problems} --out {output}"


if SMALL.probe:

    rule probe:
        "Do right trajectories share more intermediate results than wrong ones (V2 blog, the probing study)?"
        input:
            problems=problem_set(ROLLOUTS.problems if ROLLOUTS else "rl"),
            responses=data_of("probe_rollouts" if ROLLOUTS else "difficulty"),
        output:
            data_of("probe"),
        params:
            settings=settings(SMALL.probe.choice),
            code=code("small_rl.probe"),
        threads: 1
        benchmark:
            f"{RUN}/probe/benchmark.tsv"
        shell:
            "{PY[polaris]} -m small_rl.probe --settings {params.settings:q} --code {params.code} "
            "--problems {input.problems} --responses {input.responses} --out {output}"
