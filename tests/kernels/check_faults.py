"""A device that fails in every way that a GPU has: what parts of the check run in place of measurements."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from step03_gpu.check.telling import Lost


def works(tell, text="fine"):
    tell.named("A card")
    tell.say(text)


def raises(tell):
    tell.say("before")
    raise AssertionError("no such thing\nat line 7")


def exhausts_memory(tell):
    raise MemoryError("wanted 3 TB")


def hangs(tell, note):
    """Never ends, and neither does a process that it has started."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(note).write_text(str(child.pid))
    tell.say("before")
    tell.at("rung 5")
    time.sleep(600)


def is_killed(tell, name):
    tell.say("before")
    tell.at("rung 4")
    os.kill(os.getpid(), getattr(signal, name))


def exits(tell):
    print("the driver's last words", flush=True)
    os._exit(7)


def loses_the_device(tell, without=()):
    """As an illegal access does: who comes after it in the same process fails as well."""
    if "rung 5" not in without:
        raise Lost("rung 5")
    tell.say(f"without {', '.join(without)}")


def fails_here_and_there(tell):
    tell.failed("rung 3: error 1e-1, allowed 1e-3")
    tell.say("the rest")
