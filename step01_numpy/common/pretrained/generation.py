"""How a model's authors generate with it: generation_config.json as our search and our sampling take it."""

from collections.abc import Callable
from typing import NamedTuple

from step01_numpy.common.decoding.constraints import Constraints
from step01_numpy.common.decoding.sampling import Sampling
from step01_numpy.common.decoding.search import gnmt
from step01_numpy.common.pretrained.config import Description
from step01_numpy.common.support import checks

TOP_K = 50  # of the library, where a file says that tokens are drawn and not from how many


class SearchDefaults(NamedTuple):
    """
    How to search, and how to draw, where the user says nothing else.

    Attributes
    ----------
    beam : int
    length_penalty : float, or callable
    early_stopping : bool or "never"
        As `beam_search` takes them.
    max_new, max_length : int or None
        The most new tokens, an end included; or, where that is None, of all tokens, the prompt's included, or
        the one that begins a translation. None leaves it to the caller.
    rules : Sampling
        Its penalty of repetitions is that of the constraints.
    constraints : Constraints
    """

    beam: int = 1
    length_penalty: float | Callable = 1.0
    early_stopping: bool | str = False
    max_new: int | None = None
    max_length: int | None = None
    rules: Sampling = Sampling()
    constraints: Constraints = Constraints()

    def room(self, length: int) -> int | None:
        """Return how many tokens may follow so many; None where nothing is said."""
        if self.max_new is not None or self.max_length is None:
            return self.max_new
        return self.max_length - length


OURS = SearchDefaults(length_penalty=gnmt(), early_stopping="never")


def search_defaults(description: Description) -> SearchDefaults:
    """
    Read how to generate.

    Raises
    ------
    ValueError
        Naming the field at fault, what was expected and what came.
    """
    config, given = description.config, description.generation
    if config.architecture == "encoder" or config.head == "none":
        return SearchDefaults()
    found = SearchDefaults(
        beam=_count(given, "num_beams", 1, least=1),
        length_penalty=_number(given, "length_penalty", 1.0),
        early_stopping=_one_of(given, "early_stopping", (False, True, "never")),
        max_new=_count(given, "max_new_tokens", None, least=1),
        max_length=_count(given, "max_length", None, least=1),
        rules=_rules(given),
        constraints=_constraints(given, config.vocab_size),
    )
    if found.rules.temperature and (found.beam > 1 or config.architecture != "decoder"):
        raise ValueError(
            f"do_sample is true, num_beams {found.beam}; expected tokens drawn by one beam of a language "
            "model only: set do_sample to false"
        )
    return found


def _rules(given):
    """Temperature, top-k and top-p count where the user asks for draws, too."""
    draws = _one_of(given, "do_sample", (False, True))
    temperature = _number(given, "temperature", 1.0)
    if draws:
        checks.above_zero("temperature", temperature)
    return Sampling(
        temperature=temperature if draws else 0.0,
        top_k=_count(given, "top_k", TOP_K if draws else 0) or None,
        top_p=None if _number(given, "top_p", 1.0) == 1 else given["top_p"],
        repetition_penalty=_number(given, "repetition_penalty", 1.0),
    )


def _constraints(given, vocab_size):
    def tokens(name):
        value = given.get(name, [])
        values = value if isinstance(value, list) else [value]
        for x in values:
            checks.token(name, x, vocab_size)
        return tuple(values)

    return Constraints(
        repetition_penalty=_number(given, "repetition_penalty", 1.0),
        no_repeat_ngram=_count(given, "no_repeat_ngram_size", 0),
        never_after=_bad_words(given, vocab_size),
        min_length=_count(given, "min_length", 0),
        min_new=_count(given, "min_new_tokens", 0),
        first=tokens("forced_bos_token_id"),
        last=tokens("forced_eos_token_id"),
        never=tokens("suppress_tokens"),
        never_first=tokens("begin_suppress_tokens"),
        renormalise=_one_of(given, "renormalize_logits", (False, True)),
    )


def _bad_words(given, vocab_size):
    """Return them as what may not follow what; an end alone is none."""
    eos = given.get("eos_token_id")
    words = given.get("bad_words_ids", [])
    if not isinstance(words, list) or not all(isinstance(x, list) and x for x in words):
        raise ValueError(f"bad_words_ids is {words}; expected lists of ids")
    for token in (x for word in words for x in word):
        checks.token("bad_words_ids", token, vocab_size)
    ends = [[x] for x in eos] if isinstance(eos, list) else [[eos]]
    return tuple((tuple(word[:-1]), word[-1]) for word in words if word not in ends)


def _count(given, name, default, *, least=0):
    value = given.get(name, default)
    if name in given:
        (checks.positive if least else checks.not_negative)(name, value)
    return value


def _number(given, name, default):
    value = given.get(name, default)
    if not checks.is_finite(value):
        raise ValueError(f"{name} is {value!r}; expected a finite number")
    return value


def _one_of(given, name, values):
    value = given.get(name, values[0])
    if not any(value is x or value == x == "never" for x in values):
        raise ValueError(f"{name} is {value!r}; expected one of {', '.join(map(str, values))}")
    return value
