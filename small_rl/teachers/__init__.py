"""What a teacher says of a student's response: the log-probabilities that on-policy distillation learns from."""
