"""GPUs, the shapes of models, and what of one fits on the other: arithmetic below the recipe."""
