"""From text to batches: the embedded corpus, files of pairs or lines, byte pairs."""
