"""
Shut this process in, and become another program: a compiler, or what it has made of a student's kernel.

Started as `python -I -S native.py USER ROOM SETTINGS STEPS -- COMMAND …`; SETTINGS are limits and an
environment, as JSON has them. The grader is told what holds in a frame as `wire` writes it, without NumPy.
"""

# ruff: noqa: E402  (what is beside this file can be imported once the path is set)

import json
import os
import struct
import sys
import sysconfig
import time

BEGUN = time.monotonic()

sys.path.append(os.path.dirname(os.path.abspath(__file__)))

from confine import EXECUTE, READ_FILE, READ_FOLDER, change_user, landlock_version, limit, shut

WRITE_FILE, REMOVE_FILE, MAKE_FILE, TRUNCATE = 2, 32, 256, 16384
READ = READ_FILE | READ_FOLDER
WRITE = READ | WRITE_FILE | REMOVE_FILE | MAKE_FILE


def main():
    """Do what is asked, and become the command."""
    user, room, settings, *rest = sys.argv[1:]
    settings = json.loads(settings)
    steps, command = rest[: rest.index("--")], rest[rest.index("--") + 1 :]
    holds = shut_in(int(user), room, settings["limits"], steps, command[0])
    seconds = ["f", (time.monotonic() - BEGUN).hex()]
    said = {"kind": "ready", "holds": ["l", *holds], "seconds": seconds, "arrays": []}
    text = json.dumps(said).encode()
    os.write(1, struct.pack(">IQ", len(text), 0) + text)
    environment = {"PATH": os.defpath, "LANG": "C.UTF-8", "TMPDIR": f"{room}/made", **settings["environment"]}
    os.execve(command[0], command, environment)


def shut_in(user, room, limits, steps, program):
    """Shut this process in; return what was done, in words for the result."""
    landlocked = "Landlock" in steps and landlock_version() > 0
    holds = ["another user"] * (
        "another user" in steps and sys.platform == "linux" and change_user(user, landlocked)
    )
    holds += ["limits"] * ("limits" in steps and limit(**limits))
    return holds + ["Landlock"] * (landlocked and shut(reachable(room, program, landlock_version())))


def reachable(room, program, version):
    """Return what may be done where: libraries are read, the program is run, and its room is written to."""
    triplet = sysconfig.get_config_var("MULTIARCH") or ""
    names = [f"/lib/{triplet}", f"/usr/lib/{triplet}"] if triplet else ["/lib", "/usr/lib"]
    found = dict.fromkeys([*names, "/lib64", "/usr/lib64"], READ | EXECUTE)
    found |= dict.fromkeys(["/dev/null", "/dev/urandom", "/etc/ld.so.cache", "/proc/self/maps"], READ_FILE)
    if os.path.dirname(os.path.realpath(program)) == os.path.realpath(room):
        return found | {program: READ_FILE | EXECUTE}
    top = os.path.dirname(os.path.dirname(os.path.realpath(program)))  # of the compiler: /usr
    tools = ("bin", "lib/gcc", "lib/llvm", "libexec", "include")
    found |= {os.path.join(top, name): READ | EXECUTE for name in tools}
    write = WRITE | (TRUNCATE if version >= 3 else 0)
    return found | {os.path.join(room, "include"): READ, os.path.join(room, "made"): write}


main()
