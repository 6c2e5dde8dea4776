// The way from Python to a kernel: arguments by address, as the driver's cuLaunchKernel takes them.
#pragma once
#include <type_traits>
#include <utility>

#include "block.cuh"

namespace emulator {

enum class Kind : long { value, array, read_only_array, map };  // a map is a value that tells of an array

struct Argument {
    void* data;  // of an array its first element, of a value its bytes
    long bytes;
    Kind kind;
};

struct Launch {
    unsigned grid[3], block[3];
    long shared_bytes, most_shared, order, seed, n_arguments;
    Argument* arguments;
    char* stacks;             // of the threads of all kernels of the process; null: the first of them makes some
    long interrupts;          // how many times Ctrl-C has to be pressed
    long signal, stopped_at;  // the answer: what stopped it, at which instruction of the library; else 0
};

inline const Launch* launch_now;

template <typename P>
void check_argument(int i, const Argument& argument) {
    const char* problem = nullptr;
    constexpr bool pointer = std::is_pointer_v<P>;
    const bool value = argument.kind == Kind::value || argument.kind == Kind::map;
    if (pointer && value) problem = "is a value; the kernel takes a pointer";
    if (!pointer && !value) problem = "is an array; the kernel takes a value";
    if constexpr (pointer)
        if (argument.kind == Kind::read_only_array && !std::is_const_v<std::remove_pointer_t<P>>)
            problem = "is a read-only array; the kernel takes a pointer to what it may write";
    if (!pointer && !problem && argument.bytes != sizeof(P)) {
        snprintf(message, sizeof message, "%s: argument %d has %ld bytes; the kernel takes %zu", kernel_name, i,
                 argument.bytes, sizeof(P));
        throw Fault{};
    }
    if (!problem) return;
    snprintf(message, sizeof message, "%s: argument %d %s", kernel_name, i, problem);
    throw Fault{};
}

template <typename P>
P argument(const Argument& argument) {
    if constexpr (std::is_pointer_v<P>) return static_cast<P>(argument.data);
    else return *static_cast<const P*>(argument.data);
}

template <auto kernel, typename... P, size_t... I>
void prepare(void (*)(P...), std::index_sequence<I...>) {
    if (launch_now->n_arguments != sizeof...(P)) {
        snprintf(message, sizeof message, "%s: %ld arguments came; the kernel takes %zu", kernel_name,
                 launch_now->n_arguments, sizeof...(P));
        throw Fault{};
    }
    (check_argument<P>(I, launch_now->arguments[I]), ...);
    call_kernel = [] { kernel(argument<P>(launch_now->arguments[I])...); };
}

template <auto kernel, typename... P>
void prepare(void (*pointer)(P...)) {
    prepare<kernel>(pointer, std::index_sequence_for<P...>());
}

struct Entry {
    const char* name;
    void (*prepare)();
};

template <auto kernel>
void prepare() {
    prepare<kernel>(kernel);
}

inline void run_grid(Launch& launch) {
    if (launch.stacks == nullptr) launch.stacks = allocate_stacks(MAX_THREADS);
    stacks = launch.stacks;
    gridDim = {launch.grid[0], launch.grid[1], launch.grid[2]};
    blockDim = {launch.block[0], launch.block[1], launch.block[2]};
    most_shared = launch.most_shared;
    n_threads = blockDim.x * blockDim.y * blockDim.z;
    order = static_cast<Order>(launch.order);
    random_state = launch.seed;
    EMULATOR_COUNT(begin_counts();)
    for (blockIdx.z = 0; blockIdx.z < gridDim.z; blockIdx.z++)
        for (blockIdx.y = 0; blockIdx.y < gridDim.y; blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < gridDim.x; blockIdx.x++) run_block(launch.shared_bytes);
}

// Run one kernel. Returns the message of the fault, or null.
inline const char* launch(const Entry& entry, Launch& launch) {
    message[0] = 0;
    kernel_name = entry.name;
    launch_now = &launch;
    try {
        entry.prepare();
        run_grid(launch);
    } catch (Fault) {
        return message;
    } catch (const char* problem) {
        return problem;
    }
    return nullptr;
}

}  // namespace emulator

// Stands behind the text of the kernels, with those that are wanted by name.
#define EMULATOR_KERNEL(...) emulator::Entry{#__VA_ARGS__, emulator::prepare<__VA_ARGS__>},
#ifdef EMULATOR_CHECKED
#include "checked.cuh"
#define EMULATOR_KERNELS(...)                                          \
    static const emulator::Entry emulator_entries[] = {__VA_ARGS__};   \
    int main(int, char** files) { return emulator::run_program(emulator_entries, files[1], files[2], files[3]); }
#else
#include "stops.cuh"
#define EMULATOR_VISIBLE extern "C" __attribute__((visibility("default")))
#define EMULATOR_KERNELS(...)                                                                       \
    static const emulator::Entry emulator_entries[] = {__VA_ARGS__};                                \
    EMULATOR_VISIBLE const char* emulator_launch(int entry, emulator::Launch* launch) {             \
        return emulator::launch_guarded(emulator_entries[entry], *launch);                          \
    }                                                                                               \
    EMULATOR_VISIBLE void emulator_stop() { emulator::stop_launch(); }
#endif
#ifdef EMULATOR_COUNTS_ACCESSES
#include "accesses.cuh"
#endif
