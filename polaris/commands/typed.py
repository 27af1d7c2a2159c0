"""How the commands take their words: typer, an option with several values at a time, and errors as sentences.

Words are read first and the work is done afterwards, so that Ctrl-C and a reader that ends early are the terminal's
(`polaris.stage.terminal.run`) and not typer's.
"""

import functools
import itertools
import sys
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperOption
from typer.exceptions import TyperException

from polaris.stage import terminal


class Spread(TyperCommand):
    """A command that takes `--configfile A B` as `--configfile A --configfile B`, as Snakemake does."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:
        several = {
            name for option in self.params if isinstance(option, TyperOption) and option.multiple
            for name in option.opts
        }  # fmt: skip
        return super().parse_args(ctx, spread(args, several))


def spread(words: list[str], several: set[str]) -> list[str]:
    """The words with each of `several` options repeated before every value that follows it."""
    spelled: list[str] = []
    option = None
    for word, following in itertools.pairwise([*words, "--"]):
        if word.startswith("-") and len(word) > 1:
            option = word if word in several and not following.startswith("--") else None
            spelled += [] if option else [word]
        else:
            spelled += [option, word] if option else [word]
    return spelled


def command(app: typer.Typer, panel: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a command of `app`, under a heading of its help; it runs when `run` has read all words."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def later(*args: Any, **kwargs: Any) -> Callable[[], None]:
            return functools.partial(function, *args, **kwargs)

        app.command(cls=Spread, rich_help_panel=panel)(later)
        return function

    return register


def run(app: typer.Typer) -> None:
    """Entry point: read the words, then do what they say."""
    try:
        work = app(prog_name="polaris", standalone_mode=False)
    except TyperException as error:
        if show := getattr(error, "show", None):
            show()
        else:
            terminal.say(f"error: {error}", sys.stderr)
        sys.exit(error.exit_code)
    if callable(work):
        terminal.run(work)
    sys.exit(work if isinstance(work, int) else 0)
