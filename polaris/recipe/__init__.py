"""All settings of a run: files, overlays, checks, where a value comes from."""
