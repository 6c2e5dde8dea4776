"""
Scores: how well a decoder's state matches what an encoder wrote about each position of the source.

Bahdanau et al. 2014 matched them by a small network (additive), Luong et al. 2015 by a product. The product
without weights, `dot_scores`, is what scaled dot-product attention became: there state and annotations are
projected first, every position asks at once, and 1/√D keeps the scores in range.
"""

import numpy as np
from jaxtyping import Float

from step01_numpy.arrays import Array
from step01_numpy.common.support import gradients
from step01_numpy.parameters import Layer, Linear, Parameter, linear, linear_backward, uniform


def additive_scores(
    query: Float[Array, "B d"], keys: Float[Array, "B S d"], v: Float[Array, " d"]
) -> tuple[Float[Array, "B S"], Float[Array, "B S d"]]:
    """
    Match a query with every key by a network of one hidden layer: vᵀ tanh(query + key).

    Returns
    -------
    scores : (B, S)
    activation : (B, S, d)
        The hidden layer, which the backward needs: d times the memory that a product takes.

    References
    ----------
    Bahdanau et al. 2014, appendix A.1.2, arXiv:1409.0473.
    """
    activation = query[:, None, :] + keys
    np.tanh(activation, out=activation)
    return (activation.reshape(-1, len(v)) @ v).reshape(keys.shape[:2]), activation


def additive_scores_backward(
    d_scores: Float[Array, "B S"], activation: Float[Array, "B S d"], v: Float[Array, " d"]
) -> tuple[Float[Array, "B d"], Float[Array, "B S d"], Float[Array, " d"]]:
    """Differentiate `additive_scores`: return d_query, which every key adds to, d_keys and d_v."""
    gradients.array("d_scores", d_scores, activation.shape[:2], activation.dtype)
    d_v = d_scores.reshape(-1) @ activation.reshape(-1, len(v))  # scores = activation @ v
    d_keys = 1 - activation * activation  # activation = tanh(query + keys)
    d_keys *= v
    d_keys *= d_scores[:, :, None]
    return d_keys.sum(axis=1), d_keys, d_v


def dot_scores(query: Float[Array, "B d"], keys: Float[Array, "B S d"]) -> Float[Array, "B S"]:
    """
    Match a query with every key by their product.

    References
    ----------
    Luong et al. 2015, equation 8, arXiv:1508.04025.
    """
    return (keys @ query[:, :, None])[:, :, 0]


def dot_scores_backward(
    d_scores: Float[Array, "B S"], query: Float[Array, "B d"], keys: Float[Array, "B S d"]
) -> tuple[Float[Array, "B d"], Float[Array, "B S d"]]:
    """Differentiate `dot_scores`: return d_query and d_keys."""
    gradients.array("d_scores", d_scores, keys.shape[:2], keys.dtype)
    return (d_scores[:, None, :] @ keys)[:, 0], d_scores[:, :, None] * query[:, None, :]


class DotScore(Layer):
    """
    Score sᵀ h: Luong's dot. It has no weights.

    Parameters
    ----------
    d_hidden : int
        Size of the state s and of an annotation h.
    rng : numpy.random.Generator, optional
        Source of the initial weights.
    """

    def __init__(self, d_hidden: int, *, rng=None):
        self.d_hidden = d_hidden

    def keys(self, annotations: Float[Array, "B S d"]) -> Float[Array, "B S d"]:
        """Return what the state is matched with, once a sentence: here the annotations themselves."""
        return annotations

    def keys_backward(self, d_keys: Float[Array, "B S d"]) -> Float[Array, "B S d"]:
        """Return the gradient of the annotations."""
        return d_keys

    def forward(self, state: Float[Array, "B d"], keys: Float[Array, "B S d"]) -> tuple[Array, tuple]:
        """Return the scores (B, S), and what `backward` needs, since each step has its own."""
        return dot_scores(state, keys), (state, keys)

    def backward(
        self, d_scores: Float[Array, "B S"], saved: tuple
    ) -> tuple[Float[Array, "B d"], Float[Array, "B S d"]]:
        """Return d_state and d_keys of the step that `saved` is of."""
        return dot_scores_backward(d_scores, *saved)


