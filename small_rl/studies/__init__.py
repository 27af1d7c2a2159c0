"""Measurements beside the flow: temperatures, and what right and wrong trajectories share."""
