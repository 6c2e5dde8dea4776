"""CUDA kernels without a GPU: the same `.cu` text, compiled as C++ and run on NumPy arrays, thread by thread."""

from step03_gpu.emulator.compiler import EmulatorError
from step03_gpu.emulator.raw_module import RawModule, warp_order

__all__ = ["EmulatorError", "RawModule", "warp_order"]
