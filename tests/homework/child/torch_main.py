"""
PyTorch is imported once, in a process that forks a child for each task and runs no student's code itself.

Started as `python -I -S -X utf8 torch_main.py NUMPY TORCH STEP …`: the folders of both, and what `confine`
takes. Where standard input is a socket, each message on it brings the three files of a child: what it is
asked, where it answers, where it prints. Where it is none, as on systems without forks, this process is the
child, and its user's number comes before the steps.
"""

import os
import signal
import socket
import stat
import sys
import time

sys.path.append(os.path.dirname(os.path.abspath(__file__)))

import main
import standins
from torch_packages import BESIDE, packages

SWEPT = b"swept"


def start(numpy: str, torch: str):
    """Import PyTorch, and make it ready for children; return how they answer a case."""
    sys.meta_path.append(standins.Packages(torch, *BESIDE))
    from torch_loading import TorchStarter, warm_up

    warm_up()
    return TorchStarter


def fork(control, user: int, files, run) -> None:
    """Fork a child whose standard files are those given, and say its number."""
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        control.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        for number, file in enumerate(files):
            os.dup2(file, number)
        for file in files:
            os.close(file)
        run(user, begun)
        os._exit(0)
    for file in files:
        os.close(file)
    control.send(str(child).encode())


def sweep() -> None:
    """Kill all that children have left, where this process has numbers of its own for processes."""
    while os.getpid() == 1:
        try:
            os.kill(-1, signal.SIGKILL)
        except ProcessLookupError:
            return
        time.sleep(0.001)


def serve(control, run) -> None:
    """Fork as often as is asked for."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    control.send(b"ready")
    while True:
        message, files, *_ = socket.recv_fds(control, 64, 3)
        if not message:
            return
        if files:
            fork(control, int(message), files, run)
        else:
            sweep()
            control.send(SWEPT)


def begin() -> None:
    """Serve, or be the one child."""
    numpy, torch, *steps = sys.argv[1:]
    kind, readable = start(numpy, torch), [*main.NUMPY, *packages(torch)]

    def run(user, begun):
        main.main(torch, user, steps, kind, readable, begun)

    if stat.S_ISSOCK(os.fstat(0).st_mode):
        serve(socket.socket(fileno=os.dup(0)), run)
    else:
        main.main(torch, int(steps.pop(0)), steps, kind, readable)


if __name__ == "__main__":
    begin()
