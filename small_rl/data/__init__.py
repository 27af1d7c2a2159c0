"""Problems, rollouts and a teacher's answers -> what a training reads."""
