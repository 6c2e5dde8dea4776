"""AdamW, gradient clipping, and learning-rate schedules."""

from math import cos, pi, sqrt

import numpy as np

from step01_numpy.common.support import checks
from step01_numpy.common.training.configuration import TrainingConfig


class AdamW:
    """
    Move each weight against its gradient's running mean, over the running root mean square.

    Parameters
    ----------
    named_parameters : iterable of (str, Parameter)
    betas : (float, float)
        Decay of the two running means, for each step.
    eps : float
    weight_decay : float
        Share of the weight, times the rate, by which it shrinks in each step.

    References
    ----------
    Kingma and Ba 2014, algorithm 1, arXiv:1412.6980; Loshchilov and Hutter 2017, algorithm 2,
    arXiv:1711.05101.
    """

    def __init__(
        self, named_parameters, *, betas: tuple = (0.9, 0.98), eps: float = 1e-9, weight_decay: float = 0.01
    ):
        self.parameters = dict(named_parameters)
        self.betas, self.eps, self.weight_decay, self.steps = betas, eps, weight_decay, 0
        self.means = {name: np.zeros_like(p.data) for name, p in self.parameters.items()}
        self.squares = {name: np.zeros_like(p.data) for name, p in self.parameters.items()}

    def step(self, rate: float) -> None:
        """Update every weight that has a gradient, with the given learning rate."""
        self.steps += 1
        for name, parameter in self.parameters.items():
            if parameter.grad is not None:
                self._update(parameter, self.means[name], self.squares[name], rate)

    def _update(self, parameter, mean, square, rate):
        beta_1, beta_2 = self.betas
        gradient = parameter.grad
        mean += (1 - beta_1) * (gradient - mean)
        square *= beta_2
        square += (1 - beta_2) * gradient * gradient
        root = np.sqrt(square / (1 - beta_2**self.steps)) + self.eps  # the means start at 0: correct for it
        parameter.data *= 1 - rate * self.weight_decay
        parameter.data -= rate / (1 - beta_1**self.steps) * mean / root

    def state_dict(self) -> dict:
        """Return the running means by name, and the number of steps."""
        means = {f"mean.{name}": x for name, x in self.means.items()}
        squares = {f"square.{name}": x for name, x in self.squares.items()}
        return {"steps": np.array(self.steps), **means, **squares}

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state`, arrays of any stage; refused where a name is missing or a shape wrong."""
        checks.state({name: x.shape for name, x in self.state_dict().items()}, state)
        self.steps = int(state["steps"])
        for kind, own in (("mean", self.means), ("square", self.squares)):
            for name, x in own.items():
                own[name] = np.array(state[f"{kind}.{name}"], dtype=x.dtype, like=x)


def clip_gradients(parameters, max_norm: float) -> float:
    """
    Scale all gradients together so that their norm is at most `max_norm`, and return the norm they had.

    References
    ----------
    Pascanu et al. 2013, algorithm 1, arXiv:1211.5063.
    """
    parameters = [p for p in parameters if p.grad is not None]
    norm = sqrt(sum(float((p.grad * p.grad).sum()) for p in parameters))
    factor = max_norm / (norm + 1e-6)
    if factor < 1:
        for parameter in parameters:
            parameter.grad = parameter.grad * factor
    return norm


def learning_rate(step: int, config: TrainingConfig) -> float:
    """
    Return the rate of update `step`, counted from 1.

    Notes
    -----
    It rises in proportion to the step to `peak_rate` at `warmup`, then falls, with schedule "cosine" as half
    a cosine to 0 at `steps`, with "inverse_square_root" as √(warmup / step).

    References
    ----------
    Vaswani et al. 2017, equation 3; cosine: Loshchilov and Hutter 2016, arXiv:1608.03983.
    """
    if step < config.warmup:
        return config.peak_rate * step / config.warmup
    if config.schedule == "inverse_square_root":
        return config.peak_rate * sqrt(max(config.warmup, 1) / step)
    done = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.peak_rate * (1 + cos(pi * min(1.0, done))) / 2
