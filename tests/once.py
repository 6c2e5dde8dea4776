"""What is expensive to make is made once, by whichever of the processes that share the tests comes first."""

import os
from pathlib import Path


def made_once(factory, name: str, make) -> Path:
    """
    Return a folder of this run, filled once by `make(folder)`.

    Parameters
    ----------
    factory : pytest.TempPathFactory
    name : str
        What no other thing of the run is called.
    make : callable
        Raises where it fails; whoever asks next tries again.
    """
    from filelock import FileLock

    base = factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, done = base / name, base / f"{name}.done"
    with FileLock(base / f"{name}.lock"):
        if not done.exists():
            folder.mkdir(exist_ok=True)
            make(folder)
            done.touch()
    return folder
