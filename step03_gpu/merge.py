"""Merging on the device: step01's functions, which follow the arrays they are given."""

from step01_numpy.merge import (
    log_sum_exp,
    log_sum_exp_backward,
    merge_attention,
    merge_attention_backward,
)

__all__ = ["log_sum_exp", "log_sum_exp_backward", "merge_attention", "merge_attention_backward"]
