"""Read parallel text: the embedded corpus, line files side by side, or a tab-separated file.

Text comes back in Unicode's composed form (NFC). A fault in a file is an error that names the file and the
line, never a line skipped, because a skipped line would shift all later ones against their references.
"""

import gzip
import re
import unicodedata
import zlib
from pathlib import Path

from step01_numpy.common.text.corpus import digest, embedded_corpus

Pairs = list[tuple[str, str]]

# Of 100 English sentences of a tab-separated file, so many go to validation and to test.
VALIDATION_PERCENT, TEST_PERCENT = 2, 2
TABLE_SPLITS = ("train", "validation", "test")


def read_parallel(path: str | Path, split: str = "train", source: str = "en", target: str = "fr") -> Pairs:
    """Read one split of a parallel corpus.

    Parameters
    ----------
    path : str or Path
        One of three:

        - "embedded", the project's own corpus, with the splits train, validation and held_out;
        - a directory of line files named ``split.language``, plain or ``.gz``, such as ``train.en.gz``;
        - a file of lines ``english TAB other TAB anything``, plain or ``.gz``, as Tatoeba and Anki have it;
          `table_split` makes its splits: train 96 %, validation 2 %, test 2 % of the English sentences.
    split : str
        The split to read.
    source, target : str
        The languages, as in the names of the files. In a tab-separated file one of the two is "en".

    Returns
    -------
    list[tuple[str, str]]
        Pairs (source, target) in the order of the file, without blanks around them.

    Raises
    ------
    FileNotFoundError
        If there is no such path, or no such split in the directory.
    ValueError
        If the path has no such split or language, or a file is at fault: not UTF-8, a damaged ``.gz``,
        empty, an empty side, unequal numbers of lines, a line without a tab, a first column without a
        letter of English.
    """
    if str(path) == "embedded":
        return _read_embedded(split, source, target)
    path = Path(path)
    if path.is_dir():
        return _read_line_files(path, split, source, target)
    return _read_table(_existing(path), split, source, target)


def splits_of(path: str | Path, source: str = "en", target: str = "fr") -> list[str]:
    """Name the splits that `read_parallel` finds at a path; a FileNotFoundError if there is no such path."""
    if str(path) == "embedded":
        return list(embedded_corpus()._fields)
    if Path(path).is_dir():
        return _splits_present(Path(path), source, target)
    _existing(Path(path))
    return list(TABLE_SPLITS)


