"""What tokenizer_config.json and its neighbours change of a tokenizer, as the library transformers has it."""

from pathlib import Path
from typing import Any, NamedTuple

from step01_numpy.common.pretrained.config import Description, read_json
from step01_numpy.common.pretrained.known_fields import SPECIAL_TOKENS, TOKENIZER
from step01_numpy.common.support import checks

END_OF_TEXT = "<|endoftext|>"
FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
OWN_CLASS = {  # of which the library makes the parts anew, whatever tokenizer.json says
    "bert": "BertTokenizer",
    "gpt2": "GPT2Tokenizer",
    "llama": "LlamaTokenizer",
    "mistral": "LlamaTokenizer",
}
CLEANED = (" .", " ?", " !", " ,", " n't", " 'm", " 's", " 've", " 're")


class Settings(NamedTuple):
    """
    What the files say.

    Attributes
    ----------
    directory : Path
    about : dict
        The fields.
    added : dict
        Tokens with their flags, by id.
    own : bool
        Whether the class is the family's own.
    """

    directory: Path
    about: dict
    added: dict[int, dict]
    own: bool

    @property
    def max_tokens(self) -> int | None:
        """Where texts are cut, special tokens included."""
        limit = self.about.get("model_max_length")
        if limit is None or (checks.is_number(limit) and limit >= 10**9):  # "none", as the library writes it
            return None
        checks.positive(f"{self.directory}: model_max_length", limit)
        return limit

    @property
    def cleans_up(self) -> bool:
        """Whether spaces before marks are taken out of decoded text."""
        return bool(self.about.get("clean_up_tokenization_spaces"))

    def token(self, name: str, default: str | None = None) -> str | None:
        """Return a special token's text."""
        value = self.about.get(name, default)
        return value["content"] if isinstance(value, dict) else value

    @property
    def special(self) -> list[str]:
        """The special tokens' texts."""
        named = [self.token(name) for name in self.about if name.endswith("_token")]
        more = [self.about.get(f"{kind}_special_tokens") or [] for kind in ("additional", "extra")]
        more = [x for some in more for x in (some.values() if isinstance(some, dict) else some)]
        more = [x["content"] if isinstance(x, dict) else x for x in more]
        return list(dict.fromkeys(x for x in [*named, *more] if isinstance(x, str)))


def read_settings(directory: Path, description: Description) -> Settings:
    """
    Read tokenizer_config.json; where it lists no added tokens, special_tokens_map.json and added_tokens.json.

    Raises
    ------
    ValueError
        Naming the file and the field at fault.
    """
    path = directory / "tokenizer_config.json"
    about = TOKENIZER.check(path, read_json(path, default={}))
    try:
        added = {int(i): dict(x) for i, x in (about.get("added_tokens_decoder") or {}).items()}
        wrong = next((x for x in added.values() if set(x) - {"content", *FLAGS} or "content" not in x), None)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: added_tokens_decoder lists no tokens by id ({error})") from error
    if wrong is not None:
        raise ValueError(f"{path}: added_tokens_decoder has {wrong}; expected content, {', '.join(FLAGS)}")
    name = OWN_CLASS.get(description.model_type)
    kind = about.get("tokenizer_class") or description.tokenizer_class
    settings = Settings(directory, about, added, kind in (None, name, f"{name}Fast"))
    return settings if "added_tokens_decoder" in about else _with_older_files(settings)


def _with_older_files(settings):
    path = settings.directory / "special_tokens_map.json"
    named = SPECIAL_TOKENS.check(path, read_json(path, default={}))
    settings = settings._replace(about=settings.about | named)
    path, special = settings.directory / "added_tokens.json", settings.special
    added = {}
    for token, index in read_json(path, default={}).items():
        if type(index) is not int:
            raise ValueError(f"{path}: {token!r} is {index!r}; expected the id of a token")
        added[index] = {"content": token, "special": token in special, "normalized": token not in special}
    return settings._replace(added=added)


