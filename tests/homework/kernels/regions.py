"""
Regions: the lines between `// begin task: NAME` and `// end task` of a kernel's file.

They are what students write. `#line` marks keep the lines that a compiler or the emulator names those of the
student's own file.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

BEGIN, END = re.compile(r"\s*// begin task: ([\w-]+)\s*"), re.compile(r"\s*// end task\s*")
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
HERE = "// your code goes here"


class Region(NamedTuple):
    """
    What stands between two marks.

    Attributes
    ----------
    text : str
        Its lines.
    line : int
        The number of the first of them, counted from 1; that of the closing mark is `line` + their number.
    """

    text: str
    line: int

    @property
    def end(self) -> int:
        """The number of the line with the closing mark."""
        return self.line + self.text.count("\n")


def regions(text: str) -> dict[str, Region]:
    """
    Return the regions of a file by their names.

    Raises
    ------
    ValueError
        In words that follow the file's name, for a region that stands twice, within another, or has no end.
    """
    found, name, first = {}, None, 0
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if begin := BEGIN.fullmatch(line):
            if name or begin[1] in found:
                raise ValueError(
                    f"has the mark of {begin[1]} twice or within {name or 'itself'}, line {number}"
                )
            name, first = begin[1], number + 1
        elif END.fullmatch(line) and name:
            found[name] = Region("".join(f"{x}\n" for x in lines[first - 1 : number - 1]), first)
            name = None
    if name:
        raise ValueError(f"has no `// end task` behind the beginning of {name}")
    return found


def blank(text: str, stubs: Mapping[str, str]) -> str:
    """Return a file with some of its regions emptied: a comment and, where C++ wants one, a statement."""
    for name, stub in stubs.items():
        indent = re.search(rf"(?m)^( *)// begin task: {name}$", text)[1]
        text = put(text, name, "".join(f"{indent}{line}\n" for line in (HERE, stub) if line))
    return text


def put(text: str, name: str, region: str) -> str:
    """Return a file with other lines in a region."""
    there = regions(text)[name]
    lines = text.split("\n")
    lines[there.line - 1 : there.end - 1] = region.removesuffix("\n").split("\n") if region else []
    return "\n".join(lines)


def splice(text: str, file: str, handed_in: Mapping[str, Region]) -> str:
    """Return a file with a student's regions in it; lines behind one have the numbers of the file."""
    for name, region in handed_in.items():
        marked = f'#line {region.line} "{file}"\n{region.text}#line {region.end} "{file}"\n'
        text = put(text, name, marked)
    return text


def unwritten(region: str, stub: str) -> bool:
    """Tell whether a region is as it was handed out, or empty."""
    return _bare(region) in ("", _bare(stub))


def _bare(text):
    """Return a text without comments and blanks."""
    return re.sub(r"\s", "", COMMENT.sub("", text))


def expand(file: str, read, done: set | None = None) -> str:
    """
    Return a file with the files that it includes put in, each once.

    Parameters
    ----------
    file : str
    read : callable
        From a file's name to its text, or None for a header that is not put in.
    done : set of str
        Files that are in already.
    """
    done = set() if done is None else done
    done.add(file)
    parts = [f'#line 1 "{file}"\n']
    for number, line in enumerate(read(file).split("\n"), 1):
        include = re.fullmatch(r'#include "([\w.]+)"', line)
        if include is None:
            parts.append(f"{line}\n")
            continue
        text = "" if include[1] in done else expand(include[1], read, done)
        parts.append(f'{text}#line {number + 1} "{file}"\n')
    return "".join(parts)


def names(targets: Iterable[str]) -> dict[str, list[str]]:
    """Return the regions that "kernels/03_tiled.cu:barriers" and others name, by the file's name."""
    found: dict[str, list[str]] = {}
    for target in targets:
        path, _, name = target.partition(":")
        found.setdefault(path.split("/")[-1], []).append(name)
    return found
