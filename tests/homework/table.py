"""The table of tasks: everything that homework is made of follows from its rows."""

from tests.homework import cases_attention, cases_layers
from tests.homework.kernels.table import KERNELS
from tests.homework.task import Task
from tests.homework.torch_table import STEP02

LAYER = "multi_head_attention:MultiHeadAttention"
GRADIENTS = tuple(f"{layer}.{x}.grad" for layer in ("w_q", "w_k", "w_v", "w_o") for x in ("weight", "bias"))
SAVED = (
    "`self.saved` is (q, k, v, out, kept, mask, options, positions, context): the heads of queries, keys and "
    "values after any turning, what `self.attend.forward` returned, its arguments, and the context or None."
)
TILES = tuple(f"flash_attention:{x}" for x in ("_rule", "_Rule", "_slices"))
STEP01 = [
    Task("softmax", 1, ("softmax:softmax", "merge:log_sum_exp"), cases_attention.softmax, 1),
    Task("softmax-backward", 1, ("softmax:softmax_backward",), cases_attention.softmax_backward, 2),
    Task(
        "masks",
        1,
        ("masks:sliding_window_mask", "masks:causal_mask", "masks:padding_mask"),
        cases_attention.masks,
        1,
    ),
    Task("hide", 1, ("masks:hide", "masks:combine_masks"), cases_attention.hide, 1, uses=("masks",)),
    Task(
        "simple-attention", 1, ("attention:simple_attention",), cases_attention.simple, 2, uses=("softmax",)
    ),
    Task(
        "simple-attention-backward",
        1,
        ("attention:simple_attention_backward",),
        cases_attention.simple_backward,
        2,
        uses=("softmax-backward",),
    ),
    Task(
        "attention",
        1,
        ("attention:scaled_dot_product_attention",),
        cases_attention.attention,
        2,
        uses=("softmax", "masks", "hide", "grouped-heads"),
        also=("attention:simple_attention",),
    ),
    Task(
        "attention-backward",
        1,
        ("attention:attention_backward",),
        cases_attention.backward,
        3,
        uses=("softmax-backward", "grouped-heads"),
        also=("attention:simple_attention_backward",),
    ),
    Task(
        "grouped-heads",
        1,
        ("attention:repeat_heads", "attention:repeat_heads_backward"),
        cases_attention.grouped,
        1,
    ),
    Task(
        "heads",
        1,
        ("multi_head_attention:split_heads", "multi_head_attention:merge_heads"),
        cases_layers.heads,
        1,
    ),
    Task(
        "multi-head",
        1,
        (f"{LAYER}.forward",),
        cases_layers.multi_head,
        3,
        uses=("attention", "heads", "rotary"),
        also=(f"{LAYER}._project", f"{LAYER}._positions"),
        hint=SAVED,
    ),
    Task(
        "multi-head-backward",
        1,
        (f"{LAYER}.backward",),
        cases_layers.multi_head_backward,
        3,
        uses=("attention-backward", "heads", "rotary"),
        state=GRADIENTS,
        hint=SAVED,
    ),
    Task("cache", 1, ("cache:KVCache.append",), cases_layers.cache, 2, state=("keys", "values", "length")),
    Task("sinusoids", 1, ("positions:sinusoids", "positions:frequencies"), cases_layers.sinusoids, 1),
    Task("rotary", 1, ("rotary:rotate",), cases_layers.rotary, 2),
    Task(
        "layer-norm",
        1,
        ("layers:layer_norm",),
        cases_layers.layer_norm,
        1,
        also=("layers:_standardise", "layers:rms_norm"),
        given=("layers:_mean",),
    ),
    Task(
        "layer-norm-backward",
        1,
        ("layers:layer_norm_backward",),
        cases_layers.layer_norm_backward,
        2,
        also=("layers:rms_norm_backward",),
        given=("layers:_mean", "layers:_standardise"),
    ),
    Task(
        "cross-entropy",
        1,
        ("loss:cross_entropy",),
        cases_layers.cross_entropy,
        1,
        uses=("softmax",),
        given=("loss:_check",),
    ),
    Task(
        "cross-entropy-backward",
        1,
        ("loss:cross_entropy_backward",),
        cases_layers.cross_entropy_backward,
        2,
        uses=("softmax",),
        given=("loss:_check",),
    ),
    Task(
        "adamw",
        1,
        ("optimizer:AdamW.step",),
        cases_layers.adamw,
        2,
        also=("optimizer:AdamW._update",),
        state=("parameters.w.data", "parameters.b.data", "steps"),
        hint="`self.steps` counts the steps; `self.means` and `self.squares` hold the running means by name.",
    ),
    Task(
        "flash-attention",
        1,
        ("flash_attention:flash_attention",),
        cases_attention.flash,
        2,
        uses=("masks", "hide", "grouped-heads"),
        also=("flash_attention:flash_attention_backward", *TILES),
        given=("flash_attention:_QUERIES",),
    ),
    Task(
        "flash-attention-backward",
        1,
        ("flash_attention:flash_attention_backward",),
        cases_attention.flash_backward,
        3,
        uses=("masks", "hide", "grouped-heads"),
        given=("flash_attention:_QUERIES", *TILES),
    ),
    Task(
        "merge",
        1,
        ("merge:merge_attention",),
        cases_attention.merge,
        3,
        uses=("softmax",),
        also=("merge:merge_attention_backward",),
        given=("merge:_check",),
    ),
    Task(
        "gru",
        1,
        ("recurrent:gru_step",),
        cases_layers.gru,
        3,
        hint="The form is PyTorch's: the reset gate acts on what the state offers after the product with its "
        "weight. What is returned beside the new state is not compared.",
    ),
    Task("additive-score", 1, ("recurrent_scores:additive_scores",), cases_layers.additive, 2),
    Task(
        "beam-search",
        1,
        ("common.decoding.search:beam_search",),
        cases_layers.beam_search,
        3,
        given=("common.decoding.search:_penalty",),
    ),
]
TASKS: dict[str, Task] = {task.name: task for stage in (STEP01, STEP02, KERNELS) for task in stage}
