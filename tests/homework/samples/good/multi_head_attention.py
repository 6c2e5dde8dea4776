"""Cutting heads, and joining them."""


def split_heads(x, n_heads):
    batch, length, d_model = x.shape
    return x.reshape(batch, length, n_heads, d_model // n_heads).swapaxes(1, 2)


def merge_heads(x):
    batch, n_heads, length, d_head = x.shape
    return x.swapaxes(1, 2).reshape(batch, length, n_heads * d_head)
