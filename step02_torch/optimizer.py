"""AdamW, gradient clipping, and learning-rate schedules."""

import numpy as np
import torch

from step01_numpy.common.support import checks
from step01_numpy.optimizer import learning_rate
from step02_torch.arrays import from_numpy, to_numpy

__all__ = ["AdamW", "clip_gradients", "learning_rate"]


class AdamW:
    """
    Move each weight against its gradient's running mean, over the running root mean square.

    PyTorch's own AdamW, with the rate given at each step and the state by the weights' names.

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
        options = {"betas": betas, "eps": eps, "weight_decay": weight_decay}
        self.adamw = torch.optim.AdamW(self.parameters.values(), fused=True, **options)
        for parameter in self.parameters.values():
            self._remember(parameter, 0, torch.zeros_like(parameter), torch.zeros_like(parameter))

    def step(self, rate: float) -> None:
        """Update every weight that has a gradient, with the given learning rate."""
        self.adamw.param_groups[0]["lr"] = rate
        self.adamw.step()
        for parameter in self.parameters.values():
            if parameter.grad is None:  # PyTorch counts a weight's steps, we count all
                self.adamw.state[parameter]["step"] += 1

    def state_dict(self) -> dict:
        """Return the running means by name, and the number of steps."""
        states = {name: self.adamw.state[p] for name, p in self.parameters.items()}
        means = {f"mean.{name}": to_numpy(x["exp_avg"]) for name, x in states.items()}
        squares = {f"square.{name}": to_numpy(x["exp_avg_sq"]) for name, x in states.items()}
        steps = max((int(x["step"]) for x in states.values()), default=0)
        return {"steps": np.array(steps), **means, **squares}

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state`, arrays of any stage; refused where a name is missing or a shape wrong."""
        checks.state({name: x.shape for name, x in self.state_dict().items()}, state)
        for name, parameter in self.parameters.items():
            mean, square = (from_numpy(state[f"{x}.{name}"]).to(parameter) for x in ("mean", "square"))
            self._remember(parameter, int(state["steps"]), mean, square)

    def _remember(self, parameter, steps, mean, square):
        step = torch.tensor(float(steps), dtype=torch.float32, device=parameter.device)  # as `fused` wants it
        self.adamw.state[parameter] = {"step": step, "exp_avg": mean, "exp_avg_sq": square}


def clip_gradients(parameters, max_norm: float) -> float:
    """
    Scale all gradients together so that their norm is at most `max_norm`, and return the norm they had.

    References
    ----------
    Pascanu et al. 2013, algorithm 1, arXiv:1211.5063.
    """
    return float(torch.nn.utils.clip_grad_norm_(parameters, max_norm))
