"""Format SFT and RL on verl: the stages and the adapters."""
