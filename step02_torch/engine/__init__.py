"""What serves speed: the same numbers as the mathematics beside it, which knows nothing of it."""
