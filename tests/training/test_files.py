"""Writers beside each other: whole files, nobody's file lost, and one training for one path."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from step01_numpy.common.support import files
from step01_numpy.common.support.files import check_writable, claim, write_atomically

ROOT = Path(__file__).parent.parent.parent
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals and forks are POSIX")
SCRIPT = "import os, signal, sys, time\nfrom step01_numpy.common.support.files import *\n"


def names(folder):
    return sorted(x.name for x in folder.iterdir())


def program(text, *arguments):
    """Start a Python that runs `text` after importing the functions of files.py."""
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT + text, *map(str, arguments)], stdout=subprocess.PIPE
    )


def killed_while_writing(path):
    with program(
        "os.fsync = lambda n: os.kill(os.getpid(), 9)\nwrite_atomically(sys.argv[1], b'new' * 99)", path
    ) as child:
        assert child.wait(20) == -9


@pytest.mark.parametrize("use", [check_writable, lambda path: write_atomically(path, b"new")])
@pytest.mark.parametrize("name", ["model.part", ".model.part", "model.tmp", ".model.lock", "model.lock"])
def test_files_of_others_are_left_alone(tmp_path, use, name):
    (tmp_path / name).write_bytes(b"mine")
    use(tmp_path / "model")
    assert (tmp_path / name).read_bytes() == b"mine"
    assert set(names(tmp_path)) - {"model"} == {name}


@pytest.mark.parametrize("use", [check_writable, lambda path: write_atomically(path, b"new")])
def test_who_is_stopped_while_a_part_is_made_leaves_none(tmp_path, monkeypatch, use):
    def made_and_stopped(path, mode):  # as a signal's handler is called: when the system's call returns
        open(path, mode).close()
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "open", made_and_stopped, raising=False)
    with pytest.raises(KeyboardInterrupt):
        use(tmp_path / "model")
    assert not names(tmp_path)


def test_writers_of_one_path_do_not_tear_it(tmp_path):
    path, wrong = tmp_path / "model", []
    path.write_bytes(b"0" * 99_999)

    def write(letter):
        for _ in range(40):
            write_atomically(path, letter * 99_999)

    def read():
        while any(x.is_alive() for x in writers):
            found = path.read_bytes()
            if len(found) != 99_999 or len(set(found)) != 1:
                wrong.append(found[:9])

    writers = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b", b"c")]
    reader = threading.Thread(target=read)
    for thread in (*writers, reader):
        thread.start()
    for thread in (*writers, reader):
        thread.join()
    assert not wrong
    assert names(tmp_path) == ["model"]


@POSIX
def test_what_a_killed_writer_left_goes_when_the_path_is_claimed(tmp_path):
    path = tmp_path / "model"
    killed_while_writing(path)
    (left,) = names(tmp_path)
    assert re.fullmatch(rf"\.model\.{re.escape(files._host())}\.\d+\.[0-9a-f]{{8}}\.part", left)
    write_atomically(path, b"new")  # which cannot know whether another still writes
    mine = [f"{left}.txt", left.replace(".model.", ".other."), ".model.part", left.replace(".part", "0.part")]
    mine.append(re.sub(r"\.\d+\.", f".{os.getpid()}.", left))  # this process is alive
    mine.append(left.replace(files._host(), files._host() + "2"))  # of another host nothing is known
    for name in mine:
        (tmp_path / name).write_bytes(b"mine")
    with claim(path):
        assert names(tmp_path) == sorted([*mine, "model", ".model.lock"])
    assert names(tmp_path) == sorted([*mine, "model"])


HOLD = "with claim(sys.argv[1]):\n print(flush=True)\n time.sleep(60)"


@POSIX
def test_a_claim_says_who_holds_it_and_ends_with_its_process(tmp_path):
    path, link = tmp_path / "model", tmp_path / "link"
    link.symlink_to(path)
    with program(HOLD, path) as child:
        child.stdout.readline()
        expected = rf"model is held by process {child.pid} on {re.escape(files._host())}, which trains there"
        for asked in (path, link):
            with pytest.raises(ValueError, match=expected), claim(asked):
                pytest.fail("two hold one path")
        assert (tmp_path / ".model.lock").exists()
        child.send_signal(signal.SIGKILL)
        child.wait(20)
    assert (tmp_path / ".model.lock").exists()  # stale
    with claim(path):
        pass
    assert not (tmp_path / ".model.lock").exists()


def test_a_claim_holds_within_a_process_too(tmp_path):
    with claim(tmp_path / "model"), claim(tmp_path / "other"):
        with (
            pytest.raises(ValueError, match=f"model is held by process {os.getpid()} on"),
            claim(tmp_path / "model"),
        ):
            pytest.fail("two hold one path")
        write_atomically(tmp_path / "model", b"new")
    with claim(tmp_path / "model"):
        pass
    assert names(tmp_path) == ["model"]


def test_a_claim_ends_with_an_error(tmp_path):
    with pytest.raises(KeyboardInterrupt), claim(tmp_path / "model"):
        raise KeyboardInterrupt
    assert names(tmp_path) == []


@pytest.mark.parametrize("content", [b"mine", b"process 1 on here\nand more"])
def test_a_file_in_the_place_of_the_lock_is_left_alone(tmp_path, content):
    (tmp_path / ".model.lock").write_bytes(content)
    with (
        pytest.raises(ValueError, match=r"\.model\.lock is no lock of this program"),
        claim(tmp_path / "model"),
    ):
        pytest.fail("a file of another was taken")
    assert (tmp_path / ".model.lock").read_bytes() == content


@POSIX
def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / ".model.lock").symlink_to(tmp_path / "empty")
    with pytest.raises(OSError, match="model"), claim(tmp_path / "model"):
        pytest.fail("a file of another was taken")
    assert names(tmp_path) == [".model.lock", "empty"]


def test_a_file_system_without_locks_is_told_of(tmp_path, monkeypatch):
    def fail(file):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(files, "_lock", fail)
    with pytest.warns(UserWarning, match="model cannot be locked"), claim(tmp_path / "model"):
        write_atomically(tmp_path / "model", b"new")
    assert names(tmp_path) == ["model"]


def test_a_lock_whose_holder_ends_meanwhile_is_asked_for_again(tmp_path, monkeypatch):
    lock, tried = files._lock, []

    def late(file):
        tried.append(file)
        if len(tried) == 1:
            (tmp_path / ".model.lock").unlink()  # the holder ended
        lock(file)

    monkeypatch.setattr(files, "_lock", late)
    with claim(tmp_path / "model"):
        assert len(tried) == 2
        assert (tmp_path / ".model.lock").exists()


@pytest.mark.parametrize("name", ["m" * 240, "é" * 120])
def test_long_names(tmp_path, name):
    with claim(tmp_path / name):
        write_atomically(tmp_path / name, b"new")
    assert names(tmp_path) == [name]


@POSIX
def test_links_that_go_round(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    for write in (check_writable, lambda path: write_atomically(path, b"")):
        with pytest.raises(ValueError, match="a is no regular file"):
            write(tmp_path / "a")


ELSEWHERE = {  # what is written otherwise, and where: a device, and folders that nobody else sees
    ("step03_gpu/devices/data_parallel.py", "open"),
    ("step03_gpu/emulator/program.py", "open"),
    ("step03_gpu/kernels/binary.py", "write_bytes"),
    ("step03_gpu/check/runner.py", "open"),
    ("step03_gpu/check/telling.py", "open"),
    ("step01_numpy/common/support/files.py", "open"),
}


WRITE = re.compile(
    r"""\b(write_text|write_bytes|savefig|save_file|tofile)\(|\b(open)\([^()\n]*["'][rbt]*[wxa+][rbt+]*["']"""
)


def test_every_writer_writes_whole_files():
    found = {
        (path.relative_to(ROOT).as_posix(), match[1] or match[2])
        for package in ("step01_numpy", "step02_torch", "step03_gpu")
        for path in (ROOT / package).rglob("*.py")
        for match in WRITE.finditer(path.read_text(encoding="utf-8"))
    }
    assert found == ELSEWHERE
