"""From the text of a `.cu` file to something that runs here: translated, compiled as C++20, and kept."""

import os
import platform
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from step03_gpu.emulator.cache import cache_folder, digest, keep, kept

INCLUDE = Path(__file__).parent / "include"
FLAGS = ("-std=c++20", "-w", "-ffp-contract=off", f"-I{INCLUDE}")
LIBRARY = ("-O2", "-g1", "-shared", "-fPIC", "-fvisibility=hidden", "-U_FORTIFY_SOURCE")
LIBRARY += ("-fstack-clash-protection",)  # no frame is so large that it misses the guard below a stack
# For counts.py: each access that the text has calls a function of ours (accesses.cuh). ThreadSanitizer's own
# are not linked, so the libraries are named.
ACCESSES = (
    "-Og",
    *LIBRARY[1:],
    "-fsanitize=thread",
    "-fno-tree-sra",
    "-fno-tree-fre",
    "-fno-threadsafe-statics",
)
ACCESSES += (
    "-DEMULATOR_COUNTS_ACCESSES",
    "-nodefaultlibs",
    "-Wl,--no-as-needed",
    "-lstdc++",
    "-lm",
    "-lgcc_s",
    "-lc",
)
ARITHMETIC = (*LIBRARY, "-DEMULATOR_COUNTS_ARITHMETIC")  # numbers are a type that counts (counted.cuh)
COUNTING = {None: LIBRARY, "accesses": ACCESSES, "arithmetic": ARITHMETIC}
PROGRAM = ("-O1", "-g1", "-fsanitize=address", "-fno-omit-frame-pointer", "-fno-delete-null-pointer-checks")

LONG_OPTIONS = {"--define-macro": "-D", "--undefine-macro": "-U", "--include-path": "-I"}
HEADER_FOLDERS = ("CPATH", "CPLUS_INCLUDE_PATH")  # where a compiler looks for headers as well
INCLUDED = re.compile(r"^[ \t]*#[ \t]*include[ \t]*<([\w.]+)>", re.MULTILINE)

DYNAMIC = re.compile(r"extern\s+__shared__\s+([^;\[]*?)\s*\b(\w+)\s*\[\s*\]\s*;")
ALIGNMENT = re.compile(r"(?:alignas|__align__)\s*\(\s*(\d+)\s*\)")
LEAST_ALIGNMENT = 16  # bytes, of dynamic shared memory that asks for no more
STATIC = re.compile(r"__shared__\s+([^;]*);")
COMMENT = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
BRACKETS = re.compile(r"<[^<>]*>|\[[^\[\]]*\]|\([^()]*\)")


class EmulatorError(RuntimeError):
    """A kernel that does not compile, or that does what a GPU would answer with nonsense, or not at all."""


def translate(code: str) -> str:
    """
    Turn the few words of CUDA that no macro can express into C++; each line stays where it is.

    `extern __shared__ T x[];` becomes a pointer to the emulator's memory. `__shared__ T x[N];` becomes
    `typedef T x_type[N]; EMULATOR_SHARED(x)`, so that `x` can be poisoned before each block.
    """
    code = COMMENT.sub(_comment, code)
    return STATIC.sub(_static, DYNAMIC.sub(_dynamic, code))


def _comment(match):
    return match[0] if match[0][0] == '"' else " " + "\n" * match[0].count("\n")


def _dynamic(match):
    element = re.sub(r"(alignas|__align__)\s*\([^()]*\)", "", match[1])
    lines = "\n" * (match[0].count("\n") - element.count("\n") * 2)
    return f"{element}* {match[2]} = reinterpret_cast<{element}*>(emulator::dynamic_shared);{lines}"


def _alignment(code):
    """Return what dynamic shared memory is aligned to: what a declaration asks for, and no further."""
    asked = [
        int(n) for match in DYNAMIC.finditer(COMMENT.sub(_comment, code)) for n in ALIGNMENT.findall(match[1])
    ]
    return max([LEAST_ALIGNMENT, *asked])


def _static(match):
    declaration = words = re.sub(r"alignas(?=\s*\()", "__align__", match[1])
    while (bare := BRACKETS.sub(lambda bracket: " " * len(bracket[0]), words)) != words:
        words = bare  # at last without brackets: words, and commas between the variables
    names = list(re.finditer(r"(\w+)\s*(?=,|$)", words))
    for name in reversed(names):
        declaration = f"{declaration[: name.end(1)]}_type{declaration[name.end(1) :]}"
    return f"typedef {declaration};" + "".join(f" EMULATOR_SHARED({name[1]})" for name in names)


