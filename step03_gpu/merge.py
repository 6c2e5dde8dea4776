"""Merging on the device: step01's functions, which follow the arrays they are given."""

from step01_numpy.merge import merge_attention, merge_attention_backward

__all__ = ["merge_attention", "merge_attention_backward"]
