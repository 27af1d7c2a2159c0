"""The roads from a specialist into a generalist, compared over replicates: what each costs, recovers and loses."""
