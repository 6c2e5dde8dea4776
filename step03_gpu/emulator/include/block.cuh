// A block of threads, played by one CPU thread.
//
// Every CUDA thread is a fiber. It runs until it has to wait, for its warp or for its block; then the scheduler gives
// the CPU to the next one. When all threads that a wait concerns have come, all of them may run again. If nobody can
// run and somebody waits, a GPU would hang or compute nonsense: that is reported, with the line in which it waits.
#pragma once
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <source_location>

#include "fibers.cuh"

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

inline uint3 threadIdx, blockIdx;  // the scheduler sets them whenever another thread goes on
inline dim3 blockDim, gridDim;
constexpr int warpSize = 32;

namespace emulator {

using Place = std::source_location;  // as a default argument: the line of the kernel that calls

constexpr int MAX_THREADS = 1024;
constexpr int MAX_DYNAMIC_SHARED = 227 * 1024;  // bytes that a block may have on sm_90

enum class State { ready, at_barrier, in_collective, exited };
enum class Order { forward, reverse, random };

struct alignas(16) Slot {
    unsigned char bytes[128];
};

struct Thread {
    Fiber fiber;
    uint3 index;
    State state;
    const char* call;  // what it waits in: "__syncthreads", "__shfl_sync"
    Place place;
    unsigned mask;   // of a warp's collective: the lanes that take part
    bool exited_ok;  // whether lanes that the mask names may have exited
    int predicate;   // what it brings to a barrier
    size_t bytes;    // what it brings to a collective, in its slot
    Slot slot;
};

inline Thread threads[MAX_THREADS];
inline int n_threads;
inline Thread* current;         // the thread that runs
inline Fiber scheduler;         // the stack that all of them return to
inline Slot exchanged[32];      // what the lanes of the running warp brought
inline unsigned exchanged_mask[32];  // and for each lane, whose slots its collective filled
inline int barrier_or, barrier_count, barrier_arrived;
inline unsigned long block_number;  // counts all blocks of all launches
inline Order order;
inline uint64_t random_state;
inline const char* kernel_name;
inline char message[1024];  // of the fault; empty: none
alignas(1024) inline unsigned char dynamic_shared[MAX_DYNAMIC_SHARED];

struct Fault {};

// ---- Faults ------------------------------------------------------------------------------------------------------

inline int describe(char* text, size_t size, const Thread& thread) {
    return snprintf(text, size, "%s, block (%u, %u, %u), thread (%u, %u, %u)", kernel_name, blockIdx.x, blockIdx.y,
                    blockIdx.z, thread.index.x, thread.index.y, thread.index.z);
}

__attribute__((format(printf, 3, 4))) inline void report(const Thread& thread, const Place& place,
                                                         const char* format, ...) {
    int length = describe(message, sizeof message, thread);
    length += snprintf(message + length, sizeof message - length, ", %s:%u: ", place.file_name(), place.line());
    va_list values;
    va_start(values, format);
    vsnprintf(message + length, sizeof message - length, format, values);
    va_end(values);
}

// Of the running thread: it never goes on.
#define EMULATOR_FAULT(place, ...)                                                     \
    do {                                                                               \
        emulator::report(*emulator::current, place, __VA_ARGS__);                      \
        emulator::switch_fiber(emulator::current->fiber, emulator::scheduler);         \
    } while (true)

inline const char* where(const Thread& thread) {
    static char text[300];
    if (thread.state == State::exited) return "has returned";
    snprintf(text, sizeof text, "waits in %s, %s:%u", thread.call, thread.place.file_name(), thread.place.line());
    return text;
}

// ---- Shared memory that nobody wrote ------------------------------------------------------------------------------

// A NaN as float64, float32, bfloat16 and float16 alike; conversions and arithmetic keep the three ones that its
// mantissa starts with, while the NaN that arithmetic makes itself starts with 1 0 0.
constexpr uint32_t POISON = 0x7FFE7FFE;

inline void poison(void* memory, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 4) memcpy(static_cast<char*>(memory) + i, &POISON, bytes - i < 4 ? bytes - i : 4);
}

// Stands behind each `__shared__` declaration: the first thread of a block that comes by poisons the variable.
inline void declare_shared(void* variable, size_t bytes, unsigned long& poisoned_in) {
    if (poisoned_in != block_number) poison(variable, bytes);
    poisoned_in = block_number;
}

// ---- Waiting -----------------------------------------------------------------------------------------------------

inline void wait(State state, const char* call, const Place& place) {
    current->state = state;
    current->call = call;
    current->place = place;
    switch_fiber(current->fiber, scheduler);
}

inline void barrier(const char* call, int predicate, const Place& place) {
    current->predicate = predicate;
    wait(State::at_barrier, call, place);
}

inline int lane_of(const Thread& thread) { return (&thread - threads) % warpSize; }

// What the lanes of a warp brought to a collective. Valid until this thread's next collective.
template <typename T>
struct Lanes {
    unsigned mask;  // the lanes that brought something
    const T& operator[](int lane) const { return *reinterpret_cast<const T*>(exchanged[lane].bytes); }
    bool has(int lane) const { return lane >= 0 && lane < 32 && (mask >> lane & 1); }
};

