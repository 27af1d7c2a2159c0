"""How a command is told its recipe: as Snakemake is."""

import argparse


def recipe_parser(
    command: str, description: str | None = None, default: str = "configs/laptop.yaml"
) -> argparse.ArgumentParser:
    """The parser of `polaris COMMAND`, with `--configfile`: the recipe and its overlays. default: a recipe"""
    parser = argparse.ArgumentParser(prog=f"polaris {command}", description=description)
    parser.add_argument("--configfile", nargs="+", default=[default], help="as given to snakemake")
    return parser
