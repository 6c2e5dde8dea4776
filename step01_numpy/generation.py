"""Generation: one step of decoding at a time, with what earlier steps have computed cached."""

from jaxtyping import Float, Int

from step01_numpy.arrays import Array
from step01_numpy.attention import cap
from step01_numpy.common.support import checks
from step01_numpy.engine.fused import fuse
from step01_numpy.engine.growing import grow
from step01_numpy.parameters import Layer, linear


def prepare(model: Layer) -> Layer:
    """Lay out a model's weights for decoding, fused where they multiply the same row; return the model."""
    for parameter in model.parameters():
        parameter.data = lay_out(parameter.data)
    return fuse(model)


def lay_out(weight: Float[Array, "..."]) -> Float[Array, "..."]:
    """
    Let a matrix lie in memory along its longer side.

    Decoding is bound by the reading of the weights: each step multiplies all of them with a single row. In
    long runs they are read fastest. One that lies so already, on the pages of a file maybe, is left there.
    """
    if len(weight.shape) != 2:
        return weight
    tall = weight.shape[0] > weight.shape[1]
    turned = weight.T if tall else weight
    turned = turned if turned.flags.c_contiguous else turned.copy()
    return turned.T if tall else turned


def start(model: Layer, *inputs: Array):
    """Read what is given, once: source sentences, or prompts and their mask. Return the cache of it."""
    return grow(model.start(*inputs))


def step(model: Layer, tokens: Int[Array, " B"], cache) -> Float[Array, "B vocab_size"]:
    """
    Feed each row's newest token, and return the logits of the next one.

    The logits are those of the full forward at that position: a causal model's past does not change.
    """
    checks.rank("tokens", tokens, 1)
    hidden = model.decode(tokens[:, None], cache)
    weight, bias = model.projection()
    return cap(linear(hidden[:, 0], weight.data, None if bias is None else bias.data), model.softcap)
