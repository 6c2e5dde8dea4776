"""Submissions in PyTorch in other styles than the project's: right ones, and wrong ones with what is said of them."""

# ruff: noqa: E501  (one line of a submission a line)

import textwrap
from typing import NamedTuple

HEAD = '"""A student\'s file."""\nimport functools\nimport math\nimport numpy as np\nimport torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n\n\n'
SOFTMAX = "def softmax(scores, axis=-1):\n"
LSE = "def log_sum_exp(scores, axis=-1):\n    none = torch.isneginf(scores).all(axis, keepdim=True)\n    return scores.masked_fill(none, 0).logsumexp(axis).masked_fill(none.squeeze(axis), -torch.inf)\n"
SIMPLE = "def simple_attention(q, k, v):\n"
ATTENTION = "def scaled_dot_product_attention(q, k, v, mask=None, *, bias=None, causal=False, window=None, offset=None, scale=None, softcap=None):\n"
SPLIT, MERGE = "def split_heads(x, n_heads):\n", "def merge_heads(x):\n"
COMBINE = """def combine_masks(n_queries, n_keys, mask=None, *, causal=False, window=None, offset=None, like=None):
    masks = [] if mask is None else [mask]
    if causal:
        masks.append(sliding_window_mask(n_queries, n_keys, None, 0, offset=offset))
    if window is not None:
        masks.append(sliding_window_mask(n_queries, n_keys, *window, offset=offset))
    return functools.reduce(torch.logical_and, masks) if masks else None


"""
HIDE = COMBINE + "def hide(scores, mask):\n"
SELF = "class SelfAttention(nn.Module):\n    def forward(self, x, mask=None):\n"
CACHE, FEED = (
    "class KVCache:\n    def append(self, k, v):\n",
    "class FeedForward(nn.Module):\n    def forward(self, x):\n",
)
RESIDUAL = "class Residual(nn.Module):\n    def forward(self, x, sublayer):\n"
ENTROPY = "def cross_entropy(logits, targets, *, smoothing=0.0):\n"
ROTATE = "def rotate(x, cos, sin, *, interleaved=False):\n"


class Style(NamedTuple):
    """
    A submission of a task in PyTorch.

    Parameters
    ----------
    name, task : str
        The task is named without `torch-`.
    said : str
        What one of the sentences holds; empty where it is right.
    files : dict
        Texts by the file's name.
    notes : str
        What one of the remarks holds; empty where there is none.
    """

    name: str
    task: str
    said: str
    files: dict
    notes: str = ""


def style(name, task, said, head="", body="", file="", notes="", **files):
    """Return a submission: of one file a head and its indented body, and whole files."""
    inner = "        " if head.startswith("class") else "    "  # a method's, or a function's
    texts = {f"{x}.py": HEAD + text for x, text in files.items()}
    if head:
        texts[f"{file}.py"] = HEAD + head + textwrap.indent(textwrap.dedent(body).strip("\n"), inner) + "\n"
    return Style(name, task, said, texts, notes)


def simple(name, said, body, notes=""):
    """Return a submission of simple attention."""
    return style(name, "simple-attention", said, SIMPLE, body, "attention", notes)


