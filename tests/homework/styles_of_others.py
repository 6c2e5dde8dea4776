"""Submissions of other tasks in styles other than the project's, and what is said of the wrong ones."""

# ruff: noqa: E501  (one line of a submission a line)

from typing import NamedTuple

HEAD = '"""A student\'s file."""\nimport math\nimport numpy as np\n\n\n'
LAYER_NORM = "def layer_norm(x, weight, bias, *, eps=1e-5):\n"
SPLIT = "def split_heads(x, n_heads):\n"
MERGE_HEADS = "def merge_heads(x):\n    b, h, n, d = x.shape\n    return np.concatenate([x[:, i] for i in range(h)], axis=-1)\n"
CACHE = "class KVCache:\n    def append(self, k, v):\n"
BACKWARD = "def softmax_backward(d_weights, weights, axis=-1):\n"
ADAMW = "class AdamW:\n    def step(self, rate):\n"
ENTROPY = "def cross_entropy(logits, targets, *, smoothing=0.0):\n"
ROTATE = "def rotate(x, cos, sin, *, interleaved=False):\n"
GRU = "def gru_step(inputs, state, weight, bias):\n"
MERGE = "def merge_attention(out, lse, other_out, other_lse):\n"


class Other(NamedTuple):
    """A submission of a task: what the first sentence holds, "" where it is right, and one file's text."""

    name: str
    task: str
    file: str
    said: str
    text: str


