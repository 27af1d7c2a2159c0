"""Megatron: the stages, their processes, the conversion in and out."""
