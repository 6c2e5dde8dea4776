"""Rung 6 compiles for sm_90a, and into what it says: products and copies that run by themselves; by nvcc."""

import re

import pytest

from step03_gpu.kernels import hopper, source
from step03_gpu.kernels.launch import ARCHITECTURES
from tests.kernels import test_compile
from tests.kernels.test_compile import disassembler, run

pytestmark = test_compile.pytestmark
FILE = "06_hopper.cu"
NAMES = [f"attend<{kind}, {size}>" for kind in ("float16", "bfloat16") for size in hopper.SIZES]
USED = re.compile(
    r"entry function '_Z\d+attendI\d+(\w+?)Li(\d+)E.*?(\d+) bytes spill stores, (\d+) bytes spill loads"
    r".*?Used (\d+) registers",
    re.S,
)
LARGEST = 168  # registers of a thread of twelve warps: 65536 / (12 · 32), in eights


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Return the compiled file and what the compiler said, with the options of `binary.py`."""
    folder = tmp_path_factory.mktemp("hopper")
    code, out = folder / FILE, folder / "06.cubin"
    pointers = ", ".join(f"(const void*){name}" for name in NAMES)
    code.write_text(f"{source(FILE)}\n__device__ const void* instances[] = {{{pointers}}};\n")
    architecture = f"-arch={ARCHITECTURES[FILE]}"
    return out, run(
        "nvcc", "-std=c++17", "-ftz=true", "-cubin", architecture, "-Xptxas", "-v", "-o", out, code
    )


@pytest.mark.proof
def test_it_compiles_spills_no_register_and_lets_products_run(compiled):
    """Where the compiler fears for registers of a product on its way it waits for each: "serialized"."""
    _, report = compiled
    found = {match[:2]: tuple(map(int, match[2:])) for match in USED.findall(report)}
    assert set(found) == {(kind, str(size)) for kind in ("float16", "bfloat16") for size in hopper.SIZES}, (
        report
    )
    assert set(found.values()) == {(0, 0, LARGEST)}
    assert "serialized" not in report
    assert "injected" not in report


@pytest.mark.proof
@pytest.mark.skipif(disassembler() is None, reason="cuobjdump is not installed, on the PATH or as a wheel")
def test_products_read_shared_memory_and_copies_bring_boxes(compiled):
    code = run(disassembler(), "-sass", compiled[0])
    bodies = re.split(r"\n\s*Function : ", code)[1:]
    assert len(bodies) == len(NAMES)
    for body in bodies:
        size, kind = re.search(r"Li(\d+)E", body)[1], ".BF16" if "bfloat16" in body.split("\n", 1)[0] else ""
        wanted = [f"HGMMA.64x128x16.F32{kind} ", f"HGMMA.64x{size}x16.F32{kind} ", "UTMALDG.3D", "USETMAXREG"]
        for instruction in (*wanted, "SYNCS.PHASECHK.TRANS64.TRYWAIT", "SYNCS.ARRIVE.TRANS64"):
            assert instruction in body, f"attend of {size} compiles to no {instruction}"
        for instruction in ("LDSM", "HMMA.", "LDGSTS"):  # rung 5's ways
            assert instruction not in body
