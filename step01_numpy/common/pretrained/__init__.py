"""Models of Hugging Face's directories."""
