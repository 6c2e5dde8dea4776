"""Make one script of the page's modules: a page that is opened from disk may load no other file."""

import re
from collections.abc import Sequence
from pathlib import Path

# Each imports only from those before it.
ENGINE = (
    "weights",
    "tokenizer",
    "seen",
    "attention",
    "transformer",
    "search",
    "translator",
    "maps",
    "by_hand",
)
PAGE = (*ENGINE, "tables", "by_hand_view", "pictures", "steps", "live", "main")
IMPORT = re.compile(r'^import \{([\w, ]+)\} from "\./(\w+)\.js";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?(?:const|let|function)\b)", re.MULTILINE)
LEFT = re.compile(r"^\s*(?:import|export)\b.*", re.MULTILINE)
DECLARED = re.compile(r"^(?:async )?(?:const|let|function) (\w+|[\[{][\w, ]+[\]}])", re.MULTILINE)


def source(name: str) -> str:
    """Return the text of a module."""
    return (Path(__file__).parent / f"{name}.js").read_text(encoding="utf-8")


def bundle(names: Sequence[str] = PAGE) -> str:
    """
    Join modules into one script.

    Parameters
    ----------
    names : sequence of str
        In an order in which each module imports from earlier ones alone.

    Raises
    ------
    ValueError
        Naming the module, where one imports what no module before it has, declares a name that another has,
        or holds what cannot stand in a page.
    """
    parts, declared, exported = [], {}, {}
    for name in names:
        text = source(name)
        for wanted, module in IMPORT.findall(text):
            missing = set(wanted.split(", ")) - exported.get(module, set())
            if missing:
                raise ValueError(f"{name} imports {min(missing)}, which {module}, before it, does not export")
        plain = EXPORT.sub("", IMPORT.sub("", text))
        exported[name] = names_of(text[match.end() :] for match in EXPORT.finditer(text))
        for found in sorted(names_of([plain])):
            if declared.setdefault(found, name) != name:
                raise ValueError(f"{name} declares {found}, as {declared[found]} does")
        if left := LEFT.search(plain):
            raise ValueError(f"{name} keeps {left[0].strip()!r}; expected one line, with names in braces")
        if "</script" in plain.lower():
            raise ValueError(f"{name} holds </script, which would end the script")
        parts.append(f"// ---- {name} ----\n{plain}")
    return "\n".join(parts)


def names_of(texts) -> set[str]:
    """Return the names that texts declare at the beginning of a line."""
    return {name for text in texts for found in DECLARED.findall(text) for name in re.findall(r"\w+", found)}
