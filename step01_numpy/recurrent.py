"""The gated recurrent unit (Cho et al. 2014): a state that reads a sequence step by step, and back."""

import numpy as np
from jaxtyping import Bool, Float

from step01_numpy.arrays import Array
from step01_numpy.common.support import checks, gradients
from step01_numpy.feed_forward import sigmoid
from step01_numpy.parameters import Layer, Linear


def gru_step(
    inputs: Float[Array, "B gates"],
    state: Float[Array, "B d"],
    weight: Float[Array, "gates d"],
    bias: Float[Array, " gates"],
) -> tuple[Float[Array, "B d"], tuple]:
    """
    Read one more input into the state.

    Parameters
    ----------
    inputs : (B, 3d)
        The input's share of the gates r, z and of n, W x + b, which no state enters: a sequence's are
        computed all at once.
    state : (B, d)
        h.
    weight, bias : (3d, d), (3d,)
        U and c, by which the state enters.

    Returns
    -------
    new : (B, d)
        A mean of n and h, weighted by z.
    saved : tuple of (B, d)
        What the backward needs: h, r, z, n, and U_n h + c_n, what h offers to n before r lets it through.

    Notes
    -----
    r = σ(W_r x + b_r + U_r h + c_r), z = σ(W_z x + b_z + U_z h + c_z),
    n = tanh(W_n x + b_n + r · (U_n h + c_n)), new = (1 - z) · n + z · h.
    This is PyTorch's form. Cho et al. apply r to h before the product with U_n, and have no biases; here the
    three products with h are one.

    References
    ----------
    Cho et al. 2014, equations 5 to 8, arXiv:1406.1078.
    """
    d = state.shape[-1]
    hidden = state @ weight.T + bias
    gate = sigmoid(inputs[:, : 2 * d] + hidden[:, : 2 * d])
    reset, update, recalled = gate[:, :d], gate[:, d:], hidden[:, 2 * d :]
    candidate = np.tanh(inputs[:, 2 * d :] + reset * recalled)
    new = (1 - update) * candidate + update * state
    return new, (state, reset, update, candidate, recalled)


def gru_step_backward(
    d_new: Float[Array, "B d"],
    state: Float[Array, "B d"],
    reset: Float[Array, "B d"],
    update: Float[Array, "B d"],
    candidate: Float[Array, "B d"],
    recalled: Float[Array, "B d"],
    weight: Float[Array, "gates d"],
) -> tuple[Float[Array, "B gates"], Float[Array, "B gates"], Float[Array, "B d"]]:
    """
    Differentiate `gru_step`.

    Returns
    -------
    d_inputs : (B, 3d)
    d_hidden : (B, 3d)
        Of U h + c. The gradients of U and c are sums over all steps: they are left for one product after
        the last (`weight_backward`).
    d_state : (B, d)
    """
    gradients.like("d_new", d_new, state)
    d_update = d_new * (state - candidate)  # new = (1 - update) · candidate + update · state
    d_sum = d_new * (1 - update) * (1 - candidate * candidate)  # candidate = tanh(…)
    d_reset = d_sum * recalled
    d_gates = [d_reset * reset * (1 - reset), d_update * update * (1 - update)]  # σ' = σ (1 - σ)
    d_inputs = np.concatenate([*d_gates, d_sum], axis=-1)
    d_hidden = np.concatenate([*d_gates, d_sum * reset], axis=-1)
    return d_inputs, d_hidden, d_new * update + d_hidden @ weight  # hidden = state @ weight.T + bias


def weight_backward(
    d_out: Float[Array, "L B d_out"], x: Float[Array, "L B d_in"]
) -> tuple[Float[Array, "d_out d_in"], Float[Array, " d_out"]]:
    """Return d_weight and d_bias of a linear map that served every step: one product over all of them."""
    gradients.array("d_out", d_out, (*x.shape[:-1], d_out.shape[-1]), x.dtype)
    d_out = d_out.reshape(-1, d_out.shape[-1])
    return d_out.T @ x.reshape(-1, x.shape[-1]), d_out.sum(axis=0)


def stand_still(inputs: Float[Array, "L B gates"], mask: Bool[Array, "B L"]) -> Float[Array, "L B gates"]:
    """
    Let the state pass padding unchanged: there the update gate z = σ(∞) = 1, so that new = h.

    All that the backward gives to the gates of such a step is then exactly 0.
    """
    update = np.arange(3, like=inputs)[:, None] == 1  # of the three thirds, the second
    inputs = inputs.reshape(*inputs.shape[:2], 3, -1)
    still = ~mask.swapaxes(0, 1)[:, :, None, None] & update
    return np.where(still, np.inf, inputs).reshape(*inputs.shape[:2], -1)


