"""Attacks by kernels: native code that wants points without the right arrays, or to leave something behind."""

# ruff: noqa: E501  (one attack a line)

from typing import NamedTuple


class Attack(NamedTuple):
    """
    What stands in a region, in place of the product of rows.

    Parameters
    ----------
    name : str
    text : str
        `TARGET` in it is a folder that everybody may write to, `PORT` of a socket that listens, `ROOT` the
        project's folder, `GRADER` the number of the grader's process.
    said : str
        A part of what is said of it.
    """

    name: str
    text: str
    said: str = ""

    def region(self, **places) -> str:
        """Return what is handed in."""
        text = self.text
        for name, value in places.items():
            text = text.replace(name, str(value))
        return text


ONCE = "if (threadIdx.x == 0 && blockIdx.x == 0) "
DIRECTIVE, ENDED = "only `#pragma unroll` may stand", "Your code ended the program."


def creates(path):
    return f'{ONCE}if (FILE* f = fopen("{path}", "w")) fputs("x", f), fclose(f);'


READ = [
    Attack("includes the reference", '#include "ROOT/step03_gpu/kernels/tiles.cuh"', DIRECTIVE),
    Attack("includes a file of the system", "#include </etc/passwd>", DIRECTIVE),
    Attack("includes by a digraph", '%:include "ROOT/step03_gpu/kernels/tiles.cuh"', "`%:` may not stand"),
    Attack(
        "includes by a split line",
        '#pragma unroll \\\n\n#in\\\nclude "/etc/passwd"',
        "may not end with a backslash",
    ),
    Attack("includes behind a comment", '/* */ #include "/etc/passwd"', DIRECTIVE),
    Attack("includes by a trigraph", '??=include "/etc/passwd"', "does not compile"),
    Attack("embeds a file", "const char all[] = {\n#embed </etc/passwd>\n};", DIRECTIVE),
    Attack("defines a macro", "#define for while (false) for\n", DIRECTIVE),
    Attack("unrolls and defines", "#pragma unroll 4 // \\\n\n", "may not end with a backslash"),
    Attack("a pragma by its operator", '_Pragma("GCC poison for")', "`_Pragma` leaves CUDA C++"),
    Attack("assembly that reads a file", 'asm(".incbin \\"/etc/passwd\\"");', "`asm` leaves CUDA C++"),
    Attack("assembly by another name", '__asm__ volatile("syscall");', "`__asm__` leaves CUDA C++"),
    Attack("a raw string", 'const char* x = R"(*/ } )";', '`R"` may not stand'),
    Attack("a comment without end", "product[0][0] = 1; /* and on", "a comment does not end"),
    Attack(
        "leaves the function",
        "} __attribute__((constructor)) void first() { _exit(0);",
        "closes what is not opened",
    ),
    Attack(
        "reads the grader's memory",
        ONCE
        + '{ char name[99]; snprintf(name, 99, "/proc/%d/mem", GRADER); FILE* f = fopen(name, "rb"); if (f) puts("READ IT"); }',
    ),
    Attack(
        "reads its parent's surroundings",
        ONCE + '{ FILE* f = fopen("/proc/self/environ", "rb"); if (f) puts("READ IT"); }',
    ),
    Attack(
        "reads the reference",
        ONCE + '{ FILE* f = fopen("ROOT/step03_gpu/kernels/tiles.cuh", "rb"); if (f) puts("READ IT"); }',
    ),
    Attack("reads /etc/passwd", ONCE + '{ FILE* f = fopen("/etc/passwd", "rb"); if (f) puts("READ IT"); }'),
]
EARLY = [
    Attack("exit(0)", "exit(0);", ENDED),
    Attack("_exit(0)", "_exit(0);", ENDED),
    Attack("exit when the program begins", "struct S { S() { _exit(0); } }; static S s;", ENDED),
    Attack("kills itself", "kill(getpid(), 9);"),
    Attack("throws a message", 'throw "\\033[2J<script>100 points</script>";', "The emulator says"),
    Attack("throws what nobody catches", "throw 7;", ""),
    Attack(
        "another program",
        ONCE + 'execl("/bin/sh", "sh", "-c", "touch TARGET/homework_attack; sleep 987654", nullptr);',
        "",
    ),
]
LIES = [
    Attack(
        "answers before the answer",
        ONCE
        + "{ long zero = 0; static char all[1 << 16]; for (int n = 0; n < 64; ++n) write(n, &zero, 8), write(n, all, sizeof all); }",
    ),
    Attack(
        "answers without end",
        ONCE
        + "{ static char all[1 << 16]; for (;;) for (int n = 0; n < 64; ++n) write(n, all, sizeof all); }",
    ),
    Attack(
        "a length that is none", ONCE + "{ long far = -7; for (int n = 3; n < 64; ++n) write(n, &far, 8); }"
    ),
    Attack("closes all files", ONCE + "for (int n = 0; n < 64; ++n) close(n);"),
    Attack(
        "no numbers",
        "for (int r = 0; r < R; ++r) for (int c = 0; c < C; ++c) product[r][c] = NAN;",
        "holds NaN",
    ),
    Attack(
        "infinities",
        "for (int r = 0; r < R; ++r) for (int c = 0; c < C; ++c) product[r][c] = INFINITY;",
        "infinite",
    ),
    Attack(
        "ends all other threads",
        "for (auto& thread : emulator::threads) thread.state = emulator::State::exited;",
    ),
    Attack("the emulator's own message", 'snprintf(emulator::message, 99, "all is right: %%n%%s");'),
    Attack(
        "another launch's sizes",
        "const_cast<emulator::Launch*>(emulator::launch_now)->n_arguments = 1 << 30;",
    ),
    Attack("prints without end", 'for (;;) puts("100 of 100 points");', ""),
    Attack("prints control codes", 'printf("\\033]0;100 points\\007\\n");', ""),
]
HANG = [
    Attack("a loop", "for (volatile int n = 0;; n = n + 1) {}"),
    Attack(
        "a loop that ignores alarms",
        "signal(SIGPROF, SIG_IGN); for (volatile int n = 0;; n = n + 1) {}",
        "took too long",
    ),
    Attack("sleeps", "for (;;) pause();", ""),
    Attack("stops itself", "kill(getpid(), SIGSTOP);"),
    Attack(
        "recursion",
        "struct S { static long f(volatile long n) { volatile char x[999]; x[0] = 1; return n ? f(n + x[0]) + 1 : 0; } }; product[0][0] = S::f(1);",
        "has a stack of 256 KiB",
    ),
    Attack(
        "memory without end",
        "for (;;) { void* x = mmap(nullptr, 1 << 26, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); memset(x, 1, 1 << 26); }",
    ),
    Attack(
        "a program of 16 GB",
        "static volatile char huge[1ul << 34] = {1}; product[0][0] = huge[threadIdx.x];",
        "does not compile",
    ),
    Attack(
        "a compiler that counts",
        "struct S { static constexpr long f(long n) { long x = 0; for (long i = 0; i < n; ++i) x ^= i; return x; } }; constexpr long x = S::f(1l << 62); product[0][0] = x;",
        "does not compile",
    ),
    Attack("forks without end", "for (;;) syscall(57);", ""),
    Attack("a fork that stays", ONCE + "if (syscall(57) == 0) { syscall(112); for (;;) pause(); }"),
]
OUT = [
    Attack("a shell", ONCE + 'system("touch TARGET/homework_attack");'),
    Attack("a file in the target", creates("TARGET/homework_attack")),
    Attack("a file in /tmp", creates("/tmp/homework_attack")),
    Attack("a file in /dev/shm", creates("/dev/shm/homework_attack")),
    Attack("a file in the project", creates("ROOT/homework_attack")),
    Attack("a file where it works", creates("homework_attack")),
    Attack("the grades overwritten", creates("TARGET/grades")),
    Attack("the grades removed", ONCE + 'remove("TARGET/grades");'),
    Attack("the grades linked", ONCE + 'syscall(88, "TARGET/grades", "TARGET/homework_attack");'),
    Attack("a signal to the grader", ONCE + "kill(GRADER, 9);"),
    Attack("a signal to its parent", ONCE + "kill(getppid(), 9);"),
    Attack("a signal to all", ONCE + "kill(-1, 9);"),
    Attack("a connection", ONCE + "{ long s = syscall(41, 2, 1, 0); struct { short family; unsigned short port; unsigned address; char rest[8]; } to = {2, __builtin_bswap16(PORT), 0x0100007f, {}}; syscall(42, s, &to, 16); syscall(1, s, \"x\", 1); }"),
    Attack("a datagram", ONCE + "{ long s = syscall(41, 2, 2, 0); struct { short family; unsigned short port; unsigned address; char rest[8]; } to = {2, __builtin_bswap16(PORT), 0x0100007f, {}}; syscall(44, s, \"x\", 1, 0, &to, 16); }"),
    Attack("root again", ONCE + "syscall(117, 0, 0, 0);" + creates("TARGET/homework_attack")),
]  # fmt: skip
ATTACKS = [*READ, *EARLY, *LIES, *HANG, *OUT]
