"""Tasks over the CUDA ladder: regions of `.cu` files, graded on the emulator, which finds races too."""
