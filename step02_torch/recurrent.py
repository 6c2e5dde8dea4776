"""The gated recurrent unit (Cho et al. 2014): a state that reads a sequence step by step."""

import torch
from jaxtyping import Bool, Float

from step01_numpy.common.support import checks
from step02_torch.arrays import Array
from step02_torch.feed_forward import sigmoid
from step02_torch.parameters import Layer, Linear, linear

__all__ = ["GRU", "BidirectionalGRU", "gru_step", "stand_still", "summary"]


def gru_step(
    inputs: Float[Array, "B gates"],
    state: Float[Array, "B d"],
    weight: Float[Array, "gates d"],
    bias: Float[Array, " gates"],
) -> Float[Array, "B d"]:
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

    Notes
    -----
    r = σ(W_r x + b_r + U_r h + c_r), z = σ(W_z x + b_z + U_z h + c_z),
    n = tanh(W_n x + b_n + r · (U_n h + c_n)), new = (1 - z) · n + z · h.
    This is the form of `nn.GRU`. Cho et al. apply r to h before the product with U_n, and have no biases;
    here the three products with h are one.

    References
    ----------
    Cho et al. 2014, equations 5 to 8, arXiv:1406.1078.
    """
    d = state.shape[-1]
    gates, x = inputs.split([2 * d, d], dim=-1)
    hidden, recalled = linear(state, weight, bias).split([2 * d, d], dim=-1)
    reset, update = sigmoid(gates + hidden).chunk(2, dim=-1)
    candidate = torch.addcmul(x, reset, recalled).tanh()
    return candidate.lerp(state, update)


def stand_still(inputs: Float[Array, "L B gates"], mask: Bool[Array, "B L"]) -> Float[Array, "L B gates"]:
    """
    Let the state pass padding unchanged: there the update gate z = σ(∞) = 1, so that new = h.

    All that the backward gives to the gates of such a step is then exactly 0.
    """
    update = torch.arange(3, device=inputs.device)[:, None] == 1  # of the three thirds, the second
    still = ~mask.T[:, :, None, None] & update
    return inputs.unflatten(-1, (3, -1)).masked_fill(still, torch.inf).flatten(-2)


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
        Source of the initial weights; PyTorch's own when not given.
    """

    def __init__(self, d_in: int, d_hidden: int, *, reverse: bool = False, rng=None):
        super().__init__()
        checks.positive("d_hidden", d_hidden)
        self.d_hidden, self.reverse = d_hidden, reverse
        self.w_x = Linear(d_in, 3 * d_hidden, rng=rng)
        self.w_h = Linear(d_hidden, 3 * d_hidden, rng=rng)

    def forward(
        self, x: Float[Array, "B L d_in"], mask: Bool[Array, "B L"] | None = None
    ) -> Float[Array, "B L d_hidden"]:
        """Return the state after each row of x, starting from 0; where `mask` is False it stands still."""
        checks.rank("x", x, 3)
        inputs = self.w_x(x.transpose(0, 1))  # (L, B, 3d): time goes first, so that a step lies together
        if mask is not None:
            checks.shape("mask", mask, x.shape[:2])
            inputs = stand_still(inputs, mask)
        state = inputs.new_zeros(len(x), self.d_hidden)
        states = []
        for step in reversed(inputs.unbind()) if self.reverse else inputs.unbind():
            state = gru_step(step, state, self.w_h.weight, self.w_h.bias)
            states.append(state)
        return torch.stack(states[::-1] if self.reverse else states, dim=1)


class BidirectionalGRU(Layer):
    """
    Two GRUs, one from either end: each row's annotation has read all before it and all behind it.

    Parameters
    ----------
    d_in, d_hidden : int
        Size of the rows read, and of an annotation, of which each direction gives half.
    rng : numpy.random.Generator, optional
        Source of the initial weights; PyTorch's own when not given.

    References
    ----------
    Schuster and Paliwal 1997; Bahdanau et al. 2014, section 3.2, arXiv:1409.0473.
    """

    def __init__(self, d_in: int, d_hidden: int, *, rng=None):
        super().__init__()
        checks.divides("2", 2, "d_hidden", d_hidden)
        self.left_to_right = GRU(d_in, d_hidden // 2, rng=rng)
        self.right_to_left = GRU(d_in, d_hidden // 2, reverse=True, rng=rng)

    def forward(
        self, x: Float[Array, "B L d_in"], mask: Bool[Array, "B L"] | None = None
    ) -> Float[Array, "B L d_hidden"]:
        """Return the annotation of each row of x."""
        return torch.cat([self.left_to_right(x, mask), self.right_to_left(x, mask)], dim=-1)


def summary(annotations: Float[Array, "B S d"]) -> Float[Array, "B d"]:
    """Return one vector for the whole sequence: each direction's last state, which has read all of it."""
    half = annotations.shape[-1] // 2
    return torch.cat([annotations[:, -1, :half], annotations[:, 0, half:]], dim=-1)
