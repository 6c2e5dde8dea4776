"""What a tour shows of one stage: a sentence in every kind of attention, with a trained model's weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from step01_numpy.common.display.heat_map import readable
from step01_numpy.common.inference.translation import Translator
from step01_numpy.common.pretrained.directory import Pretrained
from step01_numpy.common.pretrained.model_tokenizer import OwnTokenizer
from step01_numpy.common.text.tokenizer import BOS, EOS
from step01_numpy.common.training.backend import Backend
from step01_numpy.common.training.checkpoints import Checkpoint

SELF, MASKED, CROSS = "encoder self-attention", "decoder masked self-attention", "decoder cross-attention"
NAME = "the Transformer"
ARROW, FINDINGS = " → ", 3


@dataclass(frozen=True)
class Operation:
    """
    One attention at work.

    Attributes
    ----------
    title : str
    shapes : str
        Of the arrays on the way.
    out : (1, L, d)
    weights : (heads, L, S)
    rows, columns : list of str
        The tokens that ask and those that are asked.
    name : str
        A few words, over a map that stands beside another.
    beside : Operation or None
        One with the same rows and columns, to compare the weights with.
    """

    title: str
    shapes: str
    out: np.ndarray
    weights: np.ndarray
    rows: list[str]
    columns: list[str]
    name: str = ""
    beside: "Operation | None" = None


@dataclass(frozen=True)
class Tour:
    """
    What one stage makes of a sentence, in float64.

    Attributes
    ----------
    stage, text : str
    translations : dict
        From what the model is called to its translation.
    tokens : list of str
        The sentence's, with <eos>.
    operations : list of Operation
        Self-, masked self-, cross- and multi-head attention, or a recurrent translator's alignment, or all.
    maps : dict
        From the kind of attention to its weights in every block and head, (n_layers, H, L, S); an alignment
        has one of either.
    labels : dict
        From the kind of attention to the labels of its rows and columns.
    finding : str
        What its cross-attention found, in words: of the last block, the mean of its heads.
    doubts : list of str
        Why a translation may be wrong; empty where nothing says so.
    """

    stage: str
    text: str
    translations: dict[str, str]
    tokens: list[str]
    operations: list[Operation]
    maps: dict[str, np.ndarray]
    labels: dict[str, tuple[list[str], list[str]]]
    finding: str
    doubts: list[str]


def tour(backend: Backend, checkpoint: Checkpoint, text: str) -> Tour:
    """
    Translate a sentence with a Transformer, and look at every attention on the way.

    Raises
    ------
    ValueError
        For a text without a token, or one too long for the model.
    """
    maps, tokenizer = [], checkpoint.tokenizer
    model = backend.load(checkpoint, attend=backend.recording(maps)).double()
    source, found, doubts = translated(backend, model, checkpoint, text)
    seen = [capture(layer) for layer in attentions(model)]
    maps.clear()
    backend.logits(model, np.array([source]), np.array([[BOS, *found]]))
    asked, asking = (readable(tokenizer.tokens(ids)) for ids in (source, [BOS, *found]))
    steps = read_and_written(asking)
    labels = {SELF: (asked, asked), MASKED: (steps, asking), CROSS: (steps, asked)}
    by_kind = sort_maps(maps, checkpoint.config.n_layers)
    operations = [
        one_head(backend, checkpoint, *head, labels, inputs)
        for head, inputs in zip(HEADS, seen[:3], strict=True)
    ]
    operations.append(all_heads(backend, checkpoint, by_kind[CROSS][-1], labels[CROSS], seen[3]))
    translations, tokens = {NAME: tokenizer.decode(found)}, tokenizer.tokens(source)
    finding = in_words(by_kind[CROSS][-1].mean(axis=0), *labels[CROSS])  # of the last block, over its heads
    return Tour(backend.name, text, translations, tokens, operations, by_kind, labels, finding, doubts)


def is_word(labels: Sequence[str], i: int) -> bool:
    """Tell a label that is a whole word from marks and from pieces of words, as `readable` writes them."""
    return labels[i].isalpha() and not "".join(labels[i + 1 : i + 2]).startswith("-")


def translated(
    backend: Backend, model, checkpoint: Checkpoint, text: str
) -> tuple[list[int], list[int], list[str]]:
    """Return the tokens of a sentence, with <eos>, those of its translation, without, and its doubts."""
    source, limit = [*checkpoint.tokenizer.encode(text.strip()), EOS], checkpoint.config.max_positions
    if not 1 < len(source) <= limit:
        raise ValueError(f"the text has {len(source)} tokens, <eos> included; expected 2 to {limit}")
    tokenizer = OwnTokenizer(checkpoint.tokenizer, "encoder_decoder")
    work = Translator(backend, Pretrained(model, checkpoint.config, tokenizer, seen=checkpoint.seen))
    (found,) = work.search([source])
    found = found[: limit - 1]
    return source, found, work.doubts(text, source, found, *work.sureness([source], [found]))


def read_and_written(asking: Sequence[str]) -> list[str]:
    """Label a decoder's rows: the token that it reads, and the one that it writes next."""
    return [f"{read}{ARROW}{written}" for read, written in pairwise([*asking, "<eos>"])]


