// A kernel as a program of its own, watched by AddressSanitizer: it reads a launch from one file and writes the
// arrays to another. AddressSanitizer cannot be loaded into a Python that runs already.
#pragma once
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdlib>

#include "launch.cuh"

namespace emulator {

// What a map begins with: its array, which lies elsewhere in this process.
struct Mapped {
    void* array;
    long long bytes;
};

// Say what an address lies in, or which array or variable ends or begins nearest to it.
inline void describe_address(const unsigned char* address) {
    long nearest = 4096;
    char text[300] = "a local variable, or nothing that the kernel was given";
    auto consider = [&](const void* memory, long bytes, const char* format, auto what) {
        long offset = address - static_cast<const unsigned char*>(memory);
        long distance = offset < 0 ? -offset : offset - bytes + 1;
        if (distance >= nearest) return;
        nearest = distance;
        int length = snprintf(text, sizeof text, "byte %ld of the %ld of ", offset, bytes);
        snprintf(text + length, sizeof text - length, format, what);
    };
    for (long i = 0; i < launch_now->n_arguments; i++) {
        const Argument& argument = launch_now->arguments[i];
        const auto* map = static_cast<const Mapped*>(argument.data);
        if (argument.kind == Kind::map) consider(map->array, map->bytes, "the array of argument %ld", i);
        else if (argument.kind != Kind::value && argument.data) consider(argument.data, argument.bytes, "argument %ld", i);
    }
    for (const SharedVariable* variable = shared_variables; variable; variable = variable->next)
        consider(variable->memory, variable->bytes, "__shared__ %s", variable->name);
    consider(dynamic_shared, launch_now->shared_bytes, "%s", "dynamic shared memory");
    fprintf(stderr, "%s\n", text);
}

inline void read(void* to, size_t bytes, FILE* file) {
    if (bytes && fread(to, bytes, 1, file) != 1) abort();
}

// End with the process that waits for the results: it may be killed.
inline pid_t parent;
inline void end_with_parent() {
    struct sigaction action = {};
    action.sa_handler = [](int) { if (getppid() != parent) _exit(4); };
    action.sa_flags = SA_RESTART | SA_ONSTACK;
    sigaction(SIGALRM, &action, nullptr);
    const itimerval often = {{0, 100000}, {0, 1000}};  // every 0.1 s
    setitimer(ITIMER_REAL, &often, nullptr);
}

inline void read_mapped(Mapped& map, FILE* input) {
    if (posix_memalign(&map.array, 256, map.bytes)) abort();
    read(map.array, map.bytes, input);
}

inline int run_program(const Entry* entries, const char* from, const char* to, const char* its_parent) {
    parent = atoi(its_parent);
    end_with_parent();
    FILE* input = fopen(from, "rb");
    Launch launch;
    long entry;
    read(&entry, sizeof entry, input);
    read(&launch, sizeof launch, input);
    launch.arguments = new Argument[launch.n_arguments];
    for (long i = 0; i < launch.n_arguments; i++) {
        Argument& argument = launch.arguments[i];
        read(&argument, sizeof argument, input);
        if (argument.data == nullptr) continue;
        void* memory = nullptr;
        if (posix_memalign(&memory, 256, argument.bytes)) abort();
        argument.data = memory;
        read(argument.data, argument.bytes, input);
        if (argument.kind == Kind::map) read_mapped(*static_cast<Mapped*>(argument.data), input);
    }
    forbid(dynamic_shared + launch.shared_bytes, MAX_DYNAMIC_SHARED - launch.shared_bytes);
    if (const char* fault = emulator::launch(entries[entry], launch)) {
        fprintf(stderr, "%s", fault);
        return 3;
    }
    FILE* output = fopen(to, "wb");
    for (long i = 0; i < launch.n_arguments; i++)
        if (launch.arguments[i].kind == Kind::array)
            fwrite(launch.arguments[i].data, launch.arguments[i].bytes, 1, output);
    return fclose(output);
}

}  // namespace emulator

// AddressSanitizer calls this before it prints its report.
extern "C" void __asan_on_error() {
    if (emulator::current == nullptr) return;
    char thread[300];
    emulator::describe(thread, sizeof thread, *emulator::current);
    fprintf(stderr, "THREAD %s\nACCESS ", thread);
    if (size_t bytes = __asan_get_report_access_size())
        fprintf(stderr, "%s %zu bytes out of bounds: ", __asan_get_report_access_type() ? "writes" : "reads", bytes);
    else
        fprintf(stderr, "uses an address that is none: ");
    emulator::describe_address(static_cast<const unsigned char*>(__asan_get_report_address()));
}
