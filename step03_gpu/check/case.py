"""What is measured, and a line of the table of what was."""

from typing import NamedTuple


class Case(NamedTuple):
    """What is computed: B·H heads of L keys of size D, and as many queries or `n_queries`."""

    dtype: str
    heads: tuple[int, int]
    length: int
    size: int
    causal: bool
    n_queries: int | None = None

    @property
    def queries(self) -> int:
        """The queries of a head."""
        return self.length if self.n_queries is None else self.n_queries

    @property
    def shape(self) -> str:
        """The shape as the table shows it."""
        few = "" if self.n_queries is None else f", {self.n_queries} of L as queries"
        return f"{self.heads[0]}×{self.heads[1]}×{self.length}×{self.size}{few}"

    def flop(self, direction: str) -> float:
        """
        Return the FLOP that the mathematics needs: 4 D per query and key, half of it when causal.

        Backward 2.5 times that: five products instead of two (Dao 2023, section 4.1, arXiv:2307.08691).
        """
        forward = 4.0 * self.heads[0] * self.heads[1] * self.queries * self.length * self.size
        return forward * (0.5 if self.causal else 1) * (2.5 if direction == "backward" else 1)


class Row(NamedTuple):
    """
    One line of the table.

    Attributes
    ----------
    contestant, case, direction
        Who computed what.
    ms : float
        The median time.
    error, allowed : float
        The largest error of one head against float64, and how large it may be; absolute.
    first : float
        What the first run took, in s: with it come the compilers.
    """

    contestant: str
    case: Case
    direction: str
    ms: float
    error: float
    allowed: float = float("inf")
    first: float = 0.0

    @property
    def tflops(self) -> float:
        """TFLOP/s."""
        return self.case.flop(self.direction) / (self.ms * 1e9)

    @property
    def right(self) -> bool:
        """Whether the error is small enough; that of NaN is not."""
        return self.error <= self.allowed
