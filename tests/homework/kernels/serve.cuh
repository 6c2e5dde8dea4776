// Stands behind the text of a task's kernels: a program that launches them as often as it is asked.
//
// A launch and its arrays come through standard input; a message, empty where all went well, and the arrays go back.
// AddressSanitizer watches. A launch that takes too much of the processor is stopped by an alarm, and so is the program.
#pragma once
#include <unistd.h>

#include <string>
#include <vector>

namespace emulator {

struct Asked {
    long entry;
    unsigned grid[3], block[3];
    long shared_bytes, most_shared, order, seed, milliseconds, n_arguments;
};

extern "C" char __executable_start;  // where the program lies, by the linker

inline void set_alarm(long milliseconds) {
    itimerval once = {{0, 0}, {milliseconds / 1000, milliseconds % 1000 * 1000}};
    setitimer(ITIMER_PROF, &once, nullptr);
}

// Say which thread runs, and at which instruction of the program; between two threads, ask again.
inline void too_late(int, siginfo_t*, void* context) {
    if (current == nullptr) return set_alarm(1);
    char thread[300];
    describe(thread, sizeof thread, *current);
    long at = 0;
#if defined(__x86_64__)
    at = static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP] - reinterpret_cast<long>(&__executable_start);
#elif defined(__aarch64__)
    at = static_cast<ucontext_t*>(context)->uc_mcontext.pc - reinterpret_cast<long>(&__executable_start);
#endif
    dprintf(2, "THREAD %s\nLATE (program+0x%lx)\n", thread, at);
    _exit(5);
}

inline void take(FILE* from, void* to, size_t bytes) {
    if (bytes && fread(to, bytes, 1, from) != 1) _exit(0);
}

inline void give(FILE* to, const void* from, size_t bytes) {
    if (bytes) fwrite(from, bytes, 1, to);
}

// The arrays of a launch, each with memory around it that nobody may touch.
struct Arguments {
    std::vector<Argument> all;
    void read(FILE* input, long n) {
        for (long i = 0; i < n; i++) {
            Argument argument = {nullptr, 0, Kind::array};
            take(input, &argument.bytes, sizeof(long));
            take(input, &argument.kind, sizeof(long));
            if (argument.bytes >= 0) {
                if (posix_memalign(&argument.data, 256, argument.bytes)) _exit(4);
                take(input, argument.data, argument.bytes);
            }
            all.push_back(argument);
        }
    }
    void write(FILE* output) {
        for (Argument& argument : all)
            if (argument.kind == Kind::array && argument.data) give(output, argument.data, argument.bytes);
    }
    ~Arguments() {
        for (Argument& argument : all) free(argument.data);
    }
};

inline void answer(const Entry* entries, FILE* input, FILE* output) {
    Asked asked;
    take(input, &asked, sizeof asked);
    Arguments arguments;
    arguments.read(input, asked.n_arguments);
    Launch given = {};
    memcpy(given.grid, asked.grid, sizeof given.grid);
    memcpy(given.block, asked.block, sizeof given.block);
    given.shared_bytes = asked.shared_bytes, given.most_shared = asked.most_shared;
    given.order = asked.order, given.seed = asked.seed;
    given.n_arguments = asked.n_arguments, given.arguments = arguments.all.data();
    allow(dynamic_shared, MAX_DYNAMIC_SHARED);
    forbid(dynamic_shared + asked.shared_bytes, MAX_DYNAMIC_SHARED - asked.shared_bytes);
    current = nullptr;
    set_alarm(asked.milliseconds);
    const char* fault = launch(entries[asked.entry], given);
    set_alarm(0);
    if (fault)  // the threads' stacks hold what they were left with
        for (Thread& thread : threads)
            if (thread.fiber.stack) allow(thread.fiber.stack, STACK_BYTES);
    long length = fault ? strlen(fault) : 0;
    give(output, &length, sizeof length);
    give(output, fault, length);
    if (!fault) arguments.write(output);
    fflush(output);
}

// What a kernel prints goes where the program's errors go: the answers have a way of their own.
inline int serve(const Entry* entries) {
    FILE *input = fdopen(dup(0), "rb"), *output = fdopen(dup(1), "wb");
    dup2(2, 1);
    close(0);
    setvbuf(stdout, nullptr, _IONBF, 0);
    struct sigaction action = {};
    action.sa_sigaction = too_late;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGPROF, &action, nullptr);
    for (;;) answer(entries, input, output);
}

}  // namespace emulator
