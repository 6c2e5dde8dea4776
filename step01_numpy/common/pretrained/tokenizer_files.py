"""Open the tokenizer of a Hugging Face directory, from whichever of its files are there."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from step01_numpy.common.pretrained.config import Description, read_json
from step01_numpy.common.pretrained.model_tokenizer import FastTokenizer, MarianTokenizer, Markers

END_OF_TEXT = "<|endoftext|>"


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
    never = generation.get("bad_words_ids") or []
    if not isinstance(never, list) or not all(isinstance(x, list) and len(x) == 1 for x in never):
        raise ValueError(f"{directory}: bad_words_ids is {never}; expected lists of one id each")
    never = _ids(directory, {"bad_words_ids": [index for (index,) in never]}, "bad_words_ids")
    pad = max((0, *pad))  # older files say -1 for none
    return Markers(pad, next(iter(start + bos), None), eos, never=never)


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
    largest = max(x for x in (markers.pad, *markers.eos, *markers.never, markers.first) if x is not None)
    if largest >= vocab_size:
        raise ValueError(f"{directory}: special token {largest} is outside its vocabulary of {vocab_size}")


def _open_json(directory, description):
    path = directory / "tokenizer.json"
    try:
        backend = _tokenizers().Tokenizer.from_file(str(path))
    except ImportError:
        raise
    except Exception as error:  # the library raises plain Exception
        raise ValueError(f"{path} describes no tokenizer ({error})") from error
    return _fast(directory, description, backend)


def _open_word_pieces(directory, description):
    """Build BERT's tokenizer of vocab.txt, one token a line."""
    about = read_json(directory / "tokenizer_config.json", default={})
    library = _tokenizers()
    vocabulary = library.models.WordPiece.read_file(str(directory / "vocab.txt"))
    tokenizer = library.implementations.BertWordPieceTokenizer(
        vocabulary,
        lowercase=about.get("do_lower_case", True),
        strip_accents=about.get("strip_accents"),
        handle_chinese_chars=about.get("tokenize_chinese_chars", True),
    )
    return _fast(directory, description, library.Tokenizer.from_str(tokenizer.to_str()))


def _open_bytes(directory, description):
    """Build GPT-2's tokenizer of vocab.json and merges.txt."""
    library = _tokenizers()
    paths = [str(directory / name) for name in ("vocab.json", "merges.txt")]
    try:
        vocabulary, merges = library.models.BPE.read_file(*paths)
        tokenizer = library.implementations.ByteLevelBPETokenizer(vocabulary, merges)
    except Exception as error:  # the library raises plain Exception
        raise ValueError(f"{' and '.join(paths)} describe no tokenizer ({error})") from error
    if END_OF_TEXT in vocabulary:
        tokenizer.add_special_tokens([END_OF_TEXT])
    return _fast(directory, description, library.Tokenizer.from_str(tokenizer.to_str()))


def _fast(directory, description, backend):
    about = read_json(directory / "tokenizer_config.json", default={})
    mask = about.get("mask_token", "[MASK]")
    mask = mask["content"] if isinstance(mask, dict) else mask
    markers = read_markers(directory, description.generation)
    return FastTokenizer(backend, markers._replace(mask=backend.token_to_id(str(mask))))


def _open_marian(directory, description):
    try:
        from sentencepiece import SentencePieceProcessor
    except ImportError as error:
        raise ImportError(
            'Marian\'s tokenizer needs the library sentencepiece: pip install "attention-step-by-step[text]"'
        ) from error
    processors = []
    for name in ("source.spm", "target.spm"):
        try:
            processors.append(SentencePieceProcessor(model_file=str(directory / name)))
        except (RuntimeError, OSError) as error:
            raise ValueError(f"{directory / name} is no SentencePiece model ({error})") from error
    vocabulary = read_json(directory / "vocab.json")
    absent = [x for x in ("</s>", MarianTokenizer.UNKNOWN) if not isinstance(vocabulary.get(x), int)]
    if absent:
        raise ValueError(f"{directory / 'vocab.json'} lacks {' and '.join(absent)}")
    markers = read_markers(directory, description.generation)
    return MarianTokenizer(*processors, vocabulary, markers)


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
