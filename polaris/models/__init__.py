"""A folder, a hub id or a tiny made-up model -> a model directory, its prompts and its context."""
