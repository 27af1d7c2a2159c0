"""What the RL stages sampled, what it was paid, and what another reward would have paid; starts no engine."""