RIGHT = [
    style("softmax by torch", "softmax", "", SOFTMAX, "hidden = torch.isneginf(scores).all(axis, keepdim=True)\nreturn F.softmax(torch.where(hidden, 0.0, scores), axis) * ~hidden", "softmax", merge=LSE),
    style("softmax by hand", "softmax", "", SOFTMAX, "m = scores.max(dim=axis, keepdim=True).values\ne = torch.exp(scores - torch.nan_to_num(m, neginf=0.0))\nreturn e / e.sum(dim=axis, keepdim=True).clamp(min=1e-300)", "softmax", merge=LSE),
    style("softmax of rows in a loop", "softmax", "", SOFTMAX, "x = scores.transpose(axis, -1)\nrows = [F.softmax(r, 0) if (r > -math.inf).any() else torch.zeros_like(r) + 0 * torch.where(r > -math.inf, r, 0.0) for r in x.reshape(-1, x.shape[-1])]\nreturn torch.stack(rows).view(x.shape).transpose(axis, -1)", "softmax", merge=LSE),
    simple("einsum", "", "w = torch.einsum('...ld,...sd->...ls', q, k).div(math.sqrt(q.size(-1))).softmax(-1)\nreturn torch.einsum('...ls,...sd->...ld', w, v), w"),
    simple("matmul and transpose", "", "s = torch.matmul(q, torch.transpose(k, -2, -1)) * q.shape[-1] ** -0.5\nw = nn.Softmax(dim=-1)(s)\nreturn torch.matmul(w, v), w"),
    simple("loops over queries", "", "rows = [F.softmax((k * q[..., i : i + 1, :]).sum(-1) / math.sqrt(q.shape[-1]), -1) for i in range(q.shape[-2])]\nw = torch.stack(rows, -2)\nreturn (w.unsqueeze(-1) * v.unsqueeze(-3)).sum(-2), w"),
    simple("a maximum without its gradient", "", "s = q @ k.mT / math.sqrt(q.shape[-1])\ne = (s - s.detach().amax(-1, keepdim=True)).exp()\nw = e / e.sum(-1, keepdim=True)\nreturn w @ v, w"),
    simple("in place on its own", "", "s = q @ k.mT\ns /= math.sqrt(q.shape[-1])\nw = s.softmax(-1)\nreturn w @ v, w"),
    simple("a list of two", "", "w = torch.softmax(q @ k.mT / math.sqrt(q.shape[-1]), -1)\nreturn [w @ v, w]"),
    simple("arguments changed in place", "", "q /= math.sqrt(q.shape[-1])\nw = torch.softmax(q @ k.mT, -1)\nreturn w @ v, w", "changes its arguments in place"),
    style("a module for a function", "simple-attention", "", attention="class Scores(nn.Module):\n    def __init__(self, size):\n        super().__init__()\n        self.scale = 1 / math.sqrt(size)\n\n    def forward(self, q, k):\n        return torch.baddbmm(torch.zeros(1, dtype=q.dtype), q.flatten(0, -3) if q.dim() > 2 else q[None], (k.flatten(0, -3) if k.dim() > 2 else k[None]).mT, beta=0, alpha=self.scale).reshape(*q.shape[:-1], -1)\n\n\n" + SIMPLE + "    w = Scores(q.shape[-1])(q, k).softmax(-1)\n    return w @ v, w\n"),
    style("attention by tril and triu", "attention", "", ATTENTION, """
        q = q * (1 / math.sqrt(q.size(-1)) if scale is None else scale)
        if q.dim() > 2 and q.size(-3) != k.size(-3):
            k, v = (x.unsqueeze(-3).expand(*x.shape[:-2], q.size(-3) // x.size(-3), *x.shape[-2:]).flatten(-4, -3) for x in (k, v))
        s = q.matmul(k.transpose(-2, -1))
        if softcap is not None:
            s = torch.tanh(s / softcap) * softcap
        if bias is not None:
            s = s + bias
        L, S = s.shape[-2:]
        o = S - L if offset is None else offset
        see = torch.ones(L, S, dtype=torch.bool)
        if causal:
            see = torch.tril(see, o)
        if window is not None:
            left, right = window
            see = see if left is None else torch.triu(see, o - left)
            see = see if right is None else torch.tril(see, o + right)
        if mask is not None:
            see = see & mask
        s = s.masked_fill(see.logical_not(), float('-inf'))
        empty = (s == float('-inf')).all(-1, keepdim=True)
        w = F.softmax(s.masked_fill(empty, 0.0), dim=-1).masked_fill(empty, 0.0)
        return w @ v, w
    """, "attention"),
    style("attention from what was given", "attention", "", ATTENTION, """
        from step02_torch.masks import combine_masks, hide
        from step02_torch.softmax import softmax
        n = 1 if q.dim() < 3 else q.shape[-3] // k.shape[-3]
        if n > 1:
            k, v = k.repeat_interleave(n, -3), v.repeat_interleave(n, -3)
        s = cap(attention_scores(q, k, scale), softcap)
        s = s if bias is None else s + bias
        w = softmax(hide(s, combine_masks(s.shape[-2], s.shape[-1], mask, causal=causal, window=window, offset=offset)))
        return torch.einsum('...ls,...sd->...ld', w, v), w
    """, "attention"),
    style("heads by unflatten", "heads", "", multi_head_attention=SPLIT + "    return x.unflatten(-1, (n_heads, -1)).transpose(1, 2)\n\n\n" + MERGE + "    return x.transpose(1, 2).flatten(-2)\n"),
    style("heads by view and permute", "heads", "", multi_head_attention=SPLIT + "    b, n, d = x.size()\n    return x.view(b, n, n_heads, d // n_heads).permute(0, 2, 1, 3).contiguous()\n\n\n" + MERGE + "    b, h, n, d = x.size()\n    return x.permute(0, 2, 1, 3).contiguous().view(b, n, h * d)\n"),
    style("heads by chunk and cat", "heads", "", multi_head_attention=SPLIT + "    return torch.stack(x.chunk(n_heads, dim=-1), dim=1)\n\n\n" + MERGE + "    return torch.cat(x.unbind(1), dim=-1)\n"),
    style("self-attention by F.linear", "self-attention", "", SELF, "q, k, v = (F.linear(x, w.weight, w.bias) for w in (self.w_q, self.w_k, self.w_v))\nreturn self.attend(q, k, v, mask)[0]", "self_attention"),
    style("self-attention with its own lines", "self-attention", "", SELF, "q, k, v = self.w_q(x), self.w_k(x), self.w_v(x)\ns = q @ k.mT / q.shape[-1] ** 0.5\nif mask is not None:\n    s = s.masked_fill(~mask, -torch.inf)\nempty = s.isneginf().all(-1, keepdim=True)\nreturn torch.softmax(s.masked_fill(empty, 0), -1).masked_fill(empty, 0) @ v", "self_attention"),
    style("hide by where", "hide", "", HIDE, "return scores if mask is None else torch.where(mask, scores, torch.tensor(-torch.inf, dtype=scores.dtype))", "masks"),
    style("a cache of lists", "cache", "", CACHE, "self.length += k.size(2)\nk = torch.cat([x for x in (self.keys, k) if x is not None], 2)\nv = torch.cat([x for x in (self.values, v) if x is not None], 2)\nn = k.size(2) if self.limit is None else min(self.limit, k.size(2))\nself.keys, self.values = k.narrow(2, k.size(2) - n, n), v.narrow(2, v.size(2) - n, n)\nreturn k, v", "cache"),
    style("feed-forward in its lines", "feed-forward", "", FEED, "h = self.activate(F.linear(x, self.w_1.weight, self.w_1.bias))\nif self.w_3 is not None:\n    h = h * F.linear(x, self.w_3.weight, self.w_3.bias)\nreturn F.linear(h, self.w_2.weight, self.w_2.bias)", "feed_forward"),
    style("residual by a helper", "residual", "", blocks="def after(self, out):\n    return out if self.norm_after is None else self.norm_after(out)\n\n\n" + RESIDUAL + "        if not self.norm_first:\n            return self.norm(sublayer(x).add(x))\n        return torch.add(x, after(self, sublayer(self.norm(x))))\n"),
    style("cross-entropy by log_softmax", "cross-entropy", "", ENTROPY, "p = F.log_softmax(logits, -1)\nreturn -((1 - smoothing) * p[torch.arange(len(targets)), targets] + smoothing * p.mean(-1)).mean()", "loss"),
    style("cross-entropy by one_hot", "cross-entropy", "", ENTROPY, "p = F.one_hot(targets, logits.shape[-1]).to(logits.dtype) * (1 - smoothing) + smoothing / logits.shape[-1]\nreturn -(p * logits.log_softmax(1)).sum(1).mean(0)", "loss"),
    style("rotation by complex numbers", "rotary", "", ROTATE, """
        n = 2 * cos.shape[-1]
        y, rest = x[..., :n], x[..., n:]
        pairs = y.unflatten(-1, (-1, 2)) if interleaved else y.unflatten(-1, (2, -1)).transpose(-1, -2)
        z = torch.view_as_complex(pairs.contiguous()) * torch.complex(cos, sin)
        pairs = torch.view_as_real(z)
        pairs = pairs if interleaved else pairs.transpose(-1, -2)
        return torch.cat([pairs.flatten(-2), rest], -1)
    """, "rotary"),
]  # fmt: skip
WRONG = [
    simple("no scale", "not scaled", "w = (q @ k.mT).softmax(-1)\nreturn w @ v, w"),
    simple("scaled by D", "scaled by the head size itself", "w = torch.einsum('...ld,...sd->...ls', q, k).div(q.shape[-1]).softmax(-1)\nreturn w @ v, w"),
    simple("softmax over the queries", "sum to 1 over the queries", "w = F.softmax(q @ k.mT / math.sqrt(q.shape[-1]), dim=-2)\nreturn w @ v, w"),
    simple("weights detached", "cut off from what it was computed from", "w = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1).detach()\nreturn w @ v, w"),
    simple("weights by .data", "cut off from what it was computed from", "s = q @ k.mT / math.sqrt(q.shape[-1])\nw = torch.softmax(s.data, -1)\nreturn w @ v, w"),
    simple("all of it without gradients", "no gradient gets back to `q`, `k`, `v`", "with torch.no_grad():\n    w = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1)\n    return w @ v, w"),
    simple("through NumPy", "no gradient gets back to `q`, `k`, `v`", "a, b, c = (x.detach().numpy() for x in (q, k, v))\ns = a @ b.swapaxes(-1, -2) / np.sqrt(a.shape[-1])\ne = np.exp(s - s.max(-1, keepdims=True))\nw = e / e.sum(-1, keepdims=True)\nreturn torch.from_numpy(w @ c), torch.from_numpy(w)"),
    simple("numpy() of what has a history", "Can't call numpy() on Tensor that requires grad", "w = torch.tensor(q.numpy() @ k.numpy().swapaxes(-1, -2)).softmax(-1)\nreturn w @ v, w"),
    simple("keys detached", "no gradient gets back to `k`", "w = (q @ k.detach().mT / math.sqrt(q.shape[-1])).softmax(-1)\nreturn w @ v, w"),
    simple("numbers by item()", "cut off from what it was computed from", "w = torch.zeros(*q.shape[:-1], k.shape[-2], dtype=q.dtype)\nfor i in np.ndindex(*w.shape):\n    w[i] = (q[i[:-1]] * k[(*i[:-2], i[-1])]).sum().item() / math.sqrt(q.shape[-1])\nw = w.softmax(-1)\nreturn w @ v, w"),
    simple("a new tensor of the same numbers", "cut off from what it was computed from", "w = torch.tensor((q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1).tolist(), dtype=q.dtype)\nreturn w @ v, w"),
    simple("the sum taken for a constant", "A part of your way may be a constant to autograd", "e = (q @ k.mT / math.sqrt(q.shape[-1])).exp()\nw = e / e.sum(-1, keepdim=True).detach()\nreturn w @ v, w"),
    simple("float32 inside", "is part of it computed in float32?", "w = (q.float() @ k.float().mT / math.sqrt(q.shape[-1])).softmax(-1).double()\nreturn w @ v, w"),
    simple("float32 throughout", "is part of it computed in float32?", "w = (q.float() @ k.float().mT / math.sqrt(q.shape[-1])).softmax(-1)\nreturn w @ v.float(), w"),
    simple("in place on what autograd needs", "changes in place a tensor that autograd needs", "w = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1)\nout = w @ v\nw.mul_(1.0)\nreturn out, w"),
    simple("the weights left out", "1 value came back; expected 2 values", "return (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1) @ v"),
    simple("nothing returned", "is something returned?", "w = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1)\nw @ v, w"),
    simple("the last key left out", "first result", "w = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1)\nw = torch.cat([w[..., :-1], 0 * w[..., -1:]], -1)\nreturn w @ v, w"),
    style("softmax without its hidden row", "softmax", "Where nothing is visible your result is NaN", SOFTMAX, "return torch.softmax(scores, axis)", "softmax", merge=LSE),
    style("NaN taken out behind the softmax", "softmax", "their gradients are NaN", SOFTMAX, "return torch.nan_to_num(F.softmax(scores, axis), nan=0.0)", "softmax", merge=LSE),
    style("softmax by exp alone", "softmax", "Large scores overflow exp", SOFTMAX, "return scores.exp() / scores.exp().sum(axis, keepdim=True)", "softmax", merge=LSE),
    style("a mask upside down", "hide", "inverted", HIDE, "return scores if mask is None else scores.masked_fill(mask, -torch.inf)", "masks"),
    style("a mask of -1e9", "hide", "large negative numbers", HIDE, "return scores if mask is None else scores.masked_fill(mask == 0, -1e9)", "masks"),
    style("heads by view alone", "heads", "mix positions", multi_head_attention=SPLIT + "    b, n, d = x.shape\n    return x.view(b, n_heads, n, d // n_heads)\n\n\n" + MERGE + "    return x.transpose(1, 2).flatten(-2)\n"),
    style("self-attention without its mask", "self-attention", "`mask` changes nothing", SELF, "return self.attend(self.w_q(x), self.w_k(x), self.w_v(x))[0]", "self_attention"),
    style("feed-forward without its gate", "feed-forward", "gate changes nothing", FEED, "return self.w_2(self.activate(self.w_1(x)))", "feed_forward"),
    style("no way around", "residual", "What goes around the sublayer is missing", RESIDUAL, "if self.norm_first:\n    out = sublayer(self.norm(x))\n    return out if self.norm_after is None else self.norm_after(out)\nreturn self.norm(x + sublayer(x))", "blocks"),
    style("a loss by item()", "cross-entropy", "no gradient starts from it", ENTROPY, "p = F.log_softmax(logits, -1)\nloss = -((1 - smoothing) * p[torch.arange(len(targets)), targets] + smoothing * p.mean(-1)).mean()\nreturn torch.tensor(loss.item(), dtype=logits.dtype)", "loss"),
    style("a cache without a history", "cache", "no gradient gets back to `k`, `v`", CACHE, "self.length += k.size(2)\nk = k.detach() if self.keys is None else torch.cat([self.keys, k.detach()], 2)\nv = v.detach() if self.values is None else torch.cat([self.values, v.detach()], 2)\nn = k.size(2) if self.limit is None else min(self.limit, k.size(2))\nself.keys, self.values = k[:, :, -n:], v[:, :, -n:]\nreturn k, v", "cache"),
]  # fmt: skip
