"""A stage that publishes one small file."""

from pathlib import Path

from polaris.stage import manifest
from polaris.stage.settings import Section
from polaris.stage.stage import Stage


class Toy(Section):
    value: int


def stage(folder: Path, value: int = 1, code: str = "c", **inputs) -> Stage:
    return Stage("polaris.stage.manifest", Toy(value=value), inputs, folder / "data.json", code)


def publish(folder: Path, text: str = "x", **kwargs) -> manifest.Manifest:
    with stage(folder, **kwargs) as one:
        (one.partial / "part").mkdir()
        (one.partial / "part" / "a.txt").write_text(text)
        one.publish(metrics={"n": 3})
    return manifest.read(folder / "data.json")