def in_words(weights: np.ndarray, rows: Sequence[str], columns: Sequence[str]) -> str:
    """
    Say at which words a decoder looked most clearly, and to write what.

    Parameters
    ----------
    weights : (L, S)
    rows : sequence of str
        Of `read_and_written`.
    columns : sequence of str

    Returns
    -------
    str
        The three clearest, in the order in which they were written; each word that was looked at is named
        once. It is empty where no row looks at one word more than at all others together.
    """
    clear, written = {}, [row.split(ARROW)[1] for row in rows]
    for i in np.argsort(-weights.max(axis=1), kind="stable"):
        j = int(weights[i].argmax())
        if weights[i, j] > 0.5 and is_word(columns, j) and is_word(written, i) and j not in clear:
            clear[j] = (i, f"to write “{written[i]}” it looked at “{columns[j]}” ({weights[i, j]:.0%})")
    said = "; ".join(text for _, text in sorted(list(clear.values())[:FINDINGS]))
    return said[:1].upper() + said[1:] + "." if said else ""


# Of the one-head operations: the class, the name of the layer whose first head it is, the kind, the title.
HEADS = (
    ("SelfAttention", "encoder.blocks.0.self_attention", SELF, "Self-attention: each English token asks all"),
    (
        "MaskedSelfAttention",
        "decoder.blocks.0.self_attention",
        MASKED,
        "Masked self-attention: each French token asks those before it",
    ),
    (
        "CrossAttention",
        "decoder.blocks.0.cross_attention",
        CROSS,
        "Cross-attention: each French token asks the English ones",
    ),
)


def attentions(model) -> list:
    """Return the first block's three attentions, and the last block's cross-attention."""
    encoder, decoder = model.encoder.blocks, model.decoder.blocks
    first = [encoder[0].self_attention, decoder[0].self_attention, decoder[0].cross_attention]
    return [*first, decoder[-1].cross_attention]


def capture(layer) -> list:
    """Append a layer's array arguments and its result to the list returned, at each call from now on."""
    seen, forward = [], layer.forward

    def capturing(*args, **options):
        out = forward(*args, **options)
        seen.append((args[:2], out))
        return out

    layer.forward = capturing
    return seen


def sort_maps(maps: list[np.ndarray], n_layers: int) -> dict[str, np.ndarray]:
    """Sort the weights of one forward: those of the encoder come first, then self and cross in turn."""
    decoder = maps[n_layers:]
    kinds = {SELF: maps[:n_layers], MASKED: decoder[0::2], CROSS: decoder[1::2]}
    return {kind: np.concatenate(found) for kind, found in kinds.items()}  # the batch of 1 becomes the block


def one_head(backend, checkpoint, class_name, layer_name, kind, title, labels, seen) -> Operation:
    """Run a one-head class with the weights of a trained layer's first head, on what that layer was given."""
    maps, ((inputs, _), *_) = [], seen
    d_model, d_head = checkpoint.config.d_model, checkpoint.config.head_size
    attend = backend.recording(maps)
    layer = getattr(backend.package, class_name)(d_model, d_head, bias=True, attend=attend).double()
    names = [f"{w}.{part}" for w in ("w_q", "w_k", "w_v") for part in ("weight", "bias")]
    layer.load_state_dict({name: checkpoint.state[f"{layer_name}.{name}"][:d_head] for name in names})
    out = backend.numpy(layer(*inputs))
    asked = "" if len(inputs) == 1 else f", context {tuple(inputs[1].shape)}"
    shapes = f"x {tuple(inputs[0].shape)}{asked} -> weights {maps[0].shape} -> out {out.shape}"
    weights, place = maps[0].reshape(1, *maps[0].shape[-2:]), "block 1, head 1"
    return Operation(f"{title} ({place})", shapes, out, weights, *labels[kind], f"of 2017, {place}")


def all_heads(backend, checkpoint, weights, labels, seen) -> Operation:
    """Show a whole multi-head attention, as the model ran it."""
    ((x, context), out), *_ = seen
    n_layers, n_heads = checkpoint.config.n_layers, checkpoint.config.n_heads
    title = f"Multi-head attention: {n_heads} heads of cross-attention at once (block {n_layers})"
    out = backend.numpy(out)
    inputs = f"x {tuple(x.shape)}, context {tuple(context.shape)}"
    shapes = f"{inputs} -> weights {(1, *weights.shape)} -> out {out.shape}"
    return Operation(title, shapes, out, weights, *labels)
