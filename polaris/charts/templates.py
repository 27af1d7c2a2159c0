"""Pages from Jinja templates: texts are escaped, and a value that is not given is an error."""

from pathlib import Path
from typing import Any

from polaris.charts.charts import CLASSES, COLOURS


def environment(folder: Path) -> Any:
    """A jinja2.Environment of the templates in a folder, and of page_base.html; it may be given filters and globals."""
    import jinja2
    from markupsafe import Markup

    pages = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, Path(__file__).parent]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.globals |= {"colours": Markup(COLOURS), "classes": Markup(CLASSES)}
    return pages
