"""The kernels as operators of PyTorch, and the same tiling in Triton."""