def adapt(backend: Any, settings: Settings, model_type: str, library: Any) -> None:
    """
    Change a tokenizer of the library tokenizers as the files say.

    Parameters
    ----------
    backend : tokenizers.Tokenizer
    settings : Settings
    model_type : str
    library : module
        tokenizers.

    Raises
    ------
    ValueError
        For an added token that has another id.
    """
    if settings.own and model_type == "bert":
        _normalise(backend, settings, library)
    if settings.own and model_type == "gpt2" and _is(backend.pre_tokenizer, "ByteLevel"):
        part = backend.pre_tokenizer
        part.add_prefix_space = bool(settings.about.get("add_prefix_space", False))
        backend.pre_tokenizer = part
    _add_tokens(backend, settings, library)


def _normalise(backend, settings, library):
    """Have BERT's own normaliser do what the file says; one of another kind stays where no class is named."""
    about = settings.about
    if not _is(backend.normalizer, "BertNormalizer") and "tokenizer_class" not in about:
        return
    for name in {"tokenize_chinese_chars", "strip_accents", "do_lower_case"} & set(about):
        if (name, about[name]) != ("strip_accents", None):  # which follows do_lower_case
            checks.is_bool(f"{settings.directory / 'tokenizer_config.json'}: {name}", about[name])
    backend.normalizer = library.normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=about.get("tokenize_chinese_chars", True),
        strip_accents=about.get("strip_accents"),
        lowercase=about.get("do_lower_case", True),
    )


def _add_tokens(backend, settings, library):
    for index, token in sorted(settings.added.items()):
        flags = {name: token[name] for name in FLAGS if name in token}
        backend.add_tokens([library.AddedToken(token["content"], **flags)])
        found = backend.token_to_id(token["content"])
        if found != index:
            raise ValueError(
                f"{settings.directory}: the added token {token['content']!r} is {index}, and {found} by the "
                "tokenizer's own files; expected one id"
            )
    known = {token.content for token in backend.get_added_tokens_decoder().values() if token.special}
    more = [library.AddedToken(x, special=True, normalized=False) for x in settings.special if x not in known]
    backend.add_special_tokens(more)


def surround(backend: Any, settings: Settings, library: Any) -> None:
    """Put a beginning before texts and an end behind, where there is no tokenizer.json, which has both."""
    about = settings.about
    bos, eos = (
        [settings.token(f"{x}_token", END_OF_TEXT)] if about.get(f"add_{x}_token") else []
        for x in ("bos", "eos")
    )
    special = [(token, backend.token_to_id(token)) for token in {*bos, *eos}]
    if special:
        template = [*bos, "$A", *eos]
        backend.post_processor = library.processors.TemplateProcessing(
            single=template, special_tokens=special
        )


def check_prefix(settings: Settings, parts: dict) -> None:
    """Refuse Llama's `add_prefix_space` where tokenizer.json, whose content is `parts`, does otherwise."""
    wanted, scheme = settings.about.get("add_prefix_space"), (parts.get("pre_tokenizer") or {})
    does = '"Prepend"' in repr(parts.get("normalizer")).replace("'", '"') or (
        scheme.get("type") == "Metaspace" and scheme.get("prepend_scheme", "always") != "never"
    )
    if settings.own and wanted is not None and wanted != does:
        raise ValueError(
            f"{settings.directory}: add_prefix_space is {str(wanted).lower()} in tokenizer_config.json, and "
            f"{str(does).lower()} by tokenizer.json; expected the two to agree"
        )


def cleaned(text: str) -> str:
    """Take the spaces before marks out of a text, as `clean_up_tokenization_spaces` asks for."""
    for mark in CLEANED[:4]:
        text = text.replace(mark, mark[1:])
    text = text.replace(" ' ", "'")
    for mark in CLEANED[4:]:
        text = text.replace(mark, mark[1:])
    return text


def _is(part, name):
    return type(part).__name__ == name
