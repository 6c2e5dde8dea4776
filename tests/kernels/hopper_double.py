"""
Doubles of what rung 6 asks of a machine with a GPU: NVRTC as CuPy offers it, and the driver's library.

NVRTC's refuses wgmma for any architecture but sm_90a, as the compiler does. The driver's is a library of its
own, called by ctypes, with the signature and the limits of `cuTensorMapEncodeTiled` in the CUDA Driver API.
"""

import subprocess
import sys
from types import ModuleType

from step03_gpu.emulator.compiler import compiler
from step03_gpu.kernels import tensor_map

DRIVER = r"""
#include <cstdint>
typedef uint64_t u64; typedef uint32_t u32;
extern "C" int cuTensorMapEncodeTiled(void* map, int type, u32 rank, void* address, const u64* sizes,
                                      const u64* strides, const u32* box, const u32* steps, int interleave,
                                      int swizzle, int l2, int fill) {
    const u64 element = 2, row = box[0] * element, place = (u64)address;
    bool wrong = (u64)map % 64 || (type != 6 && type != 9) || rank < 3 || rank > 5 || place % 16;
    wrong |= interleave || fill || swizzle != 3 || l2 < 0 || l2 > 3 || row % 16 || row > 128;
    for (u32 i = 0; i < rank; i++)
        wrong |= !sizes[i] || sizes[i] > 1ull << 32 || !box[i] || box[i] > 256 || steps[i] != 1;
    for (u32 i = 0; i + 1 < rank; i++) wrong |= strides[i] % 16 || strides[i] >= 1ull << 40;
    if (wrong) return 1;  // CUDA_ERROR_INVALID_VALUE
    u64* told = (u64*)map;
    told[0] = place, told[1] = (u64)type << 32 | rank;
    for (u32 i = 0; i < rank; i++) told[2 + i] = sizes[i], told[12 + i] = box[i];
    for (u32 i = 0; i + 1 < rank; i++) told[7 + i] = strides[i];
    return 0;
}
"""


class NVRTCError(Exception):
    """What NVRTC's functions raise."""


class Program:
    """A program on its way to machine code."""

    def __init__(self, text):
        self.text, self.names, self.code = text, [], None

    def lowered(self, name):
        """Return a name as the machine code has it."""
        assert name in self.names
        return f"_Z{''.join(c if c.isalnum() else '_' for c in name)}"


def nvrtc():
    """Return a module like `cupy_backends.cuda.libs.nvrtc`; its `options` are those of the last call."""
    module, programs = ModuleType("cupy_backends.cuda.libs.nvrtc"), {}

    def create(text, name, headers, include_names):
        programs[key := len(programs) + 1] = Program(text)
        return key

    def compile_program(key, options):
        module.options = options
        if "wgmma" in programs[key].text and "-arch=sm_90a" not in options:
            raise NVRTCError("NVRTC_ERROR_COMPILATION")
        programs[key].code = "\n".join(map(programs[key].lowered, programs[key].names)).encode()

    module.NVRTCError, module.programs = NVRTCError, programs
    module.createProgram, module.compileProgram = create, compile_program
    module.addNameExpression = lambda key, name: programs[key].names.append(name)
    module.getCUBIN = lambda key: programs[key].code
    module.getLoweredName = lambda key, name: programs[key].lowered(name)
    module.getProgramLog = lambda key: "Instruction 'wgmma.fence' not supported on .target 'sm_90'"
    module.destroyProgram = programs.pop
    return module


def install(monkeypatch, folder):
    """Let step 3 find both; returns the double of NVRTC."""
    module = nvrtc()
    names = "cupy_backends", "cupy_backends.cuda", "cupy_backends.cuda.libs"
    for name in names:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules[names[-1]].nvrtc = module
    library = folder / "libcuda_double.so"
    if not library.exists():
        command = [compiler(None)[0], "-x", "c++", "-shared", "-fPIC", "-o", str(library), "-"]
        subprocess.run(command, input=DRIVER, text=True, check=True)
    monkeypatch.setattr(tensor_map, "LIBRARY", str(library))
    return module
