"""A decoder's architecture, its weights on disk, and the layouts that it fits."""
