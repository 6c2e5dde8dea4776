"""Cutting heads, and joining them, by the shape alone."""


def split_heads(x, n_heads):
    batch, length, d_model = x.shape
    return x.reshape(batch, n_heads, length, d_model // n_heads)


def merge_heads(x):
    batch, n_heads, length, d_head = x.shape
    return x.reshape(batch, length, n_heads * d_head)