OTHERS = [
    Other("softmax's Jacobian row by row", "softmax-backward", "softmax.py", "", BACKWARD + """    g, w = np.moveaxis(d_weights, axis, -1), np.moveaxis(weights, axis, -1)
    out = np.empty(w.shape)
    for index in np.ndindex(*w.shape[:-1]):
        p = w[index]
        out[index] = (np.diag(p) - np.outer(p, p)) @ g[index]
    return np.moveaxis(out, -1, axis)
"""),
    Other("softmax's gradient by einsum", "softmax-backward", "softmax.py", "", BACKWARD + """    g, w = np.moveaxis(d_weights, axis, -1), np.moveaxis(weights, axis, -1)
    return np.moveaxis(w * (g - np.einsum('...i,...i->...', g, w)[..., None]), -1, axis)
"""),
    Other("the Jacobian's diagonal alone", "softmax-backward", "softmax.py", "independent sigmoids", BACKWARD + "    return np.stack(list(d_weights * weights * (1 - weights)))\n"),
    Other("a Jacobian without its square", "softmax-backward", "softmax.py", "Your gradient treats each weight alone", BACKWARD + "    return np.einsum('...,...->...', weights, d_weights)\n"),
    Other("sums along the last axis", "softmax-backward", "softmax.py", "another axis", BACKWARD + "    return weights * (d_weights - np.add.reduce(weights * d_weights, -1)[..., None])\n"),
    Other("layer norm by mean and var", "layer-norm", "layers.py", "", LAYER_NORM + "    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps) * weight + bias\n"),
    Other("layer norm by a class", "layer-norm", "layers.py", "", "class Row:\n    def __init__(self, x, eps):\n        self.mu = x.sum() / x.size\n        self.sd = math.sqrt(((x - self.mu) ** 2).sum() / x.size + eps)\n\n\n" + LAYER_NORM + """    def one(x):
        row = Row(x, eps)
        return weight * ((x - row.mu) / row.sd) + bias
    return np.apply_along_axis(one, -1, x)
"""),
    Other("layer norm by std", "layer-norm", "layers.py", "eps", LAYER_NORM + "    m = np.mean(x, -1)[..., None]\n    return weight * (x - m) / (np.std(x, -1)[..., None] + eps) + bias\n"),
    Other("layer norm with ddof", "layer-norm", "layers.py", "one less than the number of columns", LAYER_NORM + "    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, ddof=1, keepdims=True) + eps) * weight + bias\n"),
    Other("layer norm divided by var", "layer-norm", "layers.py", "divide by the variance", LAYER_NORM + "    m, v = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)\n    return (x - m) / (v + eps) * weight + bias\n"),
    Other("heads by np.split", "heads", "multi_head_attention.py", "", SPLIT + "    return np.stack(np.split(x, n_heads, axis=-1), axis=1)\n\n\n" + MERGE_HEADS),
    Other("heads in loops", "heads", "multi_head_attention.py", "", SPLIT + """    b, n, d = x.shape
    out = np.zeros((b, n_heads, n, d // n_heads))
    for h in range(n_heads):
        for c in range(d // n_heads):
            out[:, h, :, c] = x[:, :, h * (d // n_heads) + c]
    return out


""" + MERGE_HEADS),
    Other("heads by reshape alone", "heads", "multi_head_attention.py", "mix positions", SPLIT + "    b, n, d = x.shape\n    return np.reshape(x, (b, n_heads, n, d // n_heads))\n\n\n" + MERGE_HEADS),
    Other("heads by strides", "heads", "multi_head_attention.py", "columns in turn", SPLIT + "    return np.stack([x[..., h::n_heads] for h in range(n_heads)], axis=1)\n\n\n" + MERGE_HEADS),
    Other("a cache by vstack", "cache", "cache.py", "", CACHE + """        old = [] if self.keys is None else [self.keys]
        older = [] if self.values is None else [self.values]
        every, all_values = np.concatenate([*old, k], -2), np.concatenate([*older, v], -2)
        keep = every.shape[-2] if self.limit is None else min(self.limit, every.shape[-2])
        self.keys, self.values = every[:, :, every.shape[-2] - keep :], all_values[:, :, every.shape[-2] - keep :]
        self.length = self.length + k.shape[2]
        return every, all_values
"""),
    Other("a cache that cuts first", "cache", "cache.py", "only what stays", CACHE + """        self.length += k.shape[-2]
        if self.keys is not None:
            k, v = np.concatenate([self.keys, k], 2), np.concatenate([self.values, v], 2)
        if self.limit is not None:
            k, v = k[:, :, -self.limit :], v[:, :, -self.limit :]
        self.keys, self.values = k, v
        return k, v
"""),
    Other("a cache without a limit", "cache", "cache.py", "`limit` changes nothing", CACHE + """        self.length += k.shape[-2]
        self.keys = k if self.keys is None else np.concatenate([self.keys, k], 2)
        self.values = v if self.values is None else np.concatenate([self.values, v], 2)
        return self.keys, self.values
"""),
    Other("AdamW in a row", "adamw", "optimizer.py", "", ADAMW + """        self.steps = t = self.steps + 1
        b1, b2 = self.betas
        for n, p in self.parameters.items():
            if p.grad is None:
                continue
            self.means[n] = b1 * self.means[n] + (1 - b1) * p.grad
            self.squares[n] = b2 * self.squares[n] + (1 - b2) * p.grad**2
            m, s = self.means[n] / (1 - b1**t), self.squares[n] / (1 - b2**t)
            p.data = p.data - rate * self.weight_decay * p.data - rate * m / (np.sqrt(s) + self.eps)
"""),
    Other("Adam with L2", "adamw", "optimizer.py", "enters the running means", ADAMW + """        self.steps = t = self.steps + 1
        b1, b2 = self.betas
        for n, p in self.parameters.items():
            if p.grad is None:
                continue
            g = p.grad + self.weight_decay * p.data
            self.means[n] = b1 * self.means[n] + (1 - b1) * g
            self.squares[n] = b2 * self.squares[n] + (1 - b2) * g**2
            m, s = self.means[n] / (1 - b1**t), self.squares[n] / (1 - b2**t)
            p.data = p.data * (1 - rate * self.weight_decay) - rate * m / (np.sqrt(s) + self.eps)
"""),
    Other("cross-entropy in a loop", "cross-entropy", "loss.py", "", ENTROPY + """    total = 0.0
    for row, target in zip(logits, targets):
        top = max(row)
        norm = top + math.log(sum(math.exp(z - top) for z in row))
        p = np.full(len(row), smoothing / len(row))
        p[target] += 1 - smoothing
        total += sum(p[i] * (norm - row[i]) for i in range(len(row)))
    return np.float64(total / len(targets))
"""),
    Other("cross-entropy without smoothing", "cross-entropy", "loss.py", "`smoothing` changes nothing", ENTROPY + """    z = logits - logits.max(1, keepdims=True)
    p = z - np.log(np.exp(z).sum(1, keepdims=True))
    return -p[range(len(targets)), targets].mean()
"""),
    Other("cross-entropy in bits", "cross-entropy", "loss.py", "bits", ENTROPY + """    z = logits - logits.max(1, keepdims=True)
    p = (z - np.log(np.exp(z).sum(1, keepdims=True))) / math.log(2)
    return -((1 - smoothing) * p[range(len(targets)), targets] + smoothing * p.mean(1)).mean()
"""),
    Other("rotation by complex numbers", "rotary", "rotary.py", "", ROTATE + """    n = 2 * cos.shape[-1]
    y = x[..., :n]
    z = y[..., ::2] + 1j * y[..., 1::2] if interleaved else y[..., : n // 2] + 1j * y[..., n // 2 :]
    z = z * (cos + 1j * sin)
    out = x.copy()
    if interleaved:
        out[..., 0:n:2], out[..., 1:n:2] = z.real, z.imag
    else:
        out[..., : n // 2], out[..., n // 2 : n] = z.real, z.imag
    return out
"""),
    Other("rotation the other way", "rotary", "rotary.py", "the wrong way round", ROTATE + """    n = 2 * cos.shape[-1]
    y = x[..., :n]
    z = y[..., ::2] + 1j * y[..., 1::2] if interleaved else y[..., : n // 2] + 1j * y[..., n // 2 :]
    z = z * (cos - 1j * sin)
    out = x.copy()
    if interleaved:
        out[..., 0:n:2], out[..., 1:n:2] = z.real, z.imag
    else:
        out[..., : n // 2], out[..., n // 2 : n] = z.real, z.imag
    return out
"""),
    Other("a GRU in three parts", "gru", "recurrent.py", "", "def sig(x):\n    return 0.5 * (1 + np.tanh(0.5 * x))\n\n\n" + GRU + """    (xr, xz, xn), (ur, uz, un), (cr, cz, cn) = (np.split(a, 3, axis=i) for a, i in ((inputs, 1), (weight, 0), (bias, 0)))
    r, z = sig(xr + state @ ur.T + cr), sig(xz + state @ uz.T + cz)
    n = np.tanh(xn + r * (state @ un.T + cn))
    return n + z * (state - n), ()
"""),
    Other("a GRU upside down", "gru", "recurrent.py", "the wrong way round", "def sig(x):\n    return 1 / (1 + np.exp(-x))\n\n\n" + GRU + """    (xr, xz, xn), (hr, hz, hn) = np.split(inputs, 3, axis=1), np.split(state @ weight.T + bias, 3, axis=1)
    r, z = sig(xr + hr), sig(xz + hz)
    return z * np.tanh(xn + r * hn) + (1 - z) * state, ()
"""),
    Other("merging by logaddexp", "merge", "merge.py", "", MERGE + """    total = np.logaddexp(lse, other_lse)
    norm = np.where(np.isinf(total), 0.0, total)
    return np.exp(lse - norm)[..., None] * out + np.exp(other_lse - norm)[..., None] * other_out, total
"""),
    Other("merging by halves", "merge", "merge.py", "Each set counts half", MERGE + "    return (out + other_out) / 2, np.logaddexp(lse, other_lse)\n"),
]  # fmt: skip
