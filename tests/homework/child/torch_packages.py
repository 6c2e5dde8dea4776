"""What of installed packages a child with PyTorch may import and read."""

import os

BESIDE = ("torch", "torchgen", "functorch", "typing_extensions")  # PyTorch, and what it needs or may need
BESIDE += ("sympy", "mpmath", "networkx", "jinja2", "filelock", "fsspec")
# Where the source of what tasks forbid stands: it is in memory, and nobody has to read it again.
HIDDEN = {
    "nn": ("functional.py", "attention", "modules", "__pycache__"),
    "nn/modules": ("activation.py", "transformer.py", "loss.py", "__pycache__"),
}


def packages(folder: str) -> list[str]:
    """Return what a child may read in PyTorch's folder: all of it but the hidden files."""
    found = [f"{name}{end}" for name in BESIDE[1:] for end in ("", ".py")] + ["torch.libs"]
    for inside in ("", *HIDDEN):
        place = os.path.join(folder, "torch", inside)
        hidden = (*HIDDEN.get(inside, ()), *(x for x in ("nn",) if not inside))
        found += [os.path.join("torch", inside, x) for x in sorted(os.listdir(place)) if x not in hidden]
    return found
