"""Verb: on-policy distillation of a student from a teacher, on verl."""

from polaris.stage.records import read_problems
from polaris.stage.stage import Stage, run_verb
from small_rl.distillation.checks import check
from small_rl.opd_settings import OpdTraining
from small_rl.training import train_rl


def main() -> None:
    inputs, optional = ("start", "data", "teacher"), ("base", "benchmark")
    module = "small_rl.distillation.train_opd"
    with Stage.from_command_line(module, OpdTraining, inputs=inputs, optional=optional) as stage:
        problems = read_problems(stage.inputs["data"].file("problems.parquet"))
        texts = [problem["problem"] for problem in problems.values()]
        train_rl.train(stage, check(stage.settings, stage.inputs, texts))


if __name__ == "__main__":
    run_verb(main)