class GRU(Layer):
    """
    A state that reads a sequence from its first row to its last, or the other way.

    Parameters
    ----------
    d_in, d_hidden : int
        Size of the rows read, and of the state.
    reverse : bool
        Whether it reads from the last row to the first.
    rng : numpy.random.Generator, optional
        Source of the initial weights.
    """

    def __init__(self, d_in: int, d_hidden: int, *, reverse: bool = False, rng=None):
        checks.positive("d_hidden", d_hidden)
        self.d_hidden, self.reverse = d_hidden, reverse
        self.w_x = Linear(d_in, 3 * d_hidden, rng=rng)
        self.w_h = Linear(d_hidden, 3 * d_hidden, rng=rng)

    def forward(
        self, x: Float[Array, "B L d_in"], mask: Bool[Array, "B L"] | None = None
    ) -> Float[Array, "B L d_hidden"]:
        """Return the state after each row of x, starting from 0; where `mask` is False it stands still."""
        checks.rank("x", x, 3)
        inputs = self.w_x(x.swapaxes(0, 1))  # (L, B, 3d): time goes first, so that a step lies together
        if mask is not None:
            checks.shape("mask", mask, x.shape[:2])
            inputs = stand_still(inputs, mask)
        state = np.zeros_like(inputs[0, :, : self.d_hidden])
        states, self.saved = [None] * len(inputs), [None] * len(inputs)
        for t in self._order(len(inputs)):
            state, self.saved[t] = gru_step(inputs[t], state, self.w_h.weight.data, self.w_h.bias.data)
            states[t] = state
        return np.stack(states, axis=1)

    def backward(self, d_states: Float[Array, "B L d_hidden"]) -> Float[Array, "B L d_in"]:
        """Return d_x: from the step read last to the first, each adds to the gradient of those before."""
        d_inputs, d_hidden = [None] * len(self.saved), [None] * len(self.saved)
        d_state = 0
        for t in reversed(self._order(len(self.saved))):
            d_new = d_states[:, t] + d_state
            d_inputs[t], d_hidden[t], d_state = gru_step_backward(d_new, *self.saved[t], self.w_h.weight.data)
        before = np.stack([state for state, *_ in self.saved])
        d_weight, d_bias = weight_backward(np.stack(d_hidden), before)
        self.w_h.weight.accumulate(d_weight)
        self.w_h.bias.accumulate(d_bias)
        return self.w_x.backward(np.stack(d_inputs)).swapaxes(0, 1)

    def _order(self, length):
        return range(length)[::-1] if self.reverse else range(length)


class BidirectionalGRU(Layer):
    """
    Two GRUs, one from either end: each row's annotation has read all before it and all behind it.

    Parameters
    ----------
    d_in, d_hidden : int
        Size of the rows read, and of an annotation, of which each direction gives half.
    rng : numpy.random.Generator, optional
        Source of the initial weights.

    References
    ----------
    Schuster and Paliwal 1997; Bahdanau et al. 2014, section 3.2, arXiv:1409.0473.
    """

    def __init__(self, d_in: int, d_hidden: int, *, rng=None):
        checks.divides("2", 2, "d_hidden", d_hidden)
        self.left_to_right = GRU(d_in, d_hidden // 2, rng=rng)
        self.right_to_left = GRU(d_in, d_hidden // 2, reverse=True, rng=rng)

    def forward(
        self, x: Float[Array, "B L d_in"], mask: Bool[Array, "B L"] | None = None
    ) -> Float[Array, "B L d_hidden"]:
        """Return the annotation of each row of x."""
        return np.concatenate([self.left_to_right(x, mask), self.right_to_left(x, mask)], axis=-1)

    def backward(self, d_out: Float[Array, "B L d_hidden"]) -> Float[Array, "B L d_in"]:
        """Return d_x: x was read twice."""
        half = d_out.shape[-1] // 2
        d_x = self.left_to_right.backward(d_out[..., :half])
        return d_x + self.right_to_left.backward(d_out[..., half:])


def summary(annotations: Float[Array, "B S d"]) -> Float[Array, "B d"]:
    """Return one vector for the whole sequence: each direction's last state, which has read all of it."""
    half = annotations.shape[-1] // 2
    return np.concatenate([annotations[:, -1, :half], annotations[:, 0, half:]], axis=-1)


def summary_backward(d_out: Float[Array, "B d"], annotations: Float[Array, "B S d"]) -> Float[Array, "B S d"]:
    """Differentiate `summary`: two halves of rows get all, the others nothing."""
    gradients.array("d_out", d_out, annotations[:, 0].shape, annotations.dtype)
    d_annotations, half = np.zeros_like(annotations), d_out.shape[-1] // 2
    d_annotations[:, -1, :half] = d_out[:, :half]
    d_annotations[:, 0, half:] = d_out[:, half:]
    return d_annotations
