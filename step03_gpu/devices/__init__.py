"""Attention shared between devices: a sequence, heads, batches."""
