"""polaris: from raw problems to a merged, evaluated generalist. Read the includes top to bottom: that is the flow.
    snakemake --cores 2                                    the laptop recipe, configs/laptop.yaml
    snakemake --cores 2 --configfile A.yaml B.yaml         another recipe, with an overlay
    snakemake --profile cluster                            configs/polaris_v2.yaml on Slurm
"""

from snakemake.utils import min_version

min_version("9.27")

# Snakemake merges a configfile named here into one named on the command line: hence only if there is none.
if not workflow.configfiles:

    configfile: "configs/laptop.yaml"

include: "rules/common.smk"  # the recipe, and what the rules share
include: "rules/inputs.smk"  # base models, problems, benchmarks: made here, fetched, or local
if RECIPE.small_rl:

    include: "rules/small_rl.smk"  # format SFT, RL data: what the specialist starts from
    include: "rules/rl.smk"  # RL stages: the specialist
    include: "rules/studies.smk"  # beside the flow: search for a temperature, probe

if RECIPE.large_sft:

    include: "rules/large_sft.smk"  # traces, their selection, Megatron SFT: the distilled generalist

include: "rules/merge.smk"  # alpha * base + (1 - alpha) * distilled
include: "rules/opd.smk"  # on-policy distillation: a teacher marks what a student samples
include: "rules/evaluate.smk"  # every checkpoint on every benchmark
include: "rules/report.smk"  # the page


rule all:
    default_target: True
    input:
        rules.report.output,
        STAGES["scores"],  # named, as over another clone's results nothing else tells of a new model
        STUDIES if RECIPE.small_rl else [],
        WEIGHTS,
