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

#include "counts.cuh"
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
constexpr size_t MAX_STATIC_SHARED = 48 * 1024;

enum class State { ready, at_barrier, in_collective, waiting, exited };
enum class Order { forward, reverse, random };

struct alignas(16) Slot {
    unsigned char bytes[128];
};

struct Thread {
    Fiber fiber;
    uint3 index;
    int lane;
    State state;
    const char* call;  // what it waits in: "__syncthreads", "__shfl_sync"
    const void* awaited;  // state `waiting`: what makes it ready again
    Place place;
    unsigned mask;   // of a warp's collective: the lanes that take part
    bool exited_ok;  // whether lanes that the mask names may have exited
    int predicate;   // what it brings to a barrier
    int turn;        // which of its two slots it brought something in last
};

inline Thread threads[MAX_THREADS];
inline char* stacks;  // of all of them
inline int n_threads;
inline Thread* current;         // the thread that runs
inline Fiber scheduler;         // the stack that all of them return to
inline Thread* turns[33];       // the threads of the running warp that are about to run, then null
inline Thread** turn;
inline Slot slots[32][2];          // what each lane of the running warp brings to a collective, in turns: the others
                                   // may still read the last one
inline const Slot* exchanged[32];  // what each brought to the last one that is complete
inline int barrier_or, barrier_count, barrier_arrived;
inline unsigned long barriers_passed;  // by blocks, in all
inline unsigned long block_number;  // counts all blocks of all launches
inline size_t static_shared, dynamic_bytes, most_shared;  // what a block has, and may have of both together
inline Order order;
inline uint64_t random_state;
inline const char* kernel_name;
inline char message[1024];  // of the fault; empty: none
alignas(1024) inline unsigned char dynamic_memory[MAX_DYNAMIC_SHARED + 1024];
inline unsigned char* const dynamic_shared = dynamic_memory + EMULATOR_ALIGNMENT % 1024;  // aligned no further

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

// A variable in static shared memory: `__shared__ T x[N];` becomes one of these, and `x` a reference to it. Around it
// lies memory that a checked kernel may not touch.
struct SharedVariable {
    const char* name = nullptr;
    const unsigned char* memory;
    size_t bytes;
    SharedVariable* next;
    unsigned long poisoned_in;
};

inline SharedVariable* shared_variables;  // all that were declared so far

// A GPU's compiler adds up what a kernel declares; here it counts where a block comes by.
inline void count_shared(const SharedVariable& variable, const Place& place) {
    static_shared += variable.bytes;
    if (static_shared > MAX_STATIC_SHARED)
        EMULATOR_FAULT(place, "with __shared__ %s the block's variables take %zu bytes; %zu are allowed, and more "
                       "as dynamic shared memory", variable.name, static_shared, MAX_STATIC_SHARED);
    if (static_shared + dynamic_bytes > most_shared)
        EMULATOR_FAULT(place, "with __shared__ %s the block's variables take %zu bytes, beside %zu of dynamic shared "
                       "memory; %zu are allowed", variable.name, static_shared, dynamic_bytes, most_shared);
}

template <typename V>
struct Shared : SharedVariable {
    alignas(128) unsigned char before[256];
    unsigned char value[sizeof(V)];
    unsigned char behind[1024 + (256 - sizeof(V) % 256)];

    // The first thread of a block that comes by the declaration poisons the variable.
    V& of_this_block(const char* its_name, const Place& place = Place::current()) {
        if (poisoned_in != block_number) begin(its_name, place);
        return reinterpret_cast<V&>(value);
    }
    void begin(const char* its_name, const Place& place) {
        poisoned_in = block_number;
        if (!name) declare(its_name);
        count_shared(*this, place);
        poison(value, sizeof(V));
    }
    void declare(const char* its_name) {
        name = its_name, memory = value, bytes = sizeof(V), next = shared_variables;
        shared_variables = this;
        forbid(before, sizeof before);
        forbid(behind, sizeof behind);
    }
};

