"""Parity: an attention's numbers against step01's: a stage, anyone's package, or two plain functions."""

from step01_numpy.common.parity.comparison import check
from step01_numpy.common.parity.functions import check_attention

__all__ = ["check", "check_attention"]
