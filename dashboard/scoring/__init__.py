"""How the company scores: points for progress, completions, quizzes and events."""
