"""Open the tokenizer of a Hugging Face directory, from whichever of its files are there."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from step01_numpy.common.pretrained.config import Description, read_json
from step01_numpy.common.pretrained.known_fields import TOKENIZER_JSON
from step01_numpy.common.pretrained.model_tokenizer import FastTokenizer, MarianTokenizer, Markers
from step01_numpy.common.pretrained.tokenizer_settings import (
    END_OF_TEXT,
    adapt,
    check_prefix,
    read_settings,
    surround,
)
from step01_numpy.common.support.library import refusals

MARIAN_TOKENS = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


class Files(NamedTuple):
    """One way to keep a tokenizer: its files, and the function that opens them."""

    names: tuple[str, ...]
    open: Callable


def open_tokenizer(directory: Path, description: Description) -> FastTokenizer | MarianTokenizer:
    """
    Open the tokenizer of a model.

    Parameters
    ----------
    directory : Path
    description : Description
        The model's, whose vocabulary the tokenizer must fit, and which names the special tokens.

    Raises
    ------
    ImportError
        Without the library that reads the files.
    FileNotFoundError
        Naming the files that are missing.
    ValueError
        For a file at fault, and a tokenizer larger than the model's vocabulary.
    """
    choices = FILES[description.model_type]
    for choice in choices:
        if all((directory / name).is_file() for name in choice.names):
            tokenizer = choice.open(directory, description)
            _check_size(directory, tokenizer, description.config.vocab_size)
            return tokenizer
    expected = ", or ".join(" and ".join(choice.names) for choice in choices)
    raise FileNotFoundError(f"{directory} has no tokenizer; expected {expected}")


def read_markers(directory: Path, generation: dict) -> Markers:
    """Read which ids have a meaning of their own."""
    names = ("decoder_start_token_id", "bos_token_id", "pad_token_id", "eos_token_id")
    start, bos, pad, eos = (_ids(directory, generation, name) for name in names)
    pad = max((0, *pad))  # older files say -1 for none
    return Markers(pad, next(iter(start + bos), None), eos)


def _ids(directory, generation, name):
    value = generation.get(name)
    values = value if isinstance(value, list) else [] if value is None else [value]
    if not all(type(index) is int for index in values):
        raise ValueError(f"{directory}: {name} is {value!r}; expected the id of a token")
    return tuple(values)


def _check_size(directory, tokenizer, vocab_size):
    if tokenizer.vocab_size > vocab_size:
        raise ValueError(
            f"{directory}: its tokenizer has {tokenizer.vocab_size} tokens, its model a vocabulary of "
            f"{vocab_size}; expected no more"
        )
    markers = tokenizer.markers
    largest = max(x for x in (markers.pad, *markers.eos, markers.first) if x is not None)
    if largest >= vocab_size:
        raise ValueError(f"{directory}: special token {largest} is outside its vocabulary of {vocab_size}")


def _open_json(directory, description):
    path = directory / "tokenizer.json"
    parts = TOKENIZER_JSON.check(path, read_json(path))
    with refusals(f"{path} describes no tokenizer"):
        backend = _tokenizers().Tokenizer.from_buffer(path.read_bytes())
    if description.model_type in ("llama", "mistral"):
        check_prefix(read_settings(directory, description), parts)
    return _fast(directory, description, backend)


def _open_word_pieces(directory, description):
    """Build BERT's tokenizer of vocab.txt, one token a line."""
    settings, library = read_settings(directory, description), _tokenizers()
    if not settings.own:
        kind = settings.about.get("tokenizer_class", description.tokenizer_class)
        raise ValueError(f"{directory}: tokenizer_class is {kind!r}; expected 'BertTokenizer', for vocab.txt")
    with refusals(f"{directory / 'vocab.txt'} describes no tokenizer"):
        vocabulary = library.models.WordPiece.read_file(str(directory / "vocab.txt"))
        tokenizer = library.implementations.BertWordPieceTokenizer(vocabulary)
        backend = library.Tokenizer.from_str(tokenizer.to_str())
    return _fast(directory, description, backend)


