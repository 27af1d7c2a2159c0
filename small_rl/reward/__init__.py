"""Rewards of a step's trajectories, rescue and substitution of its groups: pure, without an engine."""
