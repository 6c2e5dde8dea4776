"""What a region may not hold: the words with which C++ reads other files or leaves the language."""

import re

TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)
    |(?P<raw>(?:u8|u|U|L)?R")
    |(?P<string>(?:u8|u|U|L)?"(?:\\.|[^"\\\n])*"|(?:u8|u|U|L)?'(?:\\.|[^'\\\n])*')
    |(?P<number>\.?\d(?:[eEpP][+-]|'?[\w.])*)
    |(?P<name>[^\W\d]\w*)
    |(?P<unroll>\#[ \t]*pragma[ \t]+unroll\b[ \t\w()]*(?=\n|$|//))
    |(?P<digraph><%|%>|%:)
    |(?P<other>\S)""",
    re.VERBOSE | re.DOTALL,
)
BRACKETS = {")": "(", "]": "[", "}": "{"}
LEAVING = {"asm", "__asm", "__asm__", "_Pragma", "__has_include", "__has_embed"}
NO_DIRECTIVES = "of the preprocessor's lines only `#pragma unroll` may stand between the marks"


def refusal(text: str) -> tuple[int, str] | None:
    """
    Say why a region cannot be used.

    Parameters
    ----------
    text : str
        Of the region.

    Returns
    -------
    refusal : (line, words) or None
        The line counted from 0 within the region.
    """
    if found := re.search(r"\\[ \t]*(\n|$)", text):
        return text.count("\n", 0, found.start()), "a line may not end with a backslash"
    open_brackets = []
    for token in TOKEN.finditer(text):
        why = _refused(token, text) or _bracket(token[0], open_brackets)
        if why:
            return text.count("\n", 0, token.start()), why
    if open_brackets:
        return text.count("\n"), f"`{open_brackets[-1]}` is opened and not closed between the marks"
    return None


def _refused(token, text):
    """Return why a token may not stand here."""
    word = token[0]
    if word == "#" or (token["unroll"] and text[: token.start()].rpartition("\n")[2].strip()):
        return NO_DIRECTIVES
    if token["raw"] or token["digraph"]:
        return f"`{word}` may not stand between the marks"
    if word in LEAVING:
        return f"`{word}` leaves CUDA C++"
    if text.startswith("/*", token.start()) and not token["comment"]:
        return "a comment does not end"
    return None


def _bracket(word, open_brackets):
    """Keep the brackets that are open; return why one does not fit."""
    if word in BRACKETS.values():
        open_brackets.append(word)
    elif word in BRACKETS and (not open_brackets or open_brackets.pop() != BRACKETS[word]):
        return f"`{word}` closes what is not opened between the marks"
    return None
