"""Measurements beside the flow: the search for a sampling temperature, and the probe."""

SEARCHES = SMALL.temperature_search
ROLLOUTS = SMALL.probe and SMALL.probe.rollouts
STUDIES = [data_of(f"temperature/{name}") for name in SEARCHES] + ([data_of("probe")] if SMALL.probe else [])


# RL stages whose reward can be paid again: with CORE, and all rollouts kept.
PAID = [name for name, stage in SMALL.rl.items() if stage.core and stage.rollout_store == "all"]


wildcard_constraints:
    search=one_of(SEARCHES),


rule paid:
    "What a stage's process reward was paid for, and what other rewards would have paid; the report shows it."
    input:
        trained=lambda w: checkpoint_of(w.stage),
        start=lambda w: checkpoint_of(SMALL.rl[w.stage].start),
        problems=lambda w: data_of(trained_on(w.stage)),
        sets=lambda w: sets_of(SMALL.rl[w.stage].core.consensus),
    output:
        data_of("paid/{stage}"),
    wildcard_constraints:
        stage=one_of(PAID),
    params:
        settings=lambda w: "{}",
        code=lambda w: code("small_rl.studies.paid", data_of(f"paid/{w.stage}")),
    threads: 1
    benchmark:
        f"{RUN}/paid/{{stage}}/benchmark.tsv"
    shell:
        "{PY[texts]} -m small_rl.studies.paid --settings {params.settings:q} --code {params.code} "
        "--trained {input.trained} --start {input.start} --problems {input.problems} --sets {input.sets} "
        "--out {output}"


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
        temperature=r"\d\.\d\d",
    params:
        settings=lambda w: settings(SEARCHES[w.search].at(float(w.temperature))),
        code=lambda w: code("polaris.generation.generate", data_of(f"temperature/{w.search}/T={w.temperature}")),
    threads: 1
    resources:
        machine_mb=VLLM_MB,
    benchmark:
        f"{RUN}/temperature/{{search}}/T={{temperature}}/benchmark.tsv"
    shell:
        "{PY[generate]} -m polaris.generation.generate --settings {params.settings:q} --code {params.code} "
        "--model {input.model} --problems {input.problems} --out {output}"


def last_search(name: str) -> dict[str, str]:
    """What the reset of a search starts from: the search before, and the model that was trained at its temperature."""
    search = SEARCHES[name]
    if search.after is None:
        return {}
    return {"last": data_of(f"temperature/{search.after}"), "trained": checkpoint_of(search.model)}


rule temperature_search:
    "The temperature at which a model explores enough and is still right often enough; an RL stage may name it."
    input:
        unpack(lambda w: last_search(w.search)),
        problems=lambda w: problem_set(SEARCHES[w.search].problems),
        responses=lambda w: [data_of(f"temperature/{w.search}/T={at:.2f}") for at in SEARCHES[w.search].grid],
    output:
        data_of("temperature/{search}"),
    params:
        settings=lambda w: settings(SEARCHES[w.search].choice),
        code=lambda w: code("small_rl.studies.search_temperature", data_of(f"temperature/{w.search}")),
        reset=lambda w: " ".join(option(*one) for one in last_search(w.search).items()),
    threads: 1
    benchmark:
        f"{RUN}/temperature/{{search}}/benchmark.tsv"
    shell:
        "{PY[polaris]} -m small_rl.studies.search_temperature --settings {params.settings:q} --code {params.code} "
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
            settings=lambda w: settings(ROLLOUTS.generate),
            code=lambda w: code("polaris.generation.generate", data_of("probe_rollouts")),
        threads: 1
        resources:
            machine_mb=VLLM_MB,
        benchmark:
            f"{RUN}/probe_rollouts/benchmark.tsv"
        shell:
            "{PY[generate]} -m polaris.generation.generate --settings {params.settings:q} --code {params.code} "
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
            settings=lambda w: settings(SMALL.probe.choice),
            code=lambda w: code("small_rl.studies.probe", data_of("probe")),
        threads: 1
        benchmark:
            f"{RUN}/probe/benchmark.tsv"
        shell:
            "{PY[polaris]} -m small_rl.studies.probe --settings {params.settings:q} --code {params.code} "
            "--problems {input.problems} --responses {input.responses} --out {output}"
