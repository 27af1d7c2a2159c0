"""Settings of verbs that more than one test runs."""

from polaris.problems.suitability import Rule
from tests.helpers import tables

CLEAN = {
    "unsuitable": list(Rule.__args__),
    "max_characters": 300,
    "duplicate_ngram": 3,
    "duplicate_share": 0.7,
    "leak_ngram": 13,
    "leak_template": 8,
    "grading": tables.GRADING,
}
PRETRAINING = {
    "families": {"chain": 0.5, "digits": 0.5},
    "depth": [1, 2],
    "steps": 2,
    "batch": 4,
    "optimizer": "adamw",
    "learning_rate": 0.004,
    "error_rate": 0.05,
    "underlined": 0.3,
    "instruction": " Underline key results.",
}
DENSE = {
    "tiny": "qwen3",
    "hidden": 32,
    "layers": 2,
    "heads": 4,
    "kv_heads": 2,
    "head_dim": 32,
    "intermediate_size": 48,
    "experts": 0,
    "experts_per_token": 0,
    "context": 4096,
    "pretraining": PRETRAINING,
    "seed": 3,
}
