"""Places to run: each takes a submission and says what became of its members."""
