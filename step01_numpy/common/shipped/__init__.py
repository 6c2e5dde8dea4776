"""The checkpoints that come with the package, and the configurations that trained them."""
