"""A model and its tokenizer at work: lines in, lines or vectors out."""
