"""Verb: a tiny Qwen3 or Qwen3-MoE, briefly trained here, in the place of a downloaded base model."""

import json
import random

from polaris.curves.event_file import EventFile
from polaris.models.settings import TinyModel
from polaris.stage.stage import Stage, run_verb


def main() -> None:
    with Stage.from_command_line("polaris.models.make_model", TinyModel) as stage:
        from polaris.models import tiny_training
        from polaris.models.tiny_tokenizer import build_tokenizer

        settings: TinyModel = stage.settings
        steps = settings.pretraining.steps
        tokenizer = build_tokenizer()
        model = tiny_training.build_model(settings, tokenizer)
        parameters = model.num_parameters()
        stage.say(f"{settings.tiny}, {parameters:,} parameters, {steps} steps of pre-training")
        losses: list[float] = []
        progress = stage.progress(steps)
        with (stage.log / "metrics.jsonl").open("w") as curve:

            def report(step: int, loss: float) -> None:
                losses.append(loss)
                curve.write(json.dumps({"step": step, "loss": loss}) + "\n")
                progress.update(step, f"loss {loss:.3f}")

            rng = random.Random(settings.seed)
            tiny_training.pretrain(model, tokenizer, settings.pretraining, rng, report)
        with EventFile(stage.log) as curves:
            curves.update()
        tiny_training.save(model, tokenizer, settings, stage.partial / "model")
        metrics = {"parameters": parameters, "loss": losses[-1]}
        stage.publish(metrics=metrics, planned=steps, reached=len(losses))


if __name__ == "__main__":
    run_verb(main)
