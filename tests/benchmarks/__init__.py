"""Speed and memory, by `make bench`: ratios of medians within one interleaved run."""
