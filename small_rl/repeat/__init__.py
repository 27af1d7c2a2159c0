"""An RL stage's training once more, from its stored rollouts: the same updates, without a rollout engine."""
