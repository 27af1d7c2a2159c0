"""Commands of a part alone: evaluate, generate, grade, merge, probe, on plain folders and files."""
