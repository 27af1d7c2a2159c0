"""The date of every evaluated model: what it may have seen at the latest, by the dates of what it was made from."""

from polaris.evaluation.dates import latest
from polaris.recipe.recipe import Recipe


def model_dates(recipe: Recipe) -> dict[str, str]:
    """Checkpoint -> its date; without those of which one origin has none, as tiny models and problems made here."""
    inputs = recipe.inputs
    date_of = {key: getattr(one, "date", None) for key, one in inputs.sources.items()}
    specialist = ["base_small", *(f"problems.{name}" for name in recipe.trained_on if name in ("format", "rl"))]
    specialist += ["teacher"] if inputs.teacher else []

    def origins(name: str) -> list[str]:
        """Keys below `inputs`."""
        if name in inputs.models:
            return [f"models.{name}"]
        if name in ("base_small", "base_large"):
            return [name]
        if stage := recipe.opd.get(name):
            return [*origins(stage.student), *origins(stage.teacher), f"problems.{stage.prompts}"]
        for stage in recipe.opd:
            if name in recipe.merged(f"_{stage}"):
                return ["base_large", *origins(stage)]
        if name in recipe.soups:
            return [key for one in recipe.soups[name] for key in origins(one)]
        if name in recipe.specialists:
            return specialist
        if inputs.distilled:
            return ["base_large", "distilled"]
        arm = next((arm for arm in recipe.arms if arm and name.endswith(arm)), "")
        writers = [traces.writer for traces in recipe.traces.values() if traces.arm == arm]
        prompts = [f"problems.{name}" for name in (recipe.large_sft.prompts if recipe.large_sft else [])]
        return ["base_large", *prompts, *(key for writer in writers for key in origins(writer))]

    dates = {name: latest([date_of.get(key) for key in origins(name)]) for name in recipe.checkpoints}
    return {name: date for name, date in dates.items() if date}
