"""Generation: one step of decoding at a time, with the keys and values of earlier steps cached."""

import torch
from jaxtyping import Float, Int

from step01_numpy.common import checks
from step02_torch.arrays import Array
from step02_torch.multi_head_attention import KVCache
from step02_torch.parameters import linear
from step02_torch.transformer import Transformer


class DecoderCache:
    """
    All that decoding has to remember of a batch: the encoder's memory and each block's keys and values.

    Attributes
    ----------
    memory : (B, S, d_model)
    memory_mask : (B, 1, 1, S)
    blocks : list of (KVCache, KVCache)
        For self- and for cross-attention.
    """

    def __init__(self, memory, memory_mask, n_blocks: int):
        self.memory, self.memory_mask = memory, memory_mask
        self.blocks = [(KVCache(), KVCache()) for _ in range(n_blocks)]

    def reorder(self, rows: Int[Array, " B"]) -> None:
        """Let row b continue what was row `rows[b]`: beams are kept, dropped or doubled."""
        self.memory, self.memory_mask = self.memory[rows], self.memory_mask[rows]
        for pair in self.blocks:
            for cache in pair:
                cache.reorder(rows)


@torch.no_grad()
def start(model: Transformer, source: Int[Array, "B S"]) -> DecoderCache:
    """Read the source sentences, once."""
    memory, memory_mask = model.encode(source)
    return DecoderCache(memory, memory_mask, len(model.decoder.blocks))


@torch.no_grad()
def step(model: Transformer, tokens: Int[Array, " B"], cache: DecoderCache) -> Float[Array, "B vocab_size"]:
    """
    Feed each sentence's newest token, and return the logits of the next one.

    The logits are those of the full forward at that position: a causal model's past does not change.
    """
    checks.shape("tokens", tokens, cache.memory.shape[:1])
    embedded = model.embedding(tokens[:, None])
    hidden = model.decoder(embedded, cache.memory, cache.memory_mask, caches=cache.blocks)
    return linear(hidden[:, 0], model.embedding.weight)
