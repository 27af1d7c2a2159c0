"""Pages from Jinja templates: texts are escaped, and a value that is not given is an error."""

from pathlib import Path
from typing import Any


def environment(folder: Path) -> Any:
    """A jinja2.Environment of the templates in a folder; it may be given filters and globals."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
