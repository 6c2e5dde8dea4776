"""From the text of a student's kernels to a program: compiled by a process that is shut in, and kept."""

import os
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from step03_gpu.emulator import compiler
from step03_gpu.emulator.cache import cache_folder, digest, keep, kept
from tests.homework.kernels.shut import Shut
from tests.homework.sandbox import LEVEL, Ended

SERVE = Path(__file__).parent / "serve.cuh"
COMPILING = 90.0  # s, on a busy machine
COMPILERS = {"NPROC": None, "FSIZE": 2**26}  # limits: a compiler starts a linker, and writes what it makes


class Unfit(Exception):
    """A text that does not compile; the message says why."""


class Compilation(Shut):
    """A compiler that reads a text and writes a program into its room."""

    def translate(self, text: str) -> bytes | None:
        """Return the program, or None where none was made; Ended where the compiler takes too long."""
        return self._within(COMPILING, lambda: self._translate(text))

    def _translate(self, text):
        with suppress(BrokenPipeError):
            self.process.stdin.write(text.encode())
            self.process.stdin.close()
        self.process.stdout.read()
        made = Path(self.room) / "made" / "program"
        return made.read_bytes() if self.process.wait() == 0 and made.is_file() else None


def compiled(text: str, names: tuple[str, ...], steps=LEVEL) -> Path:
    """
    Compile kernels, or find what was made of the same text.

    Parameters
    ----------
    text : str
        CUDA C++; it is whoever's.
    names : tuple of str
        Of the kernels, as expressions.
    steps : iterable of str
        What is tried to keep the compiler apart.

    Returns
    -------
    path : Path
        A program that does what `serve.cuh` says.

    Raises
    ------
    Unfit
        With what the compiler says, where the text does not compile.
    """
    path, version = compiler.compiler(os.environ.get("CXX"))
    whole = source(text, names)
    flags = [x for x in (*compiler.FLAGS, *compiler.PROGRAM) if not x.startswith("-I")]
    key = digest(whole, *headers().values(), version, *flags)
    return kept(key) or _compile(path, flags, whole, key, steps)


def source(text: str, names) -> str:
    """Return what is compiled: the kernels behind the emulator's headers, the server behind the kernels."""
    entries = " ".join(f"EMULATOR_KERNEL({name})" for name in names)
    return (
        f'#define EMULATOR_ALIGNMENT 16\n#include "cuda.cuh"\n{compiler.translate(text)}\n'
        f'#line 1 "entries"\n#include "serve.cuh"\nstatic const emulator::Entry entries[] = {{{entries}}};\n'
        "int main() { return emulator::serve(entries); }\n"
    )


@cache
def headers() -> dict[str, bytes]:
    """Return the emulator's headers and the server's by their names."""
    return {x.name: x.read_bytes() for x in (*sorted(compiler.INCLUDE.iterdir()), SERVE) if x.is_file()}


def _compile(path, flags, text, key, steps):
    def fill(room):
        for name in ("include", "made"):
            (room / name).mkdir()
        for name, data in headers().items():
            (room / "include" / name).write_bytes(data)
            (room / "include" / name).chmod(0o444)
        (room / "include").chmod(0o755)  # whatever the umask: the compiler runs as another user
        return [path, *flags, f"-I{room}/include", "-x", "c++", "-", "-o", f"{room}/made/program"]

    child = Compilation(fill, COMPILERS, {}, steps)
    try:
        child.ready()
        found = child.translate(text)
    except Ended as end:
        raise Unfit(f"the compiler {'takes too long' if end.reason == 'deadline' else 'ended'}") from None
    finally:
        words = child.end()
    if found is None:
        raise Unfit(words)
    return _kept(found, key)


def _kept(data, key):
    """Keep a program where the emulator keeps its own."""
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="building-") as folder:
        made = Path(folder) / "compiled"
        made.write_bytes(data)
        made.chmod(0o700)
        return keep(key, made)
