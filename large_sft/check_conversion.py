"""Stage: the gate before the training. The start model goes into Megatron and out again, and nothing has changed.

In the training's own layout and precision, without a training step: every tensor must come back with its name, shape, type
and bytes, and the logits on the recipe's prompts must be those of transformers. `tensors.json` has the digests.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

from large_sft import layout, megatron_conversion
from large_sft.megatron_conversion import LOGITS, Job
from large_sft.settings import ConversionCheck
from large_sft.torchrun import launch
from large_sft.weights import Weights, architecture, check, check_names
from polaris.errors import UserError
from polaris.prompts import load_tokenizer
from polaris.stage import Stage, run_verb

NAMED = 3  # tensors of a message


def prompts_of(start: Path, settings: ConversionCheck) -> list[list[int]]:
    """The prompts' tokens; none where no logits are compared."""
    if settings.gate.tolerance is None:
        return []
    tokenizer = load_tokenizer(start)
    return [tokenizer.encode(prompt, add_special_tokens=False) for prompt in settings.gate.prompts]


def returned_tensors(folder: Path, start: Weights) -> dict[str, dict[str, Any]]:
    """What the processes gave back: name -> fields of Returned. Raises UserError where it is not the start model."""
    parts = [json.loads(path.read_text()) for path in sorted(folder.glob("tensors-*.json"))]
    tensors = {name: values for part in parts for name, values in part.items()}
    if len(tensors) != sum(map(len, parts)):
        raise UserError(f"{start.folder}: two processes gave back the same tensor")
    check_names(set(tensors), start.names, "after Hugging Face -> Megatron -> Hugging Face")
    wrong = [
        name
        for name, values in sorted(tensors.items())
        if tuple(values["shape"]) != start.shape(name) or values["xxh3"] != values["start"]
    ]
    if wrong:
        raise UserError(
            f"{start.folder}: {len(wrong)} of {len(tensors)} tensors come back from Megatron with other bytes than they "
            f"went in: {', '.join(wrong[:NAMED])}{', ...' if len(wrong) > NAMED else ''}; does `precision` hold the "
            f"model's {start.dtype(wrong[0])}?"
        )
    return tensors


def logits_difference(found: Path, start: Path, prompts: list[list[int]], precision: str) -> tuple[float, float]:
    """(largest difference to the logits of transformers, largest logit), over all tokens of the prompts."""
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    model = AutoModelForCausalLM.from_pretrained(start, dtype=dtype, local_files_only=True, trust_remote_code=False)
    with torch.no_grad():
        expected = torch.cat([model(torch.tensor([prompt])).logits[0].float() for prompt in prompts])
    return float((load_file(found)["logits"] - expected).abs().max()), float(expected.abs().max())


def main() -> None:
    with Stage.from_command_line("large_sft.check_conversion", ConversionCheck, inputs=("start",)) as stage:
        settings: ConversionCheck = stage.settings
        start = stage.inputs["start"].model
        model, weights = architecture(start), Weights(start, "numpy")
        check(weights, model)
        layout.check_model(model, settings)
        prompts = prompts_of(start, settings)
        job = stage.state / "job.json"
        asked = Job(settings.model_dump(mode="json"), str(start.absolute()), prompts, str(stage.state))
        job.write_text(json.dumps(dataclasses.asdict(asked)))
        launch(megatron_conversion.__name__, job, settings, stage.log / "torchrun.log", lambda line: None)
        tensors = returned_tensors(stage.state, weights)
        metrics: dict[str, Any] = {"tensors": len(tensors), "logit_difference": None, "largest_logit": None}
        if prompts:
            differs, largest = logits_difference(stage.state / LOGITS, start, prompts, settings.precision)
            if not differs <= settings.gate.tolerance * largest:  # NaN is no agreement
                raise UserError(
                    f"{start}: the logits of Megatron differ by up to {differs:.3g} from those of transformers, whose largest "
                    f"is {largest:.3g}: more than gate.tolerance ({settings.gate.tolerance:g}) of it"
                )
            metrics |= {"logit_difference": differs, "largest_logit": largest}
        (stage.partial / "tensors.json").write_text(json.dumps(tensors, indent=1, sort_keys=True) + "\n")
        told = f"logits differ by {metrics['logit_difference']:.2g} at most" if prompts else "logits were not compared"
        stage.say(f"{len(tensors)} tensors come back bit for bit; {told}")
        stage.publish(metrics=metrics)


if __name__ == "__main__":
    run_verb(main)
