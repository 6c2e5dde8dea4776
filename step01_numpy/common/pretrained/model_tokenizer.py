"""
Text to ids and back, as a model expects them: special tokens included, whoever trained the model.

The tokenizers all have this face: `encode`, `encode_batch`, `decode`, `tokens`, `vocab_size` and `markers`.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

from step01_numpy.common.pretrained.tokenizer_settings import cleaned
from step01_numpy.common.support.library import refusals
from step01_numpy.common.text.tokenizer import BOS, EOS, MASK, PAD, Tokenizer


class Markers(NamedTuple):
    """
    The ids with a meaning of their own.

    Attributes
    ----------
    pad : int
        What rows are filled up with; 0 for models that have none, whose masks hide it.
    first : int or None
        What generation begins with: the beginning of a text, or of a translation.
    eos : tuple of int
        What ends a text.
    mask : int or None
        What a masked language model fills in.
    """

    pad: int = 0
    first: int | None = None
    eos: tuple[int, ...] = ()
    mask: int | None = None


AROUND = {"encoder_decoder": ([], [EOS]), "encoder": ([BOS], [EOS]), "decoder": ([EOS], [])}  # a text


class OwnTokenizer:
    """
    The tokenizer of a checkpoint of ours.

    Parameters
    ----------
    tokenizer : Tokenizer
    architecture : str
        The model's, which decides the special tokens around a text, as in its training.
    """

    max_tokens = None

    def __init__(self, tokenizer: Tokenizer, architecture: str):
        self.tokenizer, (self._before, self._after) = tokenizer, AROUND[architecture]
        first = EOS if architecture == "decoder" else BOS
        self.markers = Markers(PAD, first, (EOS,), MASK if tokenizer.has_mask else None)
        self.decode, self.tokens = tokenizer.decode, tokenizer.tokens

    @property
    def vocab_size(self) -> int:
        """The number of tokens, special ones included."""
        return self.tokenizer.vocab_size

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of many texts, faster than one by one."""
        return [[*self._before, *ids, *self._after] for ids in self.tokenizer.encode_batch(texts)]


class FastTokenizer:
    """
    A tokenizer of the library tokenizers.

    Parameters
    ----------
    backend : tokenizers.Tokenizer
    markers : Markers
    max_tokens : int, optional
        Where texts are cut, special tokens included, by who cuts them.
    cleans_up : bool
        Whether spaces before marks are taken out of decoded text.
    """

    def __init__(
        self, backend: Any, markers: Markers, *, max_tokens: int | None = None, cleans_up: bool = False
    ):
        backend.no_truncation()  # files keep what they were once used with: MiniLM's cuts at 128
        backend.no_padding()
        self._backend, self.markers = backend, markers
        self.max_tokens, self._cleans_up = max_tokens, cleans_up

    def lower(self) -> None:
        """Have texts made lower case first."""
        normalizers = import_module("tokenizers.normalizers")
        parts = [normalizers.Lowercase(), *([self._backend.normalizer] if self._backend.normalizer else [])]
        self._backend.normalizer = normalizers.Sequence(parts)

    @property
    def vocab_size(self) -> int:
        """One more than the largest id."""
        return 1 + max(self._backend.get_vocab(with_added_tokens=True).values(), default=-1)

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, with the special tokens that the file puts around it."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of many texts, faster than one by one."""
        with refusals("the model's tokenizer cannot encode this"):
            return [encoding.ids for encoding in self._backend.encode_batch(list(texts))]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids, special tokens left out, and rows of a model that stand for no token."""
        with refusals("the model's tokenizer cannot decode this"):
            text = self._backend.decode(natural(ids), skip_special_tokens=True)
        return cleaned(text) if self._cleans_up else text

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """
        Return the token behind each id, as the vocabulary spells it.

        Raises
        ------
        ValueError
            If there is no such id.
        """
        found = [self._backend.id_to_token(int(index)) if index >= 0 else None for index in ids]
        return known(found, ids, self.vocab_size)


class MarianTokenizer:
    """
    Marian's tokenizer: SentencePiece cuts the text, and a vocabulary of both languages numbers the pieces.

    Parameters
    ----------
    source, target : sentencepiece.SentencePieceProcessor
    vocabulary : dict
        Ids by token.
    markers : Markers
    named : dict
        The tokens eos_token, which ends a source, and unk_token, for pieces that have no id.
    special : sequence of str
        What is left out of a text.
    cleans_up : bool
        As of `FastTokenizer`.
    """

    max_tokens = None

    def __init__(
        self,
        source: Any,
        target: Any,
        vocabulary: dict[str, int],
        markers: Markers,
        named: dict[str, str],
        special: Sequence[str],
        *,
        cleans_up: bool = False,
    ):
        self._source, self._target, self._ids, self.markers = source, target, vocabulary, markers
        self._tokens = {index: token for token, index in vocabulary.items()}
        self._end, self._unknown = (vocabulary[named[name]] for name in ("eos_token", "unk_token"))
        self._special, self._cleans_up = {None, *special}, cleans_up

    @property
    def vocab_size(self) -> int:
        """One more than the largest id."""
        return 1 + max(self._tokens, default=-1)

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text to translate and the end; ">>fra<< " before it may name the language."""
        language, mark, rest = text.partition("<<")
        language = language.strip() + mark if mark and language.lstrip().startswith(">>") else ""
        pieces = self._source.encode(rest if language else text, out_type=str)
        pieces = ([language] if language else []) + pieces
        return [*(self._ids.get(piece, self._unknown) for piece in pieces), self._end]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of many texts."""
        return [self.encode(text) for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of a translation's ids; what is left out is as of `FastTokenizer`."""
        pieces = [self._tokens.get(index) for index in natural(ids)]
        pieces = [token for token in pieces if token not in self._special]
        text = self._target.decode_pieces(pieces).replace("▁", " ").strip()
        return cleaned(text) if self._cleans_up else text

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """
        Return the token behind each id.

        Raises
        ------
        ValueError
            If there is no such id.
        """
        return known([self._tokens.get(int(index)) for index in ids], ids, self.vocab_size)


def natural(ids: Sequence[int]) -> list[int]:
    """Return ids as Python's integers, or refuse one below 0."""
    ids = [int(index) for index in ids]
    if min(ids, default=0) < 0:
        raise ValueError(f"ids holds {min(ids)}; expected ids from 0 on")
    return ids


def known(tokens: list, ids: Sequence[int], size: int) -> list[str]:
    """Return the tokens, or refuse the first id that has none."""
    for token, index in zip(tokens, ids, strict=True):
        if token is None:
            raise ValueError(f"ids holds {index}; expected ids from 0 to {size - 1}, the vocabulary's")
    return tokens
