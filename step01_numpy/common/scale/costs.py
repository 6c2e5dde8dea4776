"""Scale, on paper: what a Transformer holds and computes, from its configuration alone; no weight is made."""

from dataclasses import dataclass

from step01_numpy.common.configuration.model import ModelConfig
from step01_numpy.common.support import checks

BYTES = {"float32": 4, "bf16": 2}  # of a number


@dataclass(frozen=True)
class Cost:
    """
    What a part holds, and what it computes.

    Attributes
    ----------
    parameters : int
    flop : int
        In the forward of one token. A multiplication and its addition are 2 FLOP; matrix products alone are
        counted, not softmax, norms, activations, biases and look-ups.
    """

    parameters: int = 0
    flop: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.parameters + other.parameters, self.flop + other.flop)

    def __mul__(self, count: int) -> "Cost":
        return Cost(self.parameters * count, self.flop * count)


@dataclass(frozen=True)
class Group:
    """Parts that occur together, `count` times: a block, or what stands before and behind the blocks."""

    name: str
    count: int
    parts: dict[str, Cost]

    @property
    def one(self) -> Cost:
        """The cost of one of them."""
        return sum(self.parts.values(), Cost())

    @property
    def all(self) -> Cost:
        """The cost of all of them."""
        return self.one * self.count


# ---- one function for each part ---------------------------------------------------------------------------


def linear(d_in: int, d_out: int, bias: bool) -> Cost:
    """Count W x + b, with W (d_out, d_in)."""
    return Cost(d_in * d_out + bias * d_out, 2 * d_in * d_out)


def norm(c: ModelConfig) -> Cost:
    """Count a weight for each column, and a bias where it is a LayerNorm."""
    return Cost(c.d_model * (2 if c.norm == "layer" else 1))


def embedding(c: ModelConfig) -> Cost:
    """Count a row for each token of the vocabulary: looked up, not multiplied."""
    return Cost(c.vocab_size * c.d_model)


def positions(c: ModelConfig) -> Cost:
    """Count a row for each position where they are learned; sinusoids and rotations are formulas."""
    return Cost(c.max_positions * c.d_model if c.positions == "learned" else 0)


def segments(c: ModelConfig) -> Cost:
    """Count a row for each kind of sentence, as in BERT."""
    return Cost(c.n_segments * c.d_model)


def projections(c: ModelConfig) -> Cost:
    """Count the four around an attention, to q, k and v, and from the heads; and norms of q and k."""
    d, d_q, d_kv = c.d_model, c.n_heads * c.head_size, kv_width(c)
    to_heads = linear(d, d_q, c.biases_qkv) + linear(d, d_kv, c.biases_qkv) * 2
    return to_heads + linear(d_q, d, c.bias) + Cost(2 * c.head_size if c.head_norm else 0)


def attention(c: ModelConfig, n_keys: int) -> Cost:
    """Count no weight at all, but q kᵀ and weights v: over the keys in sight, all heads together."""
    return Cost(flop=2 * (2 * c.n_heads * c.head_size * n_keys))


def feed_forward(c: ModelConfig) -> Cost:
    """Count W_2 act(W_1 x), or W_2 (act(W_1 x) · W_3 x) where it is gated."""
    return linear(c.d_model, c.d_ff, c.bias) * (2 if c.gated else 1) + linear(c.d_ff, c.d_model, c.bias)


def logits(c: ModelConfig) -> Cost:
    """Count a score for each token of the vocabulary; the matrix is the embedding's where they are tied."""
    matrix = linear(c.d_model, c.vocab_size, c.head_bias)
    return matrix + Cost(-embedding(c).parameters) if c.tied else matrix


def transform(c: ModelConfig) -> Cost:
    """Count BERT's way to the logits: W x + b, the activation, a norm."""
    return linear(c.d_model, c.d_model, True) + norm(c)


def kv_width(c: ModelConfig) -> int:
    """Return the size of a token's keys in one block, all heads together, which is the values' too."""
    return c.head_size * (c.n_kv_heads or c.n_heads)


def keys_in_sight(window: int | None, context: int) -> int:
    """Return how many keys the last token of a context attends to, in a block of this window."""
    return context if window is None else min(window, context)


def kinds_of_block(c: ModelConfig) -> dict[str, tuple[int, int | None]]:
    """Return how many blocks of each kind a stack has, and their window; one kind needs no name."""
    n_full = len(c.full_layers)
    if not n_full:
        return {"": (c.n_layers, c.window)}
    return {"windowed": (c.n_layers - n_full, c.window), "full": (n_full, None)}


# ---- all of them together ---------------------------------------------------------------------------------


def groups(c: ModelConfig, context: int) -> list[Group]:
    """
    Return the parts of a model, in the order in which a token meets them.

    Parameters
    ----------
    c : ModelConfig
    context : int
        The FLOP are those of a token that attends to so many tokens, itself among them, or to those of them
        that its window shows. In an encoder-decoder they are those of one source token and one target token,
        amid so many of both.
    """
    checks.positive("context", context)
    checks.at_most("context", context, "max_positions", c.max_positions)
    before, after = _input(c), {"norm": norm(c)} if c.norm_first else {}
    found = [Group("embedding", 1, {"tokens": embedding(c)})]
    for name in _blocks(c, context, c.window):
        found.append(Group(f"{name} input".strip(), 1, before))
        for kind, (count, window) in kinds_of_block(c).items():
            block = _blocks(c, context, window)[name]
            found.append(Group(" ".join(filter(None, (name, kind, "block"))), count, block))
        found.append(Group(f"{name} output".strip(), 1, after))
    head = {"transform": transform(c)} if c.head == "transformed" else {}
    head |= {"logits": logits(c)} if c.head != "none" else {}
    return [group for group in [*found, Group("head", 1, head)] if group.parts]


def total(found: list[Group]) -> Cost:
    """Return the cost of the whole model."""
    return sum((group.all for group in found), Cost())


def cached_numbers(c: ModelConfig) -> int:
    """
    Return how many numbers a decoder keeps of each token: its keys and values in every block.

    An encoder keeps none. An encoder-decoder keeps so many of each target token, and again of each source
    token for its cross-attention.
    """
    return 0 if c.architecture == "encoder" else 2 * kv_width(c) * c.n_layers


def kept_numbers(c: ModelConfig, context: int) -> int:
    """Return how many numbers a decoder keeps of a context, and of as many source tokens if it has them."""
    per_block = cached_numbers(c) // c.n_layers
    own = sum(count * keys_in_sight(window, context) for count, window in kinds_of_block(c).values())
    return per_block * (own + (c.n_layers * context if c.architecture == "encoder_decoder" else 0))


def _blocks(c, context, window):
    """Return the parts of a block of this window, of each stack that the model has."""
    own, cross = attention(c, keys_in_sight(window, context)), attention(c, context)
    block = {"projections": projections(c), "self-attention": own}
    norms_of_one = norm(c) * (2 if c.norm_after else 1)  # of a sublayer
    norms = norms_of_one * 2
    last = {"feed-forward": feed_forward(c)}
    if c.architecture != "encoder_decoder":
        return {"": {**block, **last, "norms": norms}}
    crossing = {"cross projections": projections(c), "cross-attention": cross}
    return {
        "encoder": {**block, **last, "norms": norms},
        "decoder": {**block, **crossing, **last, "norms": norms + norms_of_one},
    }


def _input(c):
    parts = {"positions": positions(c), "segments": segments(c)}
    parts |= {"norm": norm(c)} if c.embedding_norm else {}
    return {name: cost for name, cost in parts.items() if cost.parameters}
