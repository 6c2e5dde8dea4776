// What a kernel does, counted: see counts.py. Ordinary kernels are compiled without any of it.
//
// There are two ways to compile one for counting, since each needs other types. With EMULATOR_COUNTS_ACCESSES the
// compiler calls accesses.cuh at each read and write; with EMULATOR_COUNTS_ARITHMETIC `float` and `double` are types
// that count (counted.cuh).
#pragma once
#if defined(EMULATOR_COUNTS_ACCESSES) || defined(EMULATOR_COUNTS_ARITHMETIC)
#define EMULATOR_COUNTS 1
#define EMULATOR_COUNT(...) __VA_ARGS__
#else
#define EMULATOR_COUNT(...)
#endif

#ifdef EMULATOR_COUNTS
#include <cstdio>
#include <cstring>

namespace emulator {

// What is counted by its name: an instruction of a warp's, or a barrier of a block's.
struct Event {
    const char* name;
    unsigned long n;
};
inline Event events[64];

inline void count_event(const char* name, unsigned long n = 1) {
    for (Event& event : events) {
        if (event.name && strcmp(event.name, name)) continue;
        event.name = name;
        event.n += n;
        return;
    }
}

inline unsigned long flop, special;  // + - * / are one each, a fused multiply-add two; exp, log, sqrt are special

// While one of these lives nothing is counted: the emulator's own work, which is no kernel's.
inline int unwatched;
struct Unwatched {
    Unwatched() { unwatched++; }
    ~Unwatched() { unwatched--; }
};

#ifdef EMULATOR_COUNTS_ACCESSES
void begin_accesses();       // of a launch
void begin_turn();           // a thread goes on
void end_turns();            // all threads of a warp have stopped
void count_access(const void* address, size_t bytes, bool store, const void* site);
void count_shared_load(size_t bytes);
int print_accesses(char* text, size_t size);
#else
inline void begin_accesses() {}
inline void begin_turn() {}
inline void end_turns() {}
inline void count_access(const void*, size_t, bool, const void*) {}
inline void count_shared_load(size_t) {}
inline int print_accesses(char*, size_t) { return 0; }
#endif

inline void begin_counts() {
    memset(events, 0, sizeof events);
    flop = special = unwatched = 0;
    begin_accesses();
}

}  // namespace emulator

// The last launch's counts, a line each: its name, a blank, the number.
extern "C" __attribute__((visibility("default"))) const char* emulator_counts() {
    static char text[8192];
    int length = emulator::print_accesses(text, sizeof text);
    length += snprintf(text + length, sizeof text - length, "flop %lu\nspecial %lu\n", emulator::flop, emulator::special);
    for (const emulator::Event& event : emulator::events)
        if (event.name) length += snprintf(text + length, sizeof text - length, "%s %lu\n", event.name, event.n);
    return text;
}
#endif