// ---- Waiting -----------------------------------------------------------------------------------------------------

// Hand the CPU to the next thread of the warp, or after the last one back to the scheduler.
inline void next_thread() {
    Fiber& from = current->fiber;
    current = *++turn;
    if (current) threadIdx = current->index;
    EMULATOR_COUNT(begin_turn();)
    switch_fiber(from, current ? current->fiber : scheduler);
}

inline void wait(State state, const char* call, const Place& place) {
    current->state = state;
    current->call = call;
    current->place = place;
    next_thread();
}

inline void barrier(const char* call, int predicate, const Place& place) {
    current->predicate = predicate;
    wait(State::at_barrier, call, place);
}

// What the lanes of a warp brought to a collective. Valid until this thread waits again.
template <typename T>
struct Lanes {
    unsigned mask;  // the lanes that brought something
    const T& operator[](int lane) const { return *reinterpret_cast<const T*>(exchanged[lane]->bytes); }
    bool has(int lane) const { return lane >= 0 && lane < 32 && (mask >> lane & 1); }
};

// The one primitive under all warp functions: wait for the lanes of `mask`, see what each of them brought.
template <typename T>
Lanes<T> warp_exchange(const T& value, unsigned mask = 0xFFFFFFFF, const char* call = "warp_exchange",
                       bool exited_ok = false, const Place& place = Place::current()) {
    static_assert(sizeof(T) <= sizeof(Slot), "a lane brings 128 bytes at most to an exchange");
    if (!(mask >> current->lane & 1))
        EMULATOR_FAULT(place, "%s: mask 0x%08x does not name the calling lane, %d", call, mask, current->lane);
    current->mask = mask;
    current->exited_ok = exited_ok;
    current->turn ^= 1;
    memcpy(slots[current->lane][current->turn].bytes, &value, sizeof(T));
    wait(State::in_collective, call, place);
    return {current->mask};
}

// ---- The scheduler -----------------------------------------------------------------------------------------------

// Calls visit(0) ... visit(n - 1) in the chosen order. Inlined, since it comes by each lane at each collective.
template <typename Visit>
__attribute__((always_inline)) inline void in_order(int n, Visit visit) {
    int at = 0, step = 1;  // a step that shares no divisor with n comes by everywhere
    if (order == Order::reverse) at = step = n - 1;
    if (order == Order::random) {
        random_state = random_state * 6364136223846793005u + 1442695040888963407u;
        at = (random_state >> 33) % n;
        step = (n & (n - 1)) == 0 ? (random_state >> 40) % n | 1 : random_state >> 40 & 1 ? 1 : n - 1;
    }
    for (int i = 0; i < n; i++) {
        visit(at);
        at += step;
        if (at >= n) at -= n;
    }
}

inline bool same(const char* a, const char* b) { return a == b || strcmp(a, b) == 0; }

// The lanes that take part in the collective of `thread`: those that its mask names. None if one of them does not wait
// in the same call; then it is `missing`.
inline unsigned complete(Thread* warp, int lanes, const Thread& thread, const Thread*& missing) {
    unsigned mask = 0;
    for (int lane = 0; lane < lanes; lane++) {
        const Thread& other = warp[lane];
        if (other.state == State::in_collective && other.mask == thread.mask && same(other.call, thread.call)) {
            mask |= 1u << lane;
        } else if (thread.mask >> lane & 1 && !(other.state == State::exited && thread.exited_ok)) {
            missing = &other;
            return 0;
        }
    }
    return mask;
}

