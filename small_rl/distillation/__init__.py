"""On-policy distillation: the student samples, a teacher's log-probabilities are what it learns from."""
