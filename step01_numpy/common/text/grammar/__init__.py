"""The small grammar that writes the embedded corpus, both languages side by side: `sentences.sentences()`."""