// Let the lanes go whose collective is complete. Returns whether there were any.
inline bool release_collectives(Thread* warp, int lanes) {
    const Thread *stuck = nullptr, *missing = nullptr;
    bool released = false;
    for (int first = 0; first < lanes; first++) {
        if (warp[first].state != State::in_collective) continue;
        unsigned mask = complete(warp, lanes, warp[first], missing);
        if (!mask) stuck = &warp[first];
        EMULATOR_COUNT(if (mask) count_event(warp[first].call);)
        for (int lane = first; lane < lanes; lane++) {
            if (!(mask >> lane & 1)) continue;
            exchanged[lane] = &slots[lane][warp[lane].turn];
            warp[lane].state = State::ready;
            warp[lane].mask = mask;
            released = true;
        }
    }
    if (released || !stuck || missing->state == State::waiting || missing->state == State::ready) return released;
    report(*stuck, stuck->place, "%s with mask 0x%08x waits for lane %d for ever: that lane %s", stuck->call,
           stuck->mask, missing->lane, where(*missing));
    throw Fault{};
}

// Run the threads that are in `turns`, each until it waits or returns; they hand the CPU on themselves.
inline void run_turns() {
    turn = turns;
    current = *turn;
    if (!current) return;
    threadIdx = current->index;
    EMULATOR_COUNT(begin_turn();)
    switch_fiber(scheduler, current->fiber);
    EMULATOR_COUNT(end_turns();)
    if (message[0]) throw Fault{};
}

// Run one warp until each of its threads has returned or waits for the block.
inline void run_warp(Thread* warp, int lanes) {
    do {
        Thread** end = turns;
        in_order(lanes, [&](int lane) {
            if (warp[lane].state == State::ready) *end++ = &warp[lane];
        });
        *end = nullptr;
        run_turns();
    } while (release_collectives(warp, lanes));
}

// All warps have stopped: let those at the barrier go. Exited threads do not count, as on sm_70 and later.
inline bool release_barrier() {
    const Thread* first = nullptr;
    barrier_or = barrier_count = barrier_arrived = 0;
    for (Thread* thread = threads; thread < threads + n_threads; thread++) {
        if (thread->state == State::exited) continue;
        if (!first) first = thread;
        if (!same(thread->call, first->call) || thread->place.line() != first->place.line() ||
            !same(thread->place.file_name(), first->place.file_name())) {
            report(*first, first->place, "the barrier %s is divergent: thread (%u, %u, %u) %s", first->call,
                   thread->index.x, thread->index.y, thread->index.z, where(*thread));
            throw Fault{};
        }
        barrier_arrived++;
        barrier_count += thread->predicate != 0;
        thread->state = State::ready;
    }
    barriers_passed++;
    EMULATOR_COUNT(if (first) count_event(first->call);)
    return first != nullptr;
}

inline bool any_ready() {
    for (const Thread* thread = threads; thread < threads + n_threads; thread++)
        if (thread->state == State::ready) return true;
    return false;
}

inline void (*call_kernel)();  // calls the kernel with the launch's arguments

// Where threads wait for more than for each other, other headers say what happens: when nobody can go on (whether
// somebody can then), and when a block has ended.
inline bool (*arrive_late)() = [] { return false; };
inline void (*block_ended)() = [] {};

inline void thread_main() {
    arrived(scheduler);
    call_kernel();
    current->state = State::exited;
    next_thread();
}

inline void run_block(size_t shared_bytes) {
    block_number++;
    static_shared = 0;
    dynamic_bytes = shared_bytes;
    poison(dynamic_shared, shared_bytes);
    for (int i = 0; i < n_threads; i++) {
        threads[i].state = State::ready;
        threads[i].place = Place();
        threads[i].lane = i % warpSize;
        threads[i].index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / (blockDim.x * blockDim.y)};
        if (threads[i].fiber.stack == nullptr) take_stack(threads[i].fiber, stacks, i);
        start(threads[i].fiber, thread_main);
    }
    int n_warps = (n_threads + warpSize - 1) / warpSize;
    do {
        in_order(n_warps, [](int warp) {
            int first = warp * warpSize;
            run_warp(threads + first, n_threads - first < warpSize ? n_threads - first : warpSize);
        });
    } while (any_ready() || arrive_late() || release_barrier());
    block_ended();
}

}  // namespace emulator
