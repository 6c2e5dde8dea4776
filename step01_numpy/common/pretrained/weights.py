"""Turn the tensors of a Hugging Face model file into a `state_dict` of ours, by the table of keys."""

from fnmatch import fnmatchcase
from typing import NamedTuple

import numpy as np

from step01_numpy.common.pretrained.keys import SAME, Keys, Layout
from step01_numpy.common.pretrained.weight_files import WeightFiles

PARTS = (".weight", ".bias")


class Source(NamedTuple):
    """What one tensor of a file becomes: our names, and how they are taken out of it."""

    ours: tuple[str, ...]
    layout: Layout


def read_state(
    files: WeightFiles, keys: Keys, wanted: dict[str, tuple], n_layers: int
) -> dict[str, np.ndarray]:
    """
    Read the weights of a model.

    Parameters
    ----------
    files : WeightFiles
    keys : Keys
        The family's table.
    wanted : dict
        The shape of every weight of ours by name.
    n_layers : int

    Returns
    -------
    state : dict
        Arrays by our names, float32; views on the file, read-only, where it holds float32.

    Raises
    ------
    ValueError
        Naming, as the file does, every tensor that is missing, unexpected, of a wrong shape, or that differs
        from the one that it should be a copy of.
    """
    found = files.tensors
    prefix = keys.prefix if any(name.startswith(keys.prefix) for name in found) else ""
    sources = _sources(keys, prefix, wanted, n_layers)
    sources = {_spelling(name, keys, found): source for name, source in sources.items()}
    assert {name for source in sources.values() for name in source.ours} == set(wanted)
    _check_names(found, keys, prefix, sources)
    _check_shapes(found, sources, wanted)
    if "head.weight" not in wanted:
        _check_copies(files, keys, prefix, sources)
    state = {}
    for name, source in sources.items():
        state |= zip(source.ours, source.layout.split(files.array(name)), strict=True)
    return state


def _sources(keys, prefix, wanted, n_layers):
    """Write the table out, layer by layer and part by part, as far as the model has such weights."""
    sources = {}
    for table, start in ((keys.body, prefix), (keys.head, "")):
        for theirs, ours in table.items():
            ours = (ours,) if isinstance(ours, str) else ours
            layout = next((keys.layouts[part] for part in theirs.split(".") if part in keys.layouts), SAME)
            for i in range(n_layers if "{i}" in theirs else 1):
                for part in ("",) if ours[0].endswith(PARTS) else PARTS:
                    names = tuple(name.format(i=i) + part for name in ours)
                    if all(name in wanted for name in names):
                        sources[start + theirs.format(i=i) + part] = Source(names, layout)
    return sources


def _spelling(name, keys, found):
    """Return a tensor's name as this file spells it."""
    for ending, other in keys.spellings.items():
        if name not in found and name.endswith(ending) and name.removesuffix(ending) + other in found:
            return name.removesuffix(ending) + other
    return name


def _check_names(found, keys, prefix, sources):
    missing = sorted(set(sources) - set(found))
    extra = [
        name
        for name in sorted(set(found) - set(sources))
        if not any(fnmatchcase(name.removeprefix(prefix), pattern) for pattern in keys.unused)
    ]
    reasons = [
        f"tensors {kind}: {', '.join(x)}" for kind, x in (("missing", missing), ("unknown", extra)) if x
    ]
    if reasons:
        raise ValueError("; ".join(reasons))


def _check_shapes(found, sources, wanted):
    wrong = []
    for name, source in sources.items():
        expected = tuple(source.layout.shape(*(wanted[x] for x in source.ours)))
        if found[name].shape != expected:
            wrong.append(f"{name} has shape {found[name].shape}; expected {expected}")
    if wrong:
        raise ValueError("; ".join(wrong))


def _check_copies(files, keys, prefix, sources):
    """Refuse a file with a head of its own where the configuration ties it to the embedding."""
    for copy, original in keys.copies.items():
        names = [x for x in (copy, prefix + copy) if x in files.tensors and x not in sources]
        originals = [x for x in (original, prefix + original) if x in sources]
        for a, b in ((a, b) for a in names for b in originals):
            if not np.array_equal(files.array(a), files.array(b)):
                raise ValueError(f"{a} differs from {b}; expected a copy, as config.json ties the two")
