"""What a trajectory is paid, and what the groups of a step become: pure, without an engine."""
