"""Every kernel compiles for its GPUs, and but for one file within the registers; needs nvcc, but no GPU."""

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from step03_gpu.kernels import FOLDER, source
from step03_gpu.kernels.launch import (
    ARCHITECTURES as ARCHITECTURE_OF,
)  # files for one alone: test_hopper_compile.py

FILES = sorted(path.name for path in FOLDER.glob("*.cu") if path.name not in ARCHITECTURE_OF)
SPILLING = ("04_tiled_backward.cu",)  # 4 to 36 bytes for d_k and d_v, in some types and on some architectures
ARCHITECTURES = ("sm_80", "sm_90", "sm_100")
KERNEL = re.compile(
    r"^template <typename T(, int D)?>\s*__global__ void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\(", re.M
)
USED = re.compile(
    r"entry function '_Z\d+([a-z_]+)I\w*?(?:Li(\d+))?E\w*' for .*?(\d+) bytes spill stores", re.S
)

pytestmark = pytest.mark.skipif(
    not (shutil.which("nvcc") and shutil.which("ptxas")),
    reason="nvcc is not installed: nothing compiles CUDA",
)


def disassembler():
    """Return cuobjdump: on the PATH, or in the wheel nvidia-cuda-cuobjdump."""
    wheel = Path(sysconfig.get_path("purelib"), "nvidia")
    return shutil.which("cuobjdump") or next(map(str, wheel.glob("*/bin/cuobjdump")), None)


def instances(file, text):
    """Return each kernel of a file, in the types and head sizes that it is launched with.

    Of the rungs without tensor cores only two sizes: all of them would take minutes.
    """
    tensor_cores = file.startswith("05")
    types = ("float16", "bfloat16") if tensor_cores else ("float", "double", "float16", "bfloat16")
    sizes = (32, 64, 96, 128) if tensor_cores else (64, 128)
    found = KERNEL.findall(text)
    assert len(found) == text.count("__global__ void"), f"{file}: a kernel is written in a way not known here"
    return [
        f"{name}<{kind}, {size}>" if has_size else f"{name}<{kind}>"
        for has_size, name in found
        for kind in types
        for size in (sizes if has_size else (0,))
    ]


@pytest.fixture(scope="module")
def compile_for(tmp_path_factory):
    """Return a function (file, architecture) -> (compiled file, report), with the options of CuPy."""
    folder, made = tmp_path_factory.mktemp("compiled"), {}

    def ptx(file):
        text = source(file)
        pointers = ", ".join(f"(const void*){name}" for name in instances(file, text))
        code, out = folder / file, folder / f"{file}.ptx"
        code.write_text(f"{text}\n__device__ const void* instances[] = {{{pointers}}};\n")
        run("nvcc", "-std=c++17", "-ftz=true", "-ptx", "-arch=compute_80", "-o", out, code)
        return out

    def compiled(file, architecture):
        if file not in made:
            made[file] = ptx(file)
        out = folder / f"{file}.{architecture}.cubin"
        return out, run("ptxas", "-v", f"-arch={architecture}", "-o", out, made[file])

    return compiled


def run(*command):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def proof_but(values, one):
    """Leave all values but one to the proof: to compile takes many seconds, and the emulator does it too."""
    return [x if x == one else pytest.param(x, marks=pytest.mark.proof) for x in values]


@pytest.mark.parametrize("architecture", proof_but(ARCHITECTURES, "sm_90"))
@pytest.mark.parametrize("file", proof_but(FILES, "03_tiled.cu"))  # the outer loop: compiled once for all
def test_it_compiles_and_spills_no_register(compile_for, file, architecture):
    _, report = compile_for(file, architecture)
    spills = {match[:2]: int(match[2]) for match in USED.findall(report)}
    assert len(spills) >= 2, report
    if file not in SPILLING:
        assert not any(spills.values()), spills


@pytest.mark.skipif(disassembler() is None, reason="cuobjdump is not installed, on the PATH or as a wheel")
@pytest.mark.parametrize("file", [name for name in FILES if name.startswith("05")])
def test_tensor_cores_and_asynchronous_copies_are_used(compile_for, file):
    compiled, _ = compile_for(file, "sm_90")
    code = run(disassembler(), "-sass", compiled)
    for instruction in (
        "HMMA.16816.F32 ",
        "HMMA.16816.F32.BF16",
        "LDSM.16.M88.4",
        "LDSM.16.MT88.4",
        "LDGSTS.E",
    ):
        assert instruction in code, f"{file} compiles to no {instruction}"
    for body in re.split(r"\n\s*Function : ", code)[1:]:
        name = body.split("\n", 1)[0]
        assert ("HMMA" in body) == ("query_terms" not in name), name
