"""
Scores: how well a decoder's state matches what an encoder wrote about each position of the source.

Bahdanau et al. 2014 matched them by a small network (additive), Luong et al. 2015 by a product. The product
without weights, `dot_scores`, is what scaled dot-product attention became: there state and annotations are
projected first, every position asks at once, and 1/√D keeps the scores in range.
"""

from jaxtyping import Float

from step02_torch.arrays import Array
from step02_torch.parameters import Layer, Linear, Parameter, linear, uniform


def additive_scores(
    query: Float[Array, "B d"], keys: Float[Array, "B S d"], v: Float[Array, " d"]
) -> Float[Array, "B S"]:
    """
    Match a query with every key by a network of one hidden layer: vᵀ tanh(query + key).

    Returns
    -------
    scores : (B, S)

    References
    ----------
    Bahdanau et al. 2014, appendix A.1.2, arXiv:1409.0473.
    """
    return (query[:, None, :] + keys).tanh() @ v


def dot_scores(query: Float[Array, "B d"], keys: Float[Array, "B S d"]) -> Float[Array, "B S"]:
    """
    Match a query with every key by their product.

    References
    ----------
    Luong et al. 2015, equation 8, arXiv:1508.04025.
    """
    return (keys @ query[:, :, None])[:, :, 0]


class DotScore(Layer):
    """
    Score sᵀ h: Luong's dot. It has no weights.

    Parameters
    ----------
    d_hidden : int
        Size of the state s and of an annotation h.
    rng : numpy.random.Generator, optional
        Source of the initial weights; PyTorch's own when not given.
    """

    def __init__(self, d_hidden: int, *, rng=None):
        super().__init__()
        self.d_hidden = d_hidden

    def keys(self, annotations: Float[Array, "B S d"]) -> Float[Array, "B S d"]:
        """Return what the state is matched with, once a sentence: here the annotations themselves."""
        return annotations

    def forward(self, state: Float[Array, "B d"], keys: Float[Array, "B S d"]) -> Float[Array, "B S"]:
        """Return the scores."""
        return dot_scores(state, keys)


class GeneralScore(DotScore):
    """Score sᵀ W h: Luong's general. Parameters as in `DotScore`."""

    def __init__(self, d_hidden: int, *, rng=None):
        super().__init__(d_hidden, rng=rng)
        self.w_h = Linear(d_hidden, d_hidden, bias=False, rng=rng)

    def keys(self, annotations: Float[Array, "B S d"]) -> Float[Array, "B S d"]:
        """Return W h."""
        return self.w_h(annotations)


class AdditiveScore(GeneralScore):
    """Score vᵀ tanh(W s + U h): Bahdanau's. Parameters as in `DotScore`; w_s is W, w_h is U."""

    def __init__(self, d_hidden: int, *, rng=None):
        super().__init__(d_hidden, rng=rng)
        self.w_s = Linear(d_hidden, d_hidden, bias=False, rng=rng)
        self.v = Parameter(uniform(d_hidden**-0.5, (d_hidden,), rng))

    def forward(self, state: Float[Array, "B d"], keys: Float[Array, "B S d"]) -> Float[Array, "B S"]:
        """Return the scores."""
        return additive_scores(self.w_s(state), keys, self.v)


class ConcatScore(DotScore):
    """
    Score vᵀ tanh(W [s; h]): Luong's concat. Parameters as in `DotScore`.

    It is Bahdanau's score with W and U side by side in one matrix, and is computed as such.
    """

    def __init__(self, d_hidden: int, *, rng=None):
        super().__init__(d_hidden, rng=rng)
        self.w_a = Linear(2 * d_hidden, d_hidden, bias=False, rng=rng)
        self.v = Parameter(uniform(d_hidden**-0.5, (d_hidden,), rng))

    def keys(self, annotations: Float[Array, "B S d"]) -> Float[Array, "B S d"]:
        """Return the share of h in W [s; h]."""
        return linear(annotations, self.w_a.weight[:, self.d_hidden :])

    def forward(self, state: Float[Array, "B d"], keys: Float[Array, "B S d"]) -> Float[Array, "B S"]:
        """Return the scores."""
        return additive_scores(linear(state, self.w_a.weight[:, : self.d_hidden]), keys, self.v)


# By the name that a configuration gives them.
SCORE_LAYERS = {"additive": AdditiveScore, "dot": DotScore, "general": GeneralScore, "concat": ConcatScore}
