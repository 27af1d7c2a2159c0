"""Models whose weights lie in no file: whoever made their folder gives them when an engine loads them."""

from polaris.stage.manifest import Manifest

SOURCE = "unwritten.json"  # in the model's folder: what its maker makes the weights of


def source_of(model: Manifest) -> str | None:
    """The module of ours whose `weights(folder)` gives this model's tensors by name; None: they are in its files."""
    return model.module if f"model/{SOURCE}" in model.files else None