// The one primitive under all warp functions: wait for the lanes of `mask`, see what each of them brought.
template <typename T>
Lanes<T> warp_exchange(const T& value, unsigned mask = 0xFFFFFFFF, const char* call = "warp_exchange",
                       bool exited_ok = false, const Place& place = Place::current()) {
    static_assert(sizeof(T) <= sizeof(Slot), "a lane brings 128 bytes at most to an exchange");
    if (!(mask >> lane_of(*current) & 1))
        EMULATOR_FAULT(place, "%s: mask 0x%08x does not name the calling lane, %d", call, mask, lane_of(*current));
    current->mask = mask;
    current->exited_ok = exited_ok;
    current->bytes = sizeof(T);
    memcpy(current->slot.bytes, &value, sizeof(T));
    wait(State::in_collective, call, place);
    return {exchanged_mask[lane_of(*current)]};
}

// ---- The scheduler -----------------------------------------------------------------------------------------------

// The i-th of n in the chosen order; a random order is a random start and step, n being a power of two or step 1.
struct Sequence {
    int n, start, step;
    explicit Sequence(int n) : n(n), start(0), step(1) {
        if (order == Order::reverse) start = n - 1, step = n - 1;
        if (order != Order::random) return;
        random_state = random_state * 6364136223846793005u + 1442695040888963407u;
        start = (random_state >> 33) % n;
        step = (n & (n - 1)) == 0 ? (random_state >> 40) | 1 : (random_state >> 40 & 1 ? 1 : n - 1);
    }
    int operator[](int i) const { return (start + static_cast<long>(i) * step) % n; }
};

inline void resume(Thread& thread) {
    current = &thread;
    threadIdx = thread.index;
    switch_fiber(scheduler, thread.fiber);
    if (message[0]) throw Fault{};
}

// Whether all lanes that the mask of `thread` names wait in the same call; if not, `missing` is one that does not.
inline bool complete(Thread* warp, int lanes, const Thread& thread, const Thread*& missing) {
    for (int lane = 0; lane < lanes; lane++) {
        const Thread& other = warp[lane];
        if (!(thread.mask >> lane & 1) || (other.state == State::exited && thread.exited_ok)) continue;
        if (other.state == State::in_collective && other.mask == thread.mask && !strcmp(other.call, thread.call)) continue;
        missing = &other;
        return false;
    }
    return true;
}

// Let the lanes go whose collective is complete. Returns whether there were any.
inline bool release_collectives(Thread* warp, int lanes) {
    const Thread *stuck = nullptr, *missing = nullptr;
    bool released = false;
    for (int first = 0; first < lanes; first++) {
        if (warp[first].state != State::in_collective) continue;
        if (!complete(warp, lanes, warp[first], missing)) {
            stuck = &warp[first];
            continue;
        }
        unsigned mask = 0;
        for (int lane = first; lane < lanes; lane++) {
            Thread& thread = warp[lane];
            if (!(warp[first].mask >> lane & 1) || thread.state == State::exited) continue;
            memcpy(exchanged[lane].bytes, thread.slot.bytes, thread.bytes);
            thread.state = State::ready;
            mask |= 1u << lane;
        }
        for (int lane = first; lane < lanes; lane++)
            if (mask >> lane & 1) exchanged_mask[lane] = mask;
        released = true;
    }
    if (released || !stuck) return released;
    report(*stuck, stuck->place, "%s with mask 0x%08x waits for lane %d for ever: that lane %s", stuck->call,
           stuck->mask, lane_of(*missing), where(*missing));
    throw Fault{};
}

// Run one warp until each of its threads has returned or waits for the block.
inline void run_warp(Thread* warp, int lanes) {
    do {
        Sequence lane(lanes);
        for (int i = 0; i < lanes; i++)
            if (warp[lane[i]].state == State::ready) resume(warp[lane[i]]);
    } while (release_collectives(warp, lanes));
}

// All warps have stopped: let those at the barrier go. Exited threads do not count, as on sm_70 and later.
inline bool release_barrier() {
    const Thread* first = nullptr;
    barrier_or = barrier_count = barrier_arrived = 0;
    for (Thread* thread = threads; thread < threads + n_threads; thread++) {
        if (thread->state == State::exited) continue;
        if (!first) first = thread;
        if (strcmp(thread->call, first->call) || thread->place.line() != first->place.line() ||
            strcmp(thread->place.file_name(), first->place.file_name())) {
            report(*first, first->place, "the barrier %s is divergent: thread (%u, %u, %u) %s", first->call,
                   thread->index.x, thread->index.y, thread->index.z, where(*thread));
            throw Fault{};
        }
        barrier_arrived++;
        barrier_count += thread->predicate != 0;
        thread->state = State::ready;
    }
    return first != nullptr;
}

inline void (*call_kernel)();  // calls the kernel with the launch's arguments

inline void thread_main() {
    arrived_first(scheduler);
    call_kernel();
    current->state = State::exited;
    switch_fiber(current->fiber, scheduler);
}

inline void run_block(size_t shared_bytes) {
    block_number++;
    poison(dynamic_shared, shared_bytes);
    for (int i = 0; i < n_threads; i++) {
        threads[i].state = State::ready;
        threads[i].index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / (blockDim.x * blockDim.y)};
        start(threads[i].fiber, thread_main);
    }
    int n_warps = (n_threads + warpSize - 1) / warpSize;
    do {
        Sequence warp(n_warps);
        for (int i = 0; i < n_warps; i++) {
            int first = warp[i] * warpSize;
            run_warp(threads + first, n_threads - first < warpSize ? n_threads - first : warpSize);
        }
    } while (release_barrier());
}

}  // namespace emulator
