"""What a recurrent translator is made of, checked on entry."""

from dataclasses import dataclass

from step01_numpy.common.configuration.model import Configuration
from step01_numpy.common.support import checks

SCORES = ("additive", "dot", "general", "concat", "none")


@dataclass(frozen=True)
class RecurrentConfig(Configuration):
    """
    The shape of an RNN encoder-decoder.

    Attributes
    ----------
    vocab_size : int
    d_model : int
        Size of the embeddings, and of the rows that the logits are a projection of.
    d_hidden : int
        Size of the decoder's state and of an annotation, of which each direction of the encoder gives half.
    score : "additive", "dot", "general", "concat" or "none"
        How the decoder's state is matched with the annotations; "none" leaves it one vector for the sentence.
    window : int or None
        D of local attention, which sees D source positions on either side of a predicted one; None = all.
    dropout : float
        Probability, at least 0 and below 1.
    max_positions : int
        Longest sequence that is trained on or translated; the model itself knows no limit.
    pad : int
        The token that is padding in source sentences.
    """

    vocab_size: int
    d_model: int = 128
    d_hidden: int = 256
    score: str = "additive"
    window: int | None = None
    dropout: float = 0.1
    max_positions: int = 256
    pad: int = 0

    def __post_init__(self):
        super().__post_init__()
        for name in ("vocab_size", "d_model", "d_hidden", "max_positions"):
            checks.positive(name, getattr(self, name))
        checks.divides("2", 2, "d_hidden", self.d_hidden)
        checks.one_of("score", self.score, SCORES)
        if self.window is not None:
            checks.positive("window", self.window)
            if self.score == "none":
                raise ValueError(f"window is {self.window}; without attention (score 'none') expected None")
        checks.rate("dropout", self.dropout)
        checks.token("pad", self.pad, self.vocab_size)

    @property
    def family(self) -> str:
        """The name of the model class."""
        return "RecurrentTranslator"
