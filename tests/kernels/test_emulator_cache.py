"""Kept kernels: what they are made of is what they are found by, and nothing damaged or foreign is run."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import warnings

import numpy as np
import pytest

from step03_gpu.emulator import EmulatorError, RawModule
from step03_gpu.emulator.cache import cache_folder, keep, kept
from step03_gpu.emulator.compiler import compile_kernels, compiler

NAMED = "ATTENTION_STEP_BY_STEP_CACHE"
KERNEL = '#include "top.cuh"\nextern "C" __global__ void number(int* y) { y[0] = NUMBER; }\n'
# Its "compiled" file is the text that it was given; its preprocessor is the real one, less our own headers.
QUICK_COMPILER = """#!/bin/sh
case "$*" in
    --version) echo "g++ quick" ;;
    -dumpversion) echo 12 ;;
    *" -E "*) sed '/"cuda.cuh"/d' | g++ "$@" ;;
    *) while [ "$1" != -o ]; do shift; done; cat > "$2" ;;
esac
"""


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """A cache of its own."""
    monkeypatch.setenv(NAMED, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def quick(monkeypatch, tmp_path, folder):
    """Compile in a moment, and return what the library was made of."""
    script = tmp_path / "quick"
    script.write_text(QUICK_COMPILER)
    script.chmod(0o755)
    monkeypatch.setenv("CXX", str(script))
    return lambda *options, code=KERNEL: compile_kernels(code, ("number",), options).read_text()


def write(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


EDITS = {
    "a header": ("b/top.cuh", "#define NUMBER 22\n"),
    "a header of a header": ("b/deep.cuh", "#define DEEP 22\n"),
    "a header that an earlier folder now has": ("a/top.cuh", "#define NUMBER 22\n"),
    "a nested one that an earlier folder now has": ("a/deep.cuh", "#define DEEP 22\n"),
    "one of the system's that a folder now has": ("a/deep", "#define DEEP 22\n"),
}


WAYS = ["-I {}", "--include-path={}", "two words", "CPATH"]  # to name a folder


@pytest.mark.parametrize(
    ("edit", "given"), [*((edit, "-I{}") for edit in EDITS), *(("a header", way) for way in WAYS)]
)
def test_an_edited_header_is_another_kernel(quick, monkeypatch, tmp_path, edit, given):
    write(tmp_path / "b/top.cuh", "#include <deep>\n#include <deep.cuh>\n#define NUMBER 1 + DEEP\n")
    write(tmp_path / "b/deep.cuh", "#ifndef DEEP\n#define DEEP 11\n#endif\n")
    write(tmp_path / "b/deep", "")
    write(tmp_path / "a/other.cuh", "")
    folders = [str(tmp_path / name) for name in "ab"]
    options = [word for f in folders for word in (("-I", f) if given == "two words" else (given.format(f),))]
    if given == "CPATH":
        monkeypatch.setenv("CPATH", ":".join(folders))
        options = []
    first = quick(*options)
    assert "y[0] = 1 + 11;" in first
    assert quick(*options) == first
    write(tmp_path / EDITS[edit][0], EDITS[edit][1])
    assert "22;" in quick(*options)


def test_a_header_beside_the_caller_and_one_by_its_path(quick, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for code in (KERNEL, KERNEL.replace("top.cuh", f"{tmp_path}/top.cuh")):
        for number in (3, 4):
            write(tmp_path / "top.cuh", f"#define NUMBER {number}\n")
            assert f"y[0] = {number};" in quick(code=code)


def test_definitions_options_and_the_compiler_belong_to_the_key(quick, monkeypatch, tmp_path, folder):
    code = KERNEL.replace('#include "top.cuh"', "")
    for options in (("-DNUMBER=5",), ("-DNUMBER=6",), ("-D", "NUMBER=7"), ("--define-macro=NUMBER=8",)):
        quick(*options, code=code)
    assert len(list(folder.iterdir())) == 4
    newer = tmp_path / "newer"
    newer.write_text(QUICK_COMPILER.replace("g++ quick", "g++ newer"))
    newer.chmod(0o755)
    monkeypatch.setenv("CXX", str(newer))
    quick("-DNUMBER=5", code=code)
    monkeypatch.setattr("platform.machine", lambda: "another")
    quick("-DNUMBER=5", code=code)
    assert len(list(folder.iterdir())) == 6


ELSEWHERE = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\xf3\x00" + bytes(100)  # RISC-V's


@pytest.mark.parametrize(
    "damage", ["empty", "truncated", "longer", "garbage", "another architecture's", "one bit"]
)
def test_a_damaged_file_is_made_again(quick, folder, damage):
    whole = quick("-DNUMBER=9", code=(code := KERNEL.replace('#include "top.cuh"', "")))
    (path,) = folder.iterdir()
    was = path.read_bytes()
    path.write_bytes(
        {
            "empty": b"",
            "truncated": was[: len(was) // 2],
            "longer": was + b"\0",
            "garbage": b"garbage",
            "another architecture's": ELSEWHERE,
            "one bit": was[:50] + bytes([was[50] ^ 1]) + was[51:],
        }[damage]
    )
    assert quick("-DNUMBER=9", code=code) == whole
    assert [file.read_bytes() for file in folder.iterdir()] == [was]


def test_a_build_that_fails_leaves_nothing(quick, monkeypatch, tmp_path, folder):
    broken = tmp_path / "broken"
    broken.write_text(QUICK_COMPILER.replace('cat > "$2"', 'echo half > "$2"; exit 1'))
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    with pytest.raises(EmulatorError, match="does not compile"):
        quick("-DNUMBER=9", code=KERNEL.replace('#include "top.cuh"', ""))
    assert not list(folder.iterdir())


def test_the_new_header_runs_and_a_file_torn_while_it_is_in_use_harms_nobody(tmp_path, folder):
    """The whole way, with the real compiler."""
    y = np.zeros(1, np.int32)
    for number in (31, 32):
        write(tmp_path / "top.cuh", f"#define NUMBER {number}\n")
        kernel = RawModule(code=KERNEL, options=(f"-I{tmp_path}",)).get_function("number")
        kernel((1,), (1,), (y,))
        assert y[0] == number
    for path in folder.iterdir():
        os.truncate(path, 100)
    y[0] = 0
    kernel((1,), (1,), (y,))
    assert y[0] == 32


RUN = f"""
import numpy as np
from step03_gpu.emulator import RawModule
y = np.zeros(1, np.int32)
RawModule(code={KERNEL!r}, options=("-I.",)).get_function("number")((1,), (1,), (y,))
assert y[0] == 7, y
"""


@pytest.mark.proof
def test_processes_that_build_at_once_and_one_that_is_killed(tmp_path, folder):
    write(tmp_path / "top.cuh", "#define NUMBER 7\n")
    path = {"PYTHONPATH": os.pathsep.join(filter(None, map(os.path.abspath, sys.path)))}

    def start():
        return subprocess.Popen([sys.executable, "-c", RUN], cwd=tmp_path, env=os.environ | path)

    killed = start()
    while not (folder.exists() and any(file.name.startswith("building-") for file in folder.iterdir())):
        assert killed.poll() is None
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert [process.wait() for process in [start() for _ in range(3)]] == [0, 0, 0]
    assert sum(file.is_file() for file in folder.iterdir()) == 1


def test_what_two_processes_make_of_one_text_stays(folder):
    """Compilers write down where they ran; one process may be about to run what the other made as well."""
    cache_folder()
    paths = []
    for place in (b"made here", b"made there"):
        (building := folder / "building").mkdir(exist_ok=True)
        (building / "compiled.so").write_bytes(place)
        paths.append(keep("key", building / "compiled.so"))
    assert [path.read_bytes() for path in paths] == [b"made here", b"made there"]
    assert kept("key") in paths


def test_a_folder_of_our_own_whatever_the_umask(monkeypatch, tmp_path):
    monkeypatch.delenv(NAMED, raising=False)
    before = os.umask(0)
    try:
        for variable, place in (("HOME", ".cache"), ("XDG_CACHE_HOME", "")):
            monkeypatch.setenv(variable, str(tmp_path / variable))
            assert cache_folder() == tmp_path / variable / place / "attention-step-by-step" / "kernels"
            assert stat.S_IMODE(cache_folder().stat().st_mode) == 0o700
            if variable == "HOME":
                monkeypatch.setenv("XDG_CACHE_HOME", "")
    finally:
        os.umask(before)


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702, 0o1777])
def test_a_folder_that_others_may_write_to_is_not_used(folder, mode):
    folder.mkdir()
    folder.chmod(mode)
    with pytest.warns(RuntimeWarning, match=f"{folder} may be written to by others"):
        found = cache_folder()
    assert found != folder
    assert stat.S_IMODE(found.stat().st_mode) == 0o700
    folder.chmod(0o755)
    with warnings.catch_warnings(action="error"):
        assert cache_folder() == folder


def test_a_folder_of_somebody_else_is_not_used(folder, monkeypatch):
    folder.mkdir(mode=0o755)
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    with pytest.warns(RuntimeWarning, match=f"{folder} belongs to another user"):
        assert cache_folder() != folder


def test_what_cannot_be_loaded_is_an_error(quick):
    """As on a file system from which nothing may be run."""
    with pytest.raises(EmulatorError, match=r"cannot be loaded \(.*\); .* in ATTENTION_STEP_BY_STEP_CACHE"):
        RawModule(code=KERNEL.replace('#include "top.cuh"', "")).get_function("number")


def test_quick_compiler_is_no_other(quick):
    """The stand-in is asked what any compiler is asked."""
    assert compiler(os.environ["CXX"]) == (shutil.which(os.environ["CXX"]), "g++ quick\n")
