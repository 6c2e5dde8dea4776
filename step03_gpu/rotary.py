"""Rotary positions on the device: step01's functions, which follow the arrays they are given."""

from step01_numpy.rotary import Rotary, rotary_angles, rotary_frequencies, rotate, rotate_backward

__all__ = ["Rotary", "rotary_angles", "rotary_frequencies", "rotate", "rotate_backward"]
