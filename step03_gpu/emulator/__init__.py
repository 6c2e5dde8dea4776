"""CUDA kernels without a GPU: the same text, compiled as C++ and run thread by thread on NumPy arrays."""

from step03_gpu.emulator.compiler import EmulatorError
from step03_gpu.emulator.counts import count
from step03_gpu.emulator.launches import warp_order
from step03_gpu.emulator.raw_module import RawModule
from step03_gpu.emulator.results import compare_orders

__all__ = ["EmulatorError", "RawModule", "compare_orders", "count", "warp_order"]
