"""The translator that every benchmark trains, and the same in `torch.nn.Transformer`."""

import warnings

import numpy as np
import torch
from torch import nn

from step01_numpy.common.configuration.model import ModelConfig
from step01_numpy.common.text.batches import PAD, Batches
from step01_numpy.common.text.parallel import read_parallel
from step01_numpy.common.text.tokenizer import Tokenizer
from step01_numpy.common.training.configuration import TrainingConfig

MODEL = ModelConfig(vocab_size=8000)  # 3 + 3 layers, d_model 128, d_ff 256, 4 heads, dropout 0.1
TRAINING = TrainingConfig()  # 1,550 updates, warm-up 400 to 0.003, cosine, smoothing 0.1, 2,500 tokens


class TorchTransformer(nn.Module):
    """`torch.nn.Transformer` with tied embeddings and the sinusoids of the paper."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        d = config.d_model
        self.embedding = nn.Embedding(config.vocab_size, d)
        nn.init.normal_(self.embedding.weight, std=d**-0.5)
        with warnings.catch_warnings():  # it warns that its inference fast path is off with norm_first
            warnings.simplefilter("ignore")
            self.transformer = nn.Transformer(
                d, config.n_heads, config.n_layers, config.n_layers, config.d_ff, config.dropout,
                batch_first=True, norm_first=config.norm_first,
            )  # fmt: skip
        self.dropout = nn.Dropout(config.dropout)
        angles = np.arange(config.max_positions)[:, None] / 10000 ** (np.arange(0, d, 2) / d)
        table = np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(-1, d)
        self.register_buffer("positions", torch.tensor(table, dtype=torch.float32))

    def embed(self, tokens):
        x = self.embedding(tokens) * self.embedding.embedding_dim**0.5
        return self.dropout(x + self.positions[: tokens.shape[1]])

    def forward(self, source, target):
        hidden = torch.ones(target.shape[1], target.shape[1], dtype=torch.bool).triu(1)
        out = self.transformer(
            self.embed(source), self.embed(target), tgt_mask=hidden, tgt_is_causal=True,
            src_key_padding_mask=source == PAD, memory_key_padding_mask=source == PAD,
        )  # fmt: skip
        return out @ self.embedding.weight.T


def torch_trainer(config: ModelConfig = MODEL, training: TrainingConfig = TRAINING):
    """Return nn.Transformer's model, its update, from (batch, rate) to the loss, and its AdamW."""
    model = TorchTransformer(config)
    adamw = torch.optim.AdamW(
        model.parameters(), betas=training.betas, eps=1e-9, weight_decay=training.weight_decay
    )
    cross_entropy = nn.CrossEntropyLoss(ignore_index=PAD, label_smoothing=training.label_smoothing)

    def update(batch, rate):
        source, target_in, target_out = (torch.from_numpy(x) for x in batch)
        loss = cross_entropy(model(source, target_in).flatten(0, 1), target_out.flatten())
        adamw.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), training.max_norm)
        adamw.param_groups[0]["lr"] = rate
        adamw.step()
        return loss.item()

    return model, update, adamw


def corpus(path: str, rng) -> tuple[Tokenizer, Batches]:
    """Return a lowercasing tokenizer for the train split, and its batches."""
    pairs = read_parallel(path, "train")
    tokenizer = Tokenizer.train([text for pair in pairs for text in pair], MODEL.vocab_size, lowercase=True)
    sources, targets = ([tokenizer.encode(text) for text in side] for side in zip(*pairs, strict=True))
    return tokenizer, Batches(sources, targets, tokens_per_batch=TRAINING.tokens_per_batch, rng=rng)
