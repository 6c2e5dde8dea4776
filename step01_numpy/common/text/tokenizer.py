"""Turn text into token ids and back: byte-pair encoding, done by the `tokenizers` library.

A token that begins a word carries the mark "▁" for the space before it, and punctuation stands alone:
"Elle l'aide." becomes ``▁Elle ▁l ' aide .``.
"""

from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

from step01_numpy.common.support.json_text import parse
from step01_numpy.common.support.library import refusals
from step01_numpy.common.text.as_typed import PLAIN

PAD, BOS, EOS, UNK = range(4)
SPECIAL_TOKENS = ("<pad>", "<bos>", "<eos>", "<unk>")
MASK, MASK_TOKEN = 4, "<mask>"  # of tokenizers that were trained to have it
WORD_MARK = "▁"
# A word or a number with its mark, one punctuation character with its mark, or a mark alone.
PIECES = r"▁?\p{L}[\p{L}\p{M}]*|▁?\p{N}+|▁?[^\p{L}\p{N}▁]|▁"


def _library() -> ModuleType:
    try:
        import tokenizers
    except ImportError as error:
        raise ImportError(
            'a Tokenizer needs the library tokenizers: pip install "attention-step-by-step[text]"'
        ) from error
    return tokenizers


class Tokenizer:
    """Byte-pair encoding with the ids 0 <pad>, 1 <bos>, 2 <eos>, 3 <unk>, and 4 <mask> where asked for.

    Build one by `Tokenizer.train` or `Tokenizer.from_json`.

    Parameters
    ----------
    backend : tokenizers.Tokenizer
        The library's tokenizer.
    """

    def __init__(self, backend: Any) -> None:
        # A text that spells out "<eos>" is a text, not the end of one.
        backend.encode_special_tokens = True
        self._backend = backend

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int,
        *,
        lowercase: bool = False,
        plain: bool = False,
        mask: bool = False,
    ) -> "Tokenizer":
        """Learn a vocabulary from texts; the same texts give the same vocabulary.

        Parameters
        ----------
        texts : iterable of str
            Sentences, of all languages that share the vocabulary.
        vocab_size : int
            The number of tokens, special ones included. Fewer come of it if the texts hold no more.
        lowercase : bool
            Whether to lower every text's case, here and in `encode`.
        plain : bool
            Whether spaces, apostrophes, quotation marks and dashes of every kind are read as the one that a
            keyboard has, here and in `encode`.
        mask : bool
            Whether there is a token <mask>, as masked language models need it.

        Returns
        -------
        Tokenizer
            Knows every character of the texts.

        Raises
        ------
        ImportError
            If the library tokenizers is missing.
        TypeError
            If `texts` is a single string.
        ValueError
            If there is no text, or `vocab_size` cannot hold the characters of the texts.
        """
        if isinstance(texts, str):
            raise TypeError("texts is a str; expected an iterable of sentences")
        texts = list(texts)
        if not any(texts):
            raise ValueError(f"texts holds {len(texts)} texts and no character; expected text to learn from")
        return cls(_trained(texts, vocab_size, mask, _normalizers(lowercase, plain)))

    @classmethod
    def from_json(cls, text: str) -> "Tokenizer":
        """Build a tokenizer from what `to_json` returned.

        Parameters
        ----------
        text : str
            The JSON.

        Returns
        -------
        Tokenizer
            Encodes as the one that was saved.

        Raises
        ------
        ImportError
            If the library tokenizers is missing.
        ValueError
            If the text is no JSON, or of another tokenizer.
        """
        library, expected = _library(), "expected what Tokenizer.to_json returned"
        try:
            parse(text)
        except ValueError as error:
            raise ValueError(f"text is no JSON ({error}); {expected}") from error
        with refusals(f"text describes no tokenizer; {expected}"):
            backend = library.Tokenizer.from_str(text)
        found = tuple(backend.id_to_token(index) for index in range(len(SPECIAL_TOKENS)))
        if found != SPECIAL_TOKENS:
            raise ValueError(f"text is of a tokenizer whose first tokens are {found}; {expected}")
        return cls(backend)

    def to_json(self) -> str:
        """Return all of the tokenizer as one string."""
        return self._backend.to_str()

    @property
    def vocab_size(self) -> int:
        """The number of tokens, special ones included."""
        return self._backend.get_vocab_size()

    @property
    def has_mask(self) -> bool:
        """Whether id 4 is <mask>."""
        # No text makes such a token: pieces hold one punctuation character at most.
        return self._backend.token_to_id(MASK_TOKEN) == MASK

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, without special tokens; an unknown character becomes <unk>."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of many texts, faster than one by one."""
        with refusals("the tokenizer cannot encode this"):
            encodings = self._backend.encode_batch(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Return the tokens behind ids, as labels for a heat map.

        Parameters
        ----------
        ids : sequence of int
            Token ids.

        Returns
        -------
        list[str]
            One readable token per id, "▁" marking the beginning of a word.

        Raises
        ------
        ValueError
            If an id is outside the vocabulary.
        """
        size = self.vocab_size
        for index in ids:
            if not 0 <= index < size:
                raise ValueError(f"ids holds {index}; expected ids from 0 to {size - 1}, the vocabulary's")
        return [self._backend.id_to_token(int(index)) for index in ids]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids up to the first <eos>, leaving the other special tokens out.

        Parameters
        ----------
        ids : sequence of int
            Token ids.

        Returns
        -------
        str
            For ids from `encode` exactly the text, less its unknown characters: composed to NFC, in lower
            case or plain if so trained. The character "▁" comes back as a space.

        Raises
        ------
        ValueError
            If an id is outside the vocabulary.
        """
        words = []
        for token in self.tokens(ids):
            if token == SPECIAL_TOKENS[EOS]:
                break
            if token not in (*SPECIAL_TOKENS, MASK_TOKEN):
                words.append(token)
        return "".join(words).replace(WORD_MARK, " ").removeprefix(" ")


def _trained(texts: list[str], vocab_size: int, mask: bool, normalizers: list) -> Any:
    backend = _untrained(normalizers)
    special = [*SPECIAL_TOKENS, MASK_TOKEN] if mask else list(SPECIAL_TOKENS)
    trainer = _library().trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=special, show_progress=False
    )
    backend.train_from_iterator(texts, trainer)
    least = backend.get_vocab_size()
    if least > vocab_size:
        raise ValueError(
            f"vocab_size is {vocab_size}; expected at least {least}, "
            "the special tokens and the characters of the texts"
        )
    return backend


def _normalizers(lowercase: bool, plain: bool) -> list:
    library = _library()
    kinds = library.normalizers
    case = [kinds.Lowercase()] if lowercase else []
    marks = [kinds.Replace(library.Regex(f"[{found}]"), one) for one, found in PLAIN.items()] if plain else []
    return [kinds.NFC(), *case, *marks]


def _untrained(normalizers: list) -> Any:
    library = _library()
    kinds = library.normalizers
    backend = library.Tokenizer(library.models.BPE(unk_token=SPECIAL_TOKENS[UNK]))
    backend.normalizer = kinds.Sequence(
        [*normalizers, kinds.Prepend(WORD_MARK), kinds.Replace(" ", WORD_MARK)]
    )
    backend.pre_tokenizer = library.pre_tokenizers.Split(library.Regex(PIECES), "isolated")
    return backend