class GeneralScore(DotScore):
    """Score sᵀ W h: Luong's general. Parameters as in `DotScore`."""

    def __init__(self, d_hidden: int, *, rng=None):
        super().__init__(d_hidden, rng=rng)
        self.w_h = Linear(d_hidden, d_hidden, bias=False, rng=rng)

    def keys(self, annotations: Float[Array, "B S d"]) -> Float[Array, "B S d"]:
        """Return W h."""
        return self.w_h(annotations)

    def keys_backward(self, d_keys: Float[Array, "B S d"]) -> Float[Array, "B S d"]:
        """Return the gradient of the annotations."""
        return self.w_h.backward(d_keys)


class AdditiveScore(GeneralScore):
    """Score vᵀ tanh(W s + U h): Bahdanau's. Parameters as in `DotScore`; w_s is W, w_h is U."""

    def __init__(self, d_hidden: int, *, rng=None):
        super().__init__(d_hidden, rng=rng)
        self.w_s = Linear(d_hidden, d_hidden, bias=False, rng=rng)
        self.v = Parameter(uniform(d_hidden**-0.5, (d_hidden,), rng))

    def forward(self, state: Float[Array, "B d"], keys: Float[Array, "B S d"]) -> tuple[Array, tuple]:
        """Return the scores (B, S), and what `backward` needs."""
        scores, activation = additive_scores(linear(state, self.w_s.weight.data), keys, self.v.data)
        return scores, (state, activation)

    def backward(
        self, d_scores: Float[Array, "B S"], saved: tuple
    ) -> tuple[Float[Array, "B d"], Float[Array, "B S d"]]:
        """Return d_state and d_keys of the step that `saved` is of."""
        state, activation = saved
        d_query, d_keys, d_v = additive_scores_backward(d_scores, activation, self.v.data)
        d_state, d_weight, _ = linear_backward(d_query, state, self.w_s.weight.data)
        self.v.accumulate(d_v)
        self.w_s.weight.accumulate(d_weight)
        return d_state, d_keys


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
        self.saved = annotations
        return linear(annotations, self._halves()[1])

    def keys_backward(self, d_keys: Float[Array, "B S d"]) -> Float[Array, "B S d"]:
        """Return the gradient of the annotations."""
        w_s, w_h = self._halves()
        d_annotations, d_weight, _ = linear_backward(d_keys, self.saved, w_h)
        self.w_a.weight.accumulate(np.concatenate([np.zeros_like(w_s), d_weight], axis=1))
        return d_annotations

    def forward(self, state: Float[Array, "B d"], keys: Float[Array, "B S d"]) -> tuple[Array, tuple]:
        """Return the scores (B, S), and what `backward` needs."""
        scores, activation = additive_scores(linear(state, self._halves()[0]), keys, self.v.data)
        return scores, (state, activation)

    def backward(
        self, d_scores: Float[Array, "B S"], saved: tuple
    ) -> tuple[Float[Array, "B d"], Float[Array, "B S d"]]:
        """Return d_state and d_keys of the step that `saved` is of."""
        (state, activation), (w_s, w_h) = saved, self._halves()
        d_query, d_keys, d_v = additive_scores_backward(d_scores, activation, self.v.data)
        d_state, d_weight, _ = linear_backward(d_query, state, w_s)
        self.v.accumulate(d_v)
        self.w_a.weight.accumulate(np.concatenate([d_weight, np.zeros_like(w_h)], axis=1))
        return d_state, d_keys

    def _halves(self):
        weight = self.w_a.weight.data
        return weight[:, : self.d_hidden], weight[:, self.d_hidden :]


# By the name that a configuration gives them.
SCORE_LAYERS = {"additive": AdditiveScore, "dot": DotScore, "general": GeneralScore, "concat": ConcatScore}
