"""
The child shuts itself in: limits, another user, no new rights, and Landlock where the kernel has it.

Each step is taken where the platform allows it; the grader is told what holds, and says it in the result.
"""

import ctypes
import os
import struct
import sys
import sysconfig

MEMORY, FILE_SIZE, FILES, SECONDS = 2**31, 2**16, 64, 120  # bytes, bytes, open files, s of processor
NUMPY = ("numpy", "numpy.libs")
STEPS = ("another user", "limits", "Landlock")
SET_KEEPCAPS, SET_DUMPABLE, SET_NO_NEW_PRIVS = 8, 4, 38  # prctl
CAPABILITIES, READ_ANY = 0x20080522, 1 << 2  # capset's version 3; CAP_DAC_READ_SEARCH
RULESET, ADD_RULE, RESTRICT = 444, 445, 446  # the three system calls of Landlock
EXECUTE, READ_FILE, READ_FOLDER = 1, 4, 8
ACCESSES = {1: 13, 2: 14, 3: 15, 4: 15}  # how many kinds of access to files an ABI knows; 16 from 5 on
BY_PATH = 1


def confine(folder: str, user: int, steps, packages=NUMPY) -> list[str]:
    """
    Shut this process in.

    Parameters
    ----------
    folder : str
        Where the packages lie.
    user : int
        The number of a user that nobody else is.
    steps : iterable of str
        What is tried: some of STEPS.
    packages : iterable of str
        The names in that folder of what may be read: NumPy, and what a stage needs besides.

    Returns
    -------
    holds : list of str
        What was done, in words for the result.
    """
    linux = sys.platform == "linux"
    landlocked = "Landlock" in steps and landlock_version() > 0
    holds = ["another user"] * ("another user" in steps and linux and change_user(user, landlocked))
    holds += ["limits"] * ("limits" in steps and limit())
    return holds + ["Landlock"] * (landlocked and shut(readable(folder, packages)))


def limit(**others) -> bool:
    """Limit memory, processes, files and time, where the platform has limits; None leaves one as it is."""
    try:
        import resource
    except ImportError:  # Windows
        return False
    limits = {"CPU": SECONDS, "FSIZE": FILE_SIZE, "NOFILE": FILES, "CORE": 0, "NPROC": 0}
    if sys.platform == "linux":  # elsewhere it fails, or does nothing
        limits["AS"] = MEMORY
    for name, most in {**limits, **others}.items():
        kind = getattr(resource, f"RLIMIT_{name}", None)
        if kind is not None and most is not None:
            hard = resource.getrlimit(kind)[1]
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(kind, (most, most))
    return True


def change_user(user: int, landlocked: bool) -> bool:
    """
    As root become a user that nobody is, with a number of one's own.

    Python may lie where only root can read: under Landlock, which says what may be read, the right to read
    any file is kept; without it the user changes only where Python can still be read.
    """
    if os.geteuid() != 0:
        return False
    if not landlocked and not everybody_reads(os.path.dirname(os.__file__)):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        if landlocked:
            libc.prctl(SET_KEEPCAPS, 1, 0, 0, 0)
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    except (OSError, ValueError):
        return False
    if landlocked:
        header, kept = struct.pack("Ii", CAPABILITIES, 0), struct.pack("6I", READ_ANY, READ_ANY, 0, 0, 0, 0)
        libc.capset(header, kept)
    return True


def everybody_reads(path: str) -> bool:
    """Tell whether every folder on the way may be entered by all."""
    while path != os.path.dirname(path):
        if not os.stat(path).st_mode & 1:
            return False
        path = os.path.dirname(path)
    return True


def landlock_version() -> int:
    """Return which Landlock the kernel has; 0 for none."""
    if sys.platform != "linux":
        return 0
    return max(0, ctypes.CDLL(None, use_errno=True).syscall(RULESET, None, 0, 1))


def readable(folder: str, packages=NUMPY) -> list[str]:
    """Return what may be read: Python without what is installed in it, the packages, the libraries."""
    found = [os.path.join(folder, name) for name in packages]
    found += [os.path.dirname(os.path.abspath(__file__)), "/dev/null", "/dev/urandom"]
    for name in {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}:
        packages = ("site-packages", "dist-packages")
        found += [os.path.join(name, x) for x in os.listdir(name) if x not in packages]
    triplet = sysconfig.get_config_var("MULTIARCH") or ""
    libraries = ["/lib64", f"/lib/{triplet}", f"/usr/lib/{triplet}"] if triplet else ["/lib64", "/usr/lib64"]
    return found + libraries


def shut(paths) -> bool:
    """Let this process and its children read these paths, or do more by a dict, and touch nothing else."""
    libc, version = ctypes.CDLL(None, use_errno=True), landlock_version()
    files = 2 ** ACCESSES.get(version, 16) - 1
    handled = struct.pack("QQQ", files, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    rules = libc.syscall(RULESET, handled, ctypes.c_size_t(size), 0)
    if rules < 0:
        return False
    for path in paths:
        allow(libc, rules, path, paths[path] if isinstance(paths, dict) else READ_FILE | READ_FOLDER)
    libc.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    done = libc.syscall(RESTRICT, rules, 0) == 0
    os.close(rules)
    return done


def allow(libc, rules: int, path: str, access: int) -> None:
    """Add what may be done with a path; of a file that is no folder, what can be done with files."""
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    access &= ~0 if os.path.isdir(path) else ~READ_FOLDER
    libc.syscall(ADD_RULE, rules, BY_PATH, struct.pack("=Qi", access, opened), 0)
    os.close(opened)
