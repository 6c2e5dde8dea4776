"""Lines of a text: cut out by number, and how deep they stand."""


def cut(text: str, edits: list) -> str:
    """
    Replace lines of a text.

    Parameters
    ----------
    text : str
    edits : list of (first, behind, lines)
        Lines `first` to `behind - 1`, counted from 0, become `lines`. No two edits overlap.
    """
    lines = text.splitlines()
    for first, behind, new in sorted(edits, key=lambda edit: edit[:2], reverse=True):
        lines[first:behind] = new
    return "\n".join(lines) + "\n"


def depth(line: str) -> int:
    """Return by how many blanks a line is indented."""
    return len(line) - len(line.lstrip(" "))
