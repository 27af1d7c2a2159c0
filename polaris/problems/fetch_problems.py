"""Problems from a local file or from a Hugging Face data set at a pinned revision: `problems.parquet`.

Only data files are ever fetched or read; a data set's own code is neither downloaded nor executed.
"""

from typing import Annotated, Any

from pydantic import Discriminator, RootModel, Tag

from polaris.problems.hub_files import split_files
from polaris.problems.read_problems import found_columns, read_problems
from polaris.problems.settings import FileProblems, HubProblems
from polaris.stage.records import PROBLEMS, write_rows
from polaris.stage.settings import Section
from polaris.stage.stage import Stage, run_verb


def _place(values: Any) -> str:
    named = values if isinstance(values, dict) else vars(values) if isinstance(values, Section) else {}
    return "hub" if "hub" in named else "file"


class Source(
    RootModel[
        Annotated[Annotated[HubProblems, Tag("hub")] | Annotated[FileProblems, Tag("file")], Discriminator(_place)]
    ]
):
    """Either section; the key `hub` tells which."""


def main() -> None:
    with Stage.from_command_line("polaris.problems.fetch_problems", Source) as stage:
        settings = stage.settings.root
        if isinstance(settings, HubProblems):
            files, where = split_files(settings, stage.state / "datasets"), settings.hub
        else:
            files, where = [settings.file], str(settings.file)
        problems = read_problems(settings, files, stage.name, where)
        stage.say(found_columns(settings, files))
        write_rows(stage.partial / "problems.parquet", problems, PROBLEMS)
        stage.publish(metrics={"problems": len(problems)})


if __name__ == "__main__":
    run_verb(main)
