"""The standard normal distribution in float32, many times as fast as by way of `scipy.special.erf`."""

import numpy as np

# Of g, in rising powers of x², found by weighted least squares such that the largest error is smallest.
COEFFICIENTS = (
    0.7978849415,
    0.03633308440,
    -3.259473842e-5,
    -5.530631968e-5,
    3.964773740e-6,
    -1.322663294e-7,
    1.756278923e-9,
)
TAIL = -4.0  # below, what is left of ½ + ½ tanh has few digits
BLOCK = 16384  # numbers at a time, so that they stay in the cache


def normal_distribution(x: np.ndarray) -> np.ndarray:
    """
    Return Φ(x), the probability that a standard normal number is smaller than x.

    Parameters
    ----------
    x : float32, (...)

    Returns
    -------
    probabilities : float32, (...)
        Good to 1e-7, and below -4 to a thousandth of themselves.

    Notes
    -----
    Φ(x) = ½ (1 + tanh(x g(x²))) with a polynomial g of degree 6. With one of degree 1, good to 2e-4, this is
    what GPT-2 makes its GELU of. Far to the left Φ is a difference of two numbers near ½: there it comes from
    Laplace's continued fraction (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.2.14).
    """
    out = np.empty(x.shape, np.float32)
    flat, flat_out = x.reshape(-1), out.reshape(-1)
    square, value = np.empty((2, min(BLOCK, max(x.size, 1))), np.float32)
    with np.errstate(over="ignore"):  # x² of any x
        for start in range(0, x.size, BLOCK):
            block, result = flat[start : start + BLOCK], flat_out[start : start + BLOCK]
            _distribution(block, result, square[: len(block)], value[: len(block)])
    return out


def _distribution(x, out, square, value):
    """Write Φ(x) to `out`, every step in place; g by Horner's scheme."""
    np.multiply(x, x, out=square)
    np.multiply(square, COEFFICIENTS[-1], out=value)
    for coefficient in COEFFICIENTS[-2:0:-1]:
        value += np.float32(coefficient)
        value *= square
    value += np.float32(COEFFICIENTS[0])
    np.multiply(x, value, out=out)
    np.tanh(out, out=out)
    out *= 0.5
    out += 0.5
    far = np.flatnonzero(x < TAIL)
    out[far] = _tail(-x[far].astype(np.float64))


def _tail(a):
    """Return Φ(-a) = φ(a) / (a + 1 / (a + 2 / (a + 3 / …)))."""
    fraction = a
    for n in (6, 5, 4, 3, 2, 1):
        fraction = a + n / fraction
    return np.exp(-a * a / 2) / (fraction * np.sqrt(2 * np.pi))
