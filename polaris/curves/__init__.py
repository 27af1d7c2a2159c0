"""Curves of a training while it runs: what TensorBoard reads."""
