"""What a backward is handed: an array of another shape or dtype might broadcast, to wrong gradients."""

from step01_numpy.common.support.checks import dtype_name, instance, is_number


def array(name, x, shape, dtype):
    """Refuse an array of another shape or dtype."""
    if not hasattr(x, "dtype"):
        raise TypeError(f"{name} is a {type(x).__name__}; expected an array")
    if tuple(x.shape) != tuple(shape):
        raise ValueError(f"{name} has shape {tuple(x.shape)}; expected {tuple(shape)}")
    if dtype_name(x.dtype) != dtype_name(dtype):
        raise TypeError(f"{name} has dtype {dtype_name(x.dtype)}; expected {dtype_name(dtype)}")


def like(name, x, other):
    """Refuse an array that has not the shape and dtype of another, of which it is the gradient."""
    array(name, x, other.shape, other.dtype)


def attention(array_type, q, k, v, **found):
    """Refuse `out`, `weights` or `lse` that attention to q, k and v does not return, and a wrong `d_out`."""
    shapes = {"weights": (*q.shape[:-1], k.shape[-2]), "lse": q.shape[:-1]}
    for name, x in found.items():
        instance(array_type, name, x)
        shape = shapes.get(name, (*q.shape[:-1], v.shape[-1]))
        array(name, x, shape, sum_dtype(q) if name == "lse" else q.dtype)


def product(name, d_out, x, weight):
    """Refuse what is no gradient of x Wᵀ, which has the wider dtype of the two."""
    wider = x if x.dtype.itemsize >= weight.dtype.itemsize else weight
    array(name, d_out, (*x.shape[:-1], len(weight)), wider.dtype)


def grouped(name, d_x, heads):
    """Refuse an array that does not have a multiple of `heads`, those of several axes by the last of them."""
    own = tuple(d_x.shape[:-2])
    if len(own) != len(heads) or own[:-1] != tuple(heads[:-1]) or own[-1] % heads[-1]:
        raise ValueError(f"{name} has heads {own}; expected {tuple(heads)}, the last of them as a multiple")


def number(name, x, summed):
    """Return the gradient of a number made of an array, Python's as Python's; refuse another dtype."""
    if is_number(x):
        return float(x)
    array(name, x, (), sum_dtype(summed))
    return x


def sum_dtype(x):
    """Return the dtype that sums of x are made in."""
    return "float32" if x.dtype.itemsize == 2 else x.dtype
