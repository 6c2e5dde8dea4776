"""Kernels for one architecture alone, as "sm_90a": CuPy's `RawModule` leaves out what no later GPU has."""

import tempfile
from functools import cache
from pathlib import Path


def kernels(text: str, names: tuple, options: tuple, architecture: str) -> dict:
    """
    Compile with NVRTC, as CuPy does but for another architecture, and load what comes out.

    Parameters
    ----------
    text : str
        CUDA C++.
    names : tuple of str
        Instances of its templates, as "attend<float16, 64>".
    options : tuple of str
    architecture : str
        As "sm_90a".

    Returns
    -------
    kernels : dict
        By name, as from `cupy.RawModule.get_function`.

    Raises
    ------
    RuntimeError
        With the compiler's words.
    """
    import cupy

    code, lowered = _compile(text, names, (*options, "-ftz=true", f"-arch={architecture}"))
    path = Path(_folder().name) / f"{len(list(Path(_folder().name).iterdir()))}.cubin"
    path.write_bytes(code)
    module = cupy.RawModule(path=str(path))
    return {name: module.get_function(lowered[name]) for name in names}


def _compile(text, names, options):
    """Return machine code, and what its kernels are called there."""
    from cupy_backends.cuda.libs import nvrtc

    program = nvrtc.createProgram(text, "kernel.cu", (), ())
    try:
        for name in names:
            nvrtc.addNameExpression(program, name)
        nvrtc.compileProgram(program, options)
        return nvrtc.getCUBIN(program), {name: nvrtc.getLoweredName(program, name) for name in names}
    except nvrtc.NVRTCError as error:
        log = nvrtc.getProgramLog(program)
        raise RuntimeError(f"NVRTC with {' '.join(options)}: {error}\n{log}") from error
    finally:
        nvrtc.destroyProgram(program)


@cache
def _folder():
    """Make a folder that lives as long as this process: modules are loaded once for each device."""
    return tempfile.TemporaryDirectory(prefix="attention-step-by-step-")
