"""One learner."""
