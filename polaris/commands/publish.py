"""`polaris publish`: a folder of an evaluated model that is ready to be pushed, with its card; pushed only if asked.

Nothing but the model's published files goes into it: no optimizer, no logs, no paths of this machine.
"""

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from polaris.evaluation.lineage import input_paths
from polaris.models.settings import HubModel
from polaris.recipe import recipe
from polaris.recipe.command_line import recipe_parser
from polaris.recipe.recipe import Recipe
from polaris.report.model_card import model_card
from polaris.stage import files, manifest
from polaris.stage.errors import UserError
from polaris.stage.manifest import Manifest, file_digest
from polaris.stage.terminal import say


def checked(model: str, run: Path, folders: Mapping[str, str]) -> tuple[dict, Manifest]:
    """results.json and the model's manifest; folders: of every evaluated model, inside the run.

    Raises UserError for another model, and where the two are of different trainings.
    """
    if model not in folders:
        raise UserError(f"{model}: this run evaluates {', '.join(folders)}")
    report = manifest.read(run / "report" / "data.json")
    found = json.loads(report.file("results.json").read_text())
    made = manifest.read(run / folders[model] / "checkpoint.json")
    if reported_content(found, folders[model]) != made.content:
        raise UserError(f"{made.path}: the report is of other weights; run snakemake, which makes the report again")
    return found, made


def reported_content(found: dict, stage: str) -> str | None:
    """The content digest of a stage that results.json was made from."""
    return next((row["content"] for row in found["lineage"] if row["stage"] == stage), None)


def generation_settings(found: dict, model: str, run: Path) -> dict:
    """How the scored responses were generated: settings of their stage, polaris.generation.settings.Generate.

    The recipe may say something else by now. Raises UserError where the responses are gone, or are not those of the
    report: then nobody can say how to ask the model.
    """
    scores = manifest.read(run / "scores" / model / "data.json")
    if reported_content(found, f"scores/{model}") != scores.content:
        raise UserError(f"{scores.path}: the report is of other scores; run snakemake, which makes the report again")
    (path,) = input_paths(scores, ["responses"])
    responses = manifest.read(path)
    if responses.content != scores.inputs["responses"]["content"]:
        raise UserError(f"{path}: other responses than those that were scored; run snakemake, which grades them")
    return responses.settings


def header(of: Recipe, model: str, licence: str) -> dict[str, object]:
    """The values that the hub reads of a card."""
    source = of.inputs.base_small if model in of.specialists else of.inputs.base_large
    base = {"base_model": source.hub} if isinstance(source, HubModel) else {}
    return {"license": licence, **base, "library_name": "transformers", "pipeline_tag": "text-generation"}


def write(made: Manifest, card: str, out: Path) -> None:
    """The model's files, each as its digest says, and the card. Raises UserError where something is at `out`."""
    if files.kind_of(out) is not None:
        raise UserError(f"{out}: it already exists; name another folder, or remove it")
    partial = Path(tempfile.mkdtemp(prefix=f"{out.name}.", suffix=".partial", dir=out.parent))
    try:
        for path, kind in files.files_below(made.model):
            name, copy = str(path.relative_to(made.folder)), partial / path.relative_to(made.model)
            if kind == "file" and name in made.files:
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
            if not copy.exists() or file_digest(copy) != made.files[name]["xxh3"]:
                raise UserError(f"{path}: it is not what its stage published; make the stage again")
        (partial / "README.md").write_text(card, encoding="utf-8")
        partial.chmod(0o755)  # mkdtemp's are for their owner alone
        partial.rename(out)
    except BaseException:
        shutil.rmtree(partial)
        raise


def push(folder: Path, repository: str) -> str:
    """Upload to a private repository of the hub; its address. Not part of any test: it needs a network and a token."""
    from huggingface_hub import HfApi

    api = HfApi()
    address = api.create_repo(repository, private=True, exist_ok=True)
    api.upload_folder(folder_path=folder, repo_id=repository)
    return str(address)


def main(argv: Sequence[str]) -> None:
    """Command line of `polaris publish`. Raises UserError."""
    parser = recipe_parser("publish", __doc__)
    parser.add_argument("model", help="a name in the run: core_filtered, distilled, alpha=0.50")
    parser.add_argument("--to", required=True, type=Path, help="folder to be made")
    parser.add_argument("--licence", required=True, help="of the weights, as the hub spells it: apache-2.0")
    parser.add_argument("--push", metavar="OWNER/NAME", help="upload the folder to this repository (private)")
    args = parser.parse_args(argv)
    asked = recipe.load(args.configfile)
    found, made = checked(args.model, Path("runs") / asked.run, asked.checkpoints)
    how = generation_settings(found, args.model, Path("runs") / asked.run)
    sampling = {name: value for name, value in how["sampling"].items() if name != "seed"}
    head = header(asked, args.model, args.licence)
    card = model_card(found, args.model, args.to.name, head, sampling, how["instruction"])
    write(made, card, args.to)
    say(
        f"{args.to}: {sum(path.stat().st_size for path in args.to.rglob('*')) / 1e6:,.1f} MB, with its card in "
        "README.md"
    )
    say(push(args.to, args.push) if args.push else "nothing was uploaded; --push OWNER/NAME does")
