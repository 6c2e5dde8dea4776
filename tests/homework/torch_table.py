"""The tasks of stage 2: PyTorch. There is no backward to write: autograd's gradients are compared too."""

from importlib import import_module

from tests.homework.task import Task

LAYER, HEADS = "multi_head_attention:MultiHeadAttention", "multi_head_attention"
GRAPH = "Gradients are compared as well: autograd has to find its way through what you write."


def later(name: str):
    """Return cases whose module is imported when they are asked for."""

    def cases(rng):
        return getattr(import_module("tests.homework.torch_cases"), name)(rng)

    return cases


def row(name: str, targets: tuple, cases: str, points: int, **options) -> Task:
    """Return a task; those that it may call are named without `torch-`."""
    uses = tuple(f"torch-{x}" for x in options.pop("uses", ()))
    return Task(f"torch-{name}", 2, targets, later(cases), points, uses=uses, **{"hint": GRAPH, **options})


STEP02 = [
    row("softmax", ("softmax:softmax", "merge:log_sum_exp"), "softmax", 1),
    row(
        "masks",
        ("masks:sliding_window_mask", "masks:causal_mask", "masks:padding_mask"),
        "masks",
        1,
        hint="",
    ),
    row("hide", ("masks:hide", "masks:combine_masks"), "hide", 1, uses=("masks",)),
    row(
        "simple-attention",
        ("attention:simple_attention",),
        "simple",
        2,
        uses=("softmax",),
        forbids=("attention",),
    ),
    row(
        "attention",
        ("attention:scaled_dot_product_attention",),
        "attention",
        2,
        uses=("softmax", "masks", "hide", "grouped-heads"),
        also=("attention:simple_attention",),
        forbids=("attention",),
        hint=f"{GRAPH} `bias` is a constant: no gradient to it is asked for.",
    ),
    row("grouped-heads", ("attention:repeat_heads",), "grouped", 1),
    row("heads", (f"{HEADS}:split_heads", f"{HEADS}:merge_heads"), "heads", 1),
    row(
        "self-attention",
        ("self_attention:SelfAttention.forward",),
        "self_attention",
        2,
        uses=("attention",),
        forbids=("attention",),
    ),
    row(
        "masked-attention",
        ("masked_attention:MaskedSelfAttention.forward",),
        "masked_attention",
        2,
        uses=("attention",),
        forbids=("attention",),
    ),
    row(
        "cross-attention",
        ("cross_attention:CrossAttention.forward",),
        "cross_attention",
        2,
        uses=("attention",),
        forbids=("attention",),
    ),
    row(
        "multi-head",
        (f"{LAYER}.forward",),
        "multi_head",
        3,
        uses=("attention", "heads", "rotary"),
        also=(f"{LAYER}._project", f"{LAYER}._positions"),
        forbids=("attention",),
    ),
    row("cache", ("cache:KVCache.append",), "cache", 2, state=("keys", "values", "length")),
    row("rotary", ("rotary:rotate",), "rotary", 2, hint=f"{GRAPH} `cos` and `sin` are constants."),
    row("feed-forward", ("feed_forward:FeedForward.forward",), "feed_forward", 2),
    row("residual", ("blocks:Residual.forward",), "residual", 2),
    row(
        "cross-entropy",
        ("loss:cross_entropy",),
        "cross_entropy",
        2,
        uses=("softmax",),
        forbids=("cross-entropy",),
    ),
]
