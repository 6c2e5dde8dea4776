"""The cache of decoding on the device: step01's, which follows the arrays it is given."""

from step01_numpy.cache import KVCache

__all__ = ["KVCache"]
