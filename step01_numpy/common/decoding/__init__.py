"""Over a stage's `step`: greedy and beams, draws, text as it comes."""
