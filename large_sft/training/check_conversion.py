"""Stage: the gate before the training. The start model goes into Megatron and out again, and nothing has changed.

In the training's own layout and precision, without a training step: every tensor must come back with its name, shape,
type and bytes, and on the recipe's prompts Megatron must say what transformers says (its logits) or, where transformers
cannot hold the model, what vLLM says (its log-probabilities). `tensors.json` has the digests.
"""

import json
from pathlib import Path
from typing import Any

from large_sft.model import layout
from large_sft.model.weights import Weights, architecture, check, check_names
from large_sft.settings import ConversionCheck
from large_sft.training import megatron_conversion
from large_sft.training.job import ConversionJob, ConversionResult, ReturnedTensor
from large_sft.training.torchrun import launch
from polaris.models.dtypes import torch_dtype
from polaris.models.prompts import load_tokenizer
from polaris.stage.errors import UserError
from polaris.stage.stage import Stage, run_verb

NAMED = 3  # tensors of a message


def check_returned(tensors: dict[str, ReturnedTensor], start: Weights) -> None:
    """Raises UserError where the tensors that came back are not the start model's."""
    check_names(set(tensors), start.names, "after Hugging Face -> Megatron -> Hugging Face")
    wrong = [
        name
        for name, tensor in sorted(tensors.items())
        if tensor.shape != start.shape(name) or tensor.xxh3 != tensor.start
    ]
    if wrong:
        raise UserError(
            f"{start.folder}: {len(wrong)} of {len(tensors)} tensors come back from Megatron with other bytes than "
            f"they went in: {', '.join(wrong[:NAMED])}{', ...' if len(wrong) > NAMED else ''}; does `precision` hold "
            f"the model's {start.dtype(wrong[0])}?"
        )


def against_transformers(
    logits: Any, start: Path, prompts: list[list[int]], settings: ConversionCheck
) -> dict[str, float]:
    """The metrics of the comparison; logits: Megatron's logits, [tokens of all prompts, vocabulary]. Raises
    UserError.
    """
    import torch
    from transformers import AutoModelForCausalLM

    dtype = torch_dtype(settings.precision)
    model = AutoModelForCausalLM.from_pretrained(start, dtype=dtype, local_files_only=True, trust_remote_code=False)
    with torch.no_grad():
        expected = torch.cat([model(torch.tensor([prompt])).logits[0].float() for prompt in prompts])
    differs, largest = float((logits - expected).abs().max()), float(expected.abs().max())
    if not differs <= settings.gate.tolerance * largest:  # NaN is no agreement
        raise UserError(
            f"{start}: the logits of Megatron differ by up to {differs:.3g} from those of transformers, whose largest "
            f"is {largest:.3g}: more than gate.tolerance ({settings.gate.tolerance:g}) of it"
        )
    return {"logit_difference": differs, "largest_logit": largest}


def against_vllm(logits: Any, start: Path, scored: list[dict[str, Any]], settings: ConversionCheck) -> dict[str, float]:
    """The same with vLLM's answers (rows of log_probs.json): of each token but the first of a prompt.

    The mean is held to the tolerance: in half precision single tokens differ by much where a router chooses otherwise.
    """
    import torch

    rows = logits.log_softmax(-1).split([len(row["tokens"]) for row in scored])
    ours = [
        own[:-1].gather(1, torch.tensor(row["tokens"][1:])[:, None])[:, 0]
        for own, row in zip(rows, scored, strict=True)
    ]
    theirs = torch.tensor([value for row in scored for value in row["log_probs"]])
    differences = (torch.cat(ours) - theirs).abs()
    mean, largest = float(differences.mean()), float(differences.max())
    if not mean <= settings.gate.tolerance:  # NaN is no agreement
        raise UserError(
            f"{start}: the log-probabilities of Megatron differ by {mean:.3g} on average ({largest:.3g} at most) from "
            f"those of vLLM: more than gate.tolerance ({settings.gate.tolerance:g})"
        )
    return {"log_prob_difference": mean, "largest_log_prob_difference": largest}


def read_reference(stage: Stage, prompts: list[list[int]]) -> list[dict[str, Any]] | None:
    """vLLM's answers to these prompts; None: the recipe does not ask it. Raises UserError where they are of something
    else.
    """
    given = stage.inputs.get("reference")
    if (given is None) != (stage.settings.gate.vllm is None):
        raise UserError("--reference: give it with gate.vllm, and only then (the stage conversion_reference makes it)")
    if given is None:
        return None
    scored = json.loads(given.file("log_probs.json").read_text())
    same = given.inputs["start"]["content"] == stage.inputs["start"].content
    if not same or [row["tokens"] for row in scored] != prompts:
        what = "other prompts" if same else "another start model"
        raise UserError(f"{given.path}: these are log-probabilities of {what}; make conversion_reference again")
    return scored


def main() -> None:
    with Stage.from_command_line(
        "large_sft.training.check_conversion", ConversionCheck, inputs=("start",), optional=("reference",)
    ) as stage:
        settings: ConversionCheck = stage.settings
        start = stage.inputs["start"].model
        model, weights = architecture(start), Weights(start, "numpy")
        check(weights, model)
        layout.check_model(model, settings)
        tokenizer = load_tokenizer(start)
        prompts = [tokenizer.encode(prompt, add_special_tokens=False) for prompt in settings.gate.prompts]
        scored = read_reference(stage, prompts)
        job = ConversionJob(settings=settings, start=start.absolute(), prompts=prompts, state=stage.state)
        job.write(path := stage.state / "job.json")
        launch(megatron_conversion.__name__, path, settings, stage.log / "torchrun.log", lambda line: None)
        tensors = ConversionResult.read(job.result).tensors
        check_returned(tensors, weights)
        from safetensors.torch import load_file

        logits = load_file(job.logits)["logits"]
        if scored:
            metrics = against_vllm(logits, start, scored, settings)
        else:
            metrics = against_transformers(logits, start, prompts, settings)
        values = {name: tensor.model_dump() for name, tensor in tensors.items()}
        (stage.partial / "tensors.json").write_text(json.dumps(values, indent=1, sort_keys=True) + "\n")
        summary = ", ".join(f"{name.replace('_', ' ')} {value:.2g}" for name, value in metrics.items())
        stage.say(f"{len(tensors)} tensors come back bit for bit; {summary}")
        stage.publish(metrics={"tensors": len(tensors), **metrics})


if __name__ == "__main__":
    run_verb(main)