def _open_bytes(directory, description):
    """Build GPT-2's tokenizer of vocab.json and merges.txt."""
    library = _tokenizers()
    paths = [str(directory / name) for name in ("vocab.json", "merges.txt")]
    with refusals(f"{' and '.join(paths)} describe no tokenizer"):
        vocabulary, merges = library.models.BPE.read_file(*paths)
        _check_ids(paths[0], vocabulary, description.config.vocab_size)
        tokenizer = library.implementations.ByteLevelBPETokenizer(vocabulary, merges)
        if END_OF_TEXT in vocabulary:
            tokenizer.add_special_tokens([END_OF_TEXT])
        backend = library.Tokenizer.from_str(tokenizer.to_str())
    surround(backend, read_settings(directory, description), library)
    return _fast(directory, description, backend)


def _check_ids(path, vocabulary, vocab_size):
    """Refuse ids beyond the model's, up to the largest of which the library makes a list, and any twice."""
    largest = max(vocabulary, key=vocabulary.get, default=None)
    if largest is not None and vocabulary[largest] >= vocab_size:
        raise ValueError(
            f"{path}: {largest!r} has the id {vocabulary[largest]}; expected ids below {vocab_size}, the "
            "model's vocab_size"
        )
    token = {index: token for token, index in vocabulary.items()}
    twice = next((x for x, index in vocabulary.items() if token[index] != x), None)
    if twice is not None:
        index = vocabulary[twice]
        raise ValueError(
            f"{path}: {twice!r} and {token[index]!r} have the id {index}; expected one token an id"
        )


def _fast(directory, description, backend):
    settings = read_settings(directory, description)
    adapt(backend, settings, description.model_type, _tokenizers())
    markers = read_markers(directory, description.generation)
    mask = backend.token_to_id(str(settings.token("mask_token", "[MASK]")))
    keeps_spaces = type(backend.model).__name__ == "BPE"  # in its tokens
    cleans_up = settings.cleans_up and not keeps_spaces
    options = {"max_tokens": settings.max_tokens, "cleans_up": cleans_up}
    return FastTokenizer(backend, markers._replace(mask=mask), **options)


def _open_marian(directory, description):
    try:
        from sentencepiece import SentencePieceProcessor
    except ImportError as error:
        raise ImportError(
            'Marian\'s tokenizer needs the library sentencepiece: pip install "attention-step-by-step[text]"'
        ) from error
    processors = []
    for name in ("source.spm", "target.spm"):
        with refusals(f"{directory / name} is no SentencePiece model"):
            processors.append(SentencePieceProcessor())
            processors[-1].LoadFromSerializedProto((directory / name).read_bytes())  # of no bytes, too
    vocabulary, settings = read_json(directory / "vocab.json"), read_settings(directory, description)
    wrong = [x for x, index in vocabulary.items() if type(index) is not int or index < 0]
    if wrong:
        raise ValueError(f"{directory / 'vocab.json'}: {wrong[0]} has no id of a token")
    named = {name: settings.token(name, token) for name, token in MARIAN_TOKENS.items()}
    absent = [x for x in (named["eos_token"], named["unk_token"]) if x not in vocabulary]
    if absent:
        raise ValueError(f"{directory / 'vocab.json'} lacks {' and '.join(absent)}")
    for index, token in settings.added.items():
        if vocabulary.get(token["content"]) != index:
            raise ValueError(
                f"{directory}: the added token {token['content']!r} is not in vocab.json as {index}"
            )
    markers = read_markers(directory, description.generation)
    special = [*named.values(), *settings.special]
    return MarianTokenizer(*processors, vocabulary, markers, named, special, cleans_up=settings.cleans_up)


def _tokenizers():
    try:
        import tokenizers
    except ImportError as error:
        raise ImportError(
            'a model\'s tokenizer needs the library tokenizers: pip install "attention-step-by-step[text]"'
        ) from error
    return tokenizers


JSON = Files(("tokenizer.json",), _open_json)
FILES = {
    "bert": (JSON, Files(("vocab.txt",), _open_word_pieces)),
    "gpt2": (JSON, Files(("vocab.json", "merges.txt"), _open_bytes)),
    "llama": (JSON,),
    "mistral": (JSON,),
    "qwen2": (JSON,),
    "qwen3": (JSON,),
    "gemma2": (JSON,),
    "gemma3_text": (JSON,),
    "marian": (Files(("source.spm", "target.spm", "vocab.json"), _open_marian),),
}