@cache
def compiler(wanted: str | None) -> tuple[str, str]:
    """Return the path and the version of the C++ compiler: the one wanted, g++ or clang++, none too old."""
    for name in (wanted, "g++", "clang++"):
        if name and (path := shutil.which(name)):
            version, number = (
                subprocess.run([path, option], capture_output=True, text=True, check=False).stdout
                for option in ("--version", "-dumpversion")
            )
            if int(number.split(".")[0]) >= (16 if "clang" in version else 11):
                return path, version
    raise EmulatorError(
        "no C++ compiler found, and the emulator needs one: install g++ 11 or later or clang++ 16 or later "
        "(Debian, Ubuntu: apt install g++; macOS: xcode-select --install), or name one in CXX"
    )


def compile_kernels(
    code: str, names: tuple, options: tuple = (), checked: bool = False, counting=None
) -> Path:
    """
    Compile kernels, or find what an earlier call made of the same text with the same compiler.

    Parameters
    ----------
    code : str
        CUDA C++.
    names : tuple of str
        Of the kernels, as expressions: `forward<float, 64>`.
    options : tuple of str
        As for NVRTC; definitions (-D, -U) and folders of headers (-I) are used.
    checked : bool
        Make a program watched by AddressSanitizer instead of a shared library.
    counting : "accesses" or "arithmetic", optional
        Make a library that counts these.

    Returns
    -------
    path : Path

    Raises
    ------
    EmulatorError
        With the compiler's message, where the text does not compile; or where there is no compiler, or to
        count none that can.

    Notes
    -----
    "The same text" takes in every header that it reads, wherever that lies. What only our own headers
    belong to is known as it stands; anything else is what the preprocessor makes of it, now.
    """
    path, version = compiler(os.environ.get("CXX"))
    if counting and "clang" in version:
        raise EmulatorError(
            "what a kernel does is counted with g++ alone; install g++ 11 or later, or name it in CXX"
        )
    kernels = " ".join(f"EMULATOR_KERNEL({name})" for name in names)
    text = f"#define EMULATOR_ALIGNMENT {_alignment(code)}\n"
    header = "counted.cuh" if counting == "arithmetic" else "cuda.cuh"
    text += f'#include "{header}"\n#line 1 "kernel.cu"\n{translate(code)}\n'
    text += f'#line 1 "name_expressions"\nEMULATOR_KERNELS({kernels})\n'
    command = [path, *FLAGS, *(PROGRAM if checked else COUNTING[counting]), *(taken := _taken(options))]
    language = "c++"
    if _reads_other_headers(translate(code), taken):
        text, language = _run([*command, "-E", "-x", language, "-"], text), "c++-cpp-output"
    headers = [header.read_text() for header in sorted(INCLUDE.iterdir()) if header.is_file()]
    key = digest(text, *headers, version, platform.machine(), *command)
    return kept(key) or _compile([*command, "-x", language, "-"], text, key, "" if checked else ".so")


def _taken(options):
    """Return definitions and folders as compilers take them; NVRTC has more ways to give them."""
    taken, words = [], iter(options)
    for word in words:
        name, _, value = word.partition("=")
        word = LONG_OPTIONS.get(name, name) + value if name in LONG_OPTIONS else word
        if word[:2] in LONG_OPTIONS.values():
            taken.append(word[:2] + (word[2:] or next(words, "")).strip())
    return taken


def _reads_other_headers(code, taken):
    """Say whether a header may be read that is not the emulator's own."""
    if any(option.startswith("-I") for option in taken) or any(map(os.environ.get, HEADER_FOLDERS)):
        return True
    code = code.replace("\\\n", "")
    others = INCLUDED.sub(lambda own: "" if (INCLUDE / own[1]).is_file() else own[0], code)
    return "include" in others or "embed" in others


def _compile(command, text, key, suffix):
    """Write into a folder of this call; what is not finished there is never used."""
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="building-") as folder:
        made = Path(folder) / f"compiled{suffix}"
        _run([*command, "-o", str(made)], text)
        return keep(key, made)


def _run(command, text):
    run = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if run.returncode:
        raise EmulatorError(f"the kernel does not compile:\n{run.stderr.strip()}")
    return run.stdout
