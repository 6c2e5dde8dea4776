"""Parity: a stage's numbers against another's, operation by operation."""

from step01_numpy.common.parity.comparison import CASES, Row, agrees, check, difference

__all__ = ["CASES", "Row", "agrees", "check", "difference"]