def read_lines(path: str | Path) -> list[str]:
    """Read a text file, plain or ``.gz``, into its lines.

    Parameters
    ----------
    path : str or Path
        UTF-8 text, with or without a byte order mark, with Unix or Windows line ends.

    Returns
    -------
    list[str]
        One string a line, in NFC and without its line end; empty lines are kept.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is empty, not UTF-8 or a damaged ``.gz``.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; expected a text file")
    text = _decode(path, _read_bytes(path))
    if not text:
        raise ValueError(f"{path} is empty; expected lines of text")
    # Not splitlines: that also breaks at characters which sentences may contain, such as U+2028.
    lines = text.removesuffix("\n").split("\n")
    return [unicodedata.normalize("NFC", line.removesuffix("\r")) for line in lines]


def _read_bytes(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix != ".gz":
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is no complete gzip file: {error}") from error


def _decode(path: Path, data: bytes) -> str:
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = data[error.start]
        raise ValueError(
            f"{path}, line {line}: byte 0x{byte:02x} is not UTF-8; expected UTF-8 text"
        ) from error


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(
            f'{path} does not exist; expected "embedded", a directory of line files, or a tab-separated file'
        )
    return path


def _read_embedded(split: str, source: str, target: str) -> Pairs:
    swapped = _swapped("the embedded corpus", source, target, "fr")
    splits = embedded_corpus()._asdict()
    if split not in splits:
        raise ValueError(f"split is {split!r}; the embedded corpus has {', '.join(splits)}")
    return _swap(splits[split]) if swapped else splits[split]


def _swap(pairs: Pairs) -> Pairs:
    return [(second, first) for first, second in pairs]


def _swapped(where: object, source: str, target: str, other: str | None = None) -> bool:
    languages = (source, target)
    if languages.count("en") != 1 or (other and other not in languages):
        expected = f'"en" and "{other}"' if other else 'one of them to be "en"'
        raise ValueError(f"source is {source!r} and target {target!r}; {where}: expected {expected}")
    return target == "en"


def _read_line_files(directory: Path, split: str, source: str, target: str) -> Pairs:
    paths = [_line_file(directory, split, language) for language in (source, target)]
    if None in paths:
        present = _splits_present(directory, source, target)
        raise FileNotFoundError(
            f"{directory} lacks {split}.{source} or {split}.{target} (plain or .gz); "
            f"splits with both languages: {', '.join(present) or 'none'}"
        )
    sides = [read_lines(path) for path in paths]
    if len(sides[0]) != len(sides[1]):
        raise ValueError(
            f"{paths[0]} has {len(sides[0])} lines and {paths[1]} has {len(sides[1])}; expected equal numbers"
        )
    return [_pair(paths, line, pair) for line, pair in enumerate(zip(*sides, strict=True), 1)]


def _line_file(directory: Path, split: str, language: str) -> Path | None:
    for path in (directory / f"{split}.{language}", directory / f"{split}.{language}.gz"):
        if path.is_file():
            return path
    return None


def _splits_present(directory: Path, source: str, target: str) -> list[str]:
    names = {path.name.removesuffix(".gz") for path in directory.iterdir()}
    splits = {name.removesuffix(f".{source}") for name in names if name.endswith(f".{source}")}
    return sorted(split for split in splits if f"{split}.{target}" in names)


def _pair(paths: list[Path], line: int, pair: tuple[str, ...]) -> tuple[str, str]:
    source, target = (side.strip() for side in pair)
    for path, side in zip(paths, (source, target), strict=True):
        if not side:
            raise ValueError(
                f"{path}, line {line}: empty; expected a sentence, or the line out of both sides"
            )
    return source, target


def _read_table(path: Path, split: str, source: str, target: str) -> Pairs:
    swapped = _swapped(path, source, target)
    if split not in TABLE_SPLITS:
        raise ValueError(f"split is {split!r}; a tab-separated file has {', '.join(TABLE_SPLITS)}")
    rows = [_row(path, line, text) for line, text in enumerate(read_lines(path), 1)]
    if not any(re.search("[A-Za-z]", english) for english, _ in rows):
        raise ValueError(
            f"{path}: no letter from a to z in its first column, such as {rows[0][0][:60]!r}; "
            "expected english TAB translation"
        )
    pairs = [pair for pair in rows if table_split(pair[0]) == split]
    if not pairs:
        raise ValueError(
            f"{path}: none of its {len(rows)} pairs falls in the split {split!r}; expected more pairs"
        )
    return _swap(pairs) if swapped else pairs


def _row(path: Path, line: int, text: str) -> tuple[str, str]:
    cells = text.split("\t")
    if len(cells) < 2:
        raise ValueError(f"{path}, line {line}: no tab in {text[:60]!r}; expected english TAB translation")
    return _pair([path, path], line, (cells[0], cells[1]))


def normal_form(sentence: str) -> str:
    """Return a sentence's words alone, without case and punctuation: what tells near-duplicates."""
    return " ".join(re.findall(r"\w+", sentence.casefold()))


def table_split(english: str) -> str:
    """Name the split of a tab-separated file that an English sentence falls in with all its translations.

    Parameters
    ----------
    english : str
        The English side.

    Returns
    -------
    str
        "train", "validation" or "test"; always the same for the same sentence, in whatever case and
        punctuation.
    """
    share = digest(normal_form(english)) % 100
    if share < VALIDATION_PERCENT:
        return "validation"
    return "test" if share < VALIDATION_PERCENT + TEST_PERCENT else "train"
