"""`polaris publish`: a folder of an evaluated model, with its card and its results, ready to be pushed; pushed only if
asked.

Nothing but the model's published files and its results goes into it: no optimizer, no logs, no paths of this machine.
"""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from polaris.commands.record import card as cards
from polaris.commands.record import writing
from polaris.commands.runs import Place
from polaris.evaluation.lineage import input_paths
from polaris.models.settings import HubModel
from polaris.models.unwritten import source_of
from polaris.recipe.recipe import Recipe
from polaris.report.model_card import model_card
from polaris.stage import files, manifest
from polaris.stage.errors import UserError
from polaris.stage.manifest import Manifest, file_digest
from polaris.stage.terminal import say


def checked(model: str, run: Path, folders: Mapping[str, str]) -> tuple[dict, Manifest]:
    """results.json and the model's manifest; folders: model -> its folder inside the run, of every evaluated model.

    Raises UserError for a model that was not evaluated, and where the report is of other weights.
    """
    if model not in folders:
        raise UserError(f"{model}: this run evaluates {', '.join(folders)}")
    report = json.loads(manifest.read(run / "report" / "data.json").file("results.json").read_text())
    checkpoint = manifest.read(run / folders[model] / "checkpoint.json")
    if reported_content(report, folders[model]) != checkpoint.content:
        raise UserError(f"{checkpoint.path}: the report is of other weights; run snakemake to update the report")
    if source_of(checkpoint):
        raise UserError(
            f"{model}: its weights were never written (merge.keep: none); set keep: selected, and run again"
        )
    return report, checkpoint


def reported_content(report: dict, stage: str) -> str | None:
    """The content digest of a stage that results.json was made from."""
    return next((row["content"] for row in report["lineage"] if row["stage"] == stage), None)


def generation_settings(report: dict, model: str, run: Path) -> dict:
    """How the scored responses were generated: settings of their stage, polaris.generation.settings.Generate.

    The recipe may have changed since. Raises UserError where the responses are gone, or are not those of the report.
    """
    scores = manifest.read(run / "scores" / model / "data.json")
    if reported_content(report, f"scores/{model}") != scores.content:
        raise UserError(f"{scores.path}: the report is of other scores; run snakemake to update the report")
    (path,) = input_paths(scores, ["responses"])
    responses = manifest.read(path)
    if responses.content != scores.inputs["responses"]["content"]:
        raise UserError(f"{path}: other responses than those that were scored; run snakemake to grade them")
    return responses.settings


def header(settings: Recipe, model: str, license_id: str) -> dict[str, object]:
    """The metadata that the hub reads from a card. license_id: as the hub spells it"""
    inputs = settings.inputs
    start = inputs.base_small if model in settings.specialists else inputs.base_large
    source = inputs.models.get(model, start)
    base = {"base_model": source.hub} if isinstance(source, HubModel) else {}
    return {"license": license_id, **base, "library_name": "transformers", "pipeline_tag": "text-generation"}


def write(checkpoint: Manifest | None, out: Path, rest: Callable[[Path], None]) -> None:
    """Copy the model's files, each checked against its digest, and add the rest: the folder is whole, or not there.

    checkpoint: None for no weights; rest: writes what else belongs into the folder
    Raises UserError where `out` exists, and for a file that is not what its stage published.
    """
    if files.kind_of(out) is not None:
        raise UserError(f"{out}: already exists; name another folder, or remove it")
    partial = Path(tempfile.mkdtemp(prefix=f"{out.name}.", suffix=".partial", dir=out.parent))
    try:
        for path, kind in files.files_below(checkpoint.model) if checkpoint else ():
            assert checkpoint
            name, copy = str(path.relative_to(checkpoint.folder)), partial / path.relative_to(checkpoint.model)
            if kind == "file" and name in checkpoint.files:
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
            if not copy.exists() or file_digest(copy) != checkpoint.files[name]["xxh3"]:
                raise UserError(f"{path}: not the file that its stage published; rerun the stage")
        rest(partial)
        partial.chmod(0o755)  # mkdtemp's are for their owner alone
        partial.rename(out)
    except BaseException:
        shutil.rmtree(partial)
        raise


def push(folder: Path, repository: str) -> str:
    """Upload to a private repository of the hub; its URL. No test runs this: it needs a network and a token."""
    from huggingface_hub import HfApi

    api = HfApi()
    address = api.create_repo(repository, private=True, exist_ok=True)
    api.upload_folder(folder_path=folder, repo_id=repository)
    return str(address)


def main(place: Place, models: Sequence[str], to: Path, license_id: str, repository: str | None, weights: bool) -> None:
    """`polaris publish`. weights: of the one model; without them the results of all `models`. Raises UserError."""
    if weights and len(models) != 1:
        raise UserError(f"{' '.join(models)}: one model is published with its weights; several with --no-weights")
    to = to.absolute()
    settings = place.recipe()
    with contextlib.chdir(place.root):  # manifests name their inputs from there
        run = Path("runs") / place.folder.name
        (report, checkpoint), *_ = [checked(model, run, settings.checkpoints) for model in models]

        if weights:
            generation = generation_settings(report, models[0], run)
            card = model_card(report, models[0], to.name, header(settings, models[0], license_id), generation)
        else:
            card = cards.results_card(report, models, to.name, license_id)

        def rest(folder: Path) -> None:
            record, withheld = writing.write(report, settings, models, run, folder, repository)
            (folder / "README.md").write_text(f"{card}\n{cards.verifiable(withheld)}", encoding="utf-8")
            writing.seal(folder, record)
            for sentence in withheld:
                say(sentence)

        write(checkpoint if weights else None, to, rest)
    size = sum(path.stat().st_size for path in to.rglob("*")) / 1e6
    say(f"{to}: {size:,.1f} MB, with its card in README.md")
    say(push(to, repository) if repository else "nothing was uploaded; --push OWNER/NAME does")
