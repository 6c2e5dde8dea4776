"""Several corpora as one to train on, and several references of one sentence to measure with."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from step01_numpy.common.text.parallel import Pairs, normal_form, read_parallel, splits_of

TRAINING = "train"


def read_together(paths: Sequence[str | Path]) -> Pairs:
    """
    Read the split train of each corpus, one behind the other, without what any of them holds out.

    Parameters
    ----------
    paths : sequence of str or Path
        As `read_parallel` takes them.

    Returns
    -------
    list[tuple[str, str]]
        Of several corpora, a pair is left out when its English stands in another split of one of them, in
        whatever case and punctuation: what a model is measured on, nobody has trained it on.

    Raises
    ------
    FileNotFoundError, ValueError
        As `read_parallel` does, where nothing is left, and where two corpora translate into languages that
        have no letter in common.
    """
    corpora = [read_parallel(path, TRAINING) for path in paths]
    pairs = list(chain.from_iterable(corpora))
    if len(paths) == 1:
        return pairs
    _check_languages(paths, corpora)
    held_out = {
        normal_form(english)
        for path in paths
        for split in splits_of(path)
        if split != TRAINING
        for english, _ in read_parallel(path, split)
    }
    kept = [pair for pair in pairs if normal_form(pair[0]) not in held_out]
    if not kept:
        raise ValueError(f"{', '.join(map(str, paths))}: every pair is held out by one of them")
    return kept


def _check_languages(paths, corpora):
    letters = [{x for _, other in pairs for x in other.casefold() if x.isalpha()} for pairs in corpora]
    for path, found in zip(paths[1:], letters[1:], strict=True):
        if not found & letters[0]:
            raise ValueError(
                f"the translations of {path} and of {paths[0]} have no letter in common; "
                "expected one language"
            )


def read_references(path: str | Path, split: str) -> tuple[list[str], list[list[str]]]:
    """
    Read a split as sentences to translate, each with all translations that count as right.

    Parameters
    ----------
    path : str or Path
        As `read_parallel` takes it. In a tab-separated file an English sentence has as many references as
        lines; elsewhere a line is a sentence with one reference.
    split : str

    Returns
    -------
    sources : list of str
    references : list of list of str
        At least one a source, none twice, in the order of the file.
    """
    pairs = read_parallel(path, split)
    if str(path) == "embedded" or Path(path).is_dir():
        return [english for english, _ in pairs], [[other] for _, other in pairs]
    found = {}
    for english, other in pairs:
        found.setdefault(english, {})[other] = None
    return list(found), [list(others) for others in found.values()]
