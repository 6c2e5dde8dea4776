// What a kernel sees: the part of CUDA C++ that the kernels of this project need, played on the CPU.
#pragma once
#include <signal.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "block.cuh"
#include "half.cuh"
#include "launch.cuh"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __grid_constant__
// `__shared__ float x[32];` arrives as `typedef float x_type[32]; EMULATOR_SHARED(x)`: see compiler.py.
#define EMULATOR_SHARED(name)                                                                      \
    static_assert(sizeof(name##_type) <= emulator::MAX_STATIC_SHARED,                              \
                  "__shared__ " #name " is larger than 48 KiB, a block's static shared memory");   \
    static emulator::Shared<name##_type> name##_memory;                                            \
    name##_type& name = name##_memory.of_this_block(#name);

// ---- Vectors -----------------------------------------------------------------------------------------------------

#define EMULATOR_VECTORS(T, prefix, align)                                               \
    struct __align__(2 * align) prefix##2 { T x, y; };                                   \
    struct prefix##3 { T x, y, z; };                                                     \
    struct __align__(4 * align > 16 ? 16 : 4 * align) prefix##4 { T x, y, z, w; };       \
    inline prefix##2 make_##prefix##2(T x, T y) { return {x, y}; }                       \
    inline prefix##3 make_##prefix##3(T x, T y, T z) { return {x, y, z}; }               \
    inline prefix##4 make_##prefix##4(T x, T y, T z, T w) { return {x, y, z, w}; }
#define uint3 emulator_unused_uint3  // declared already, as the type of threadIdx
EMULATOR_VECTORS(unsigned, uint, 4)
#undef uint3
EMULATOR_VECTORS(float, float, 4)
EMULATOR_VECTORS(int, int, 4)
EMULATOR_VECTORS(double, double, 8)
EMULATOR_VECTORS(unsigned char, uchar, 1)
EMULATOR_VECTORS(short, short, 2)
EMULATOR_VECTORS(unsigned short, ushort, 2)
EMULATOR_VECTORS(long long, longlong, 8)

// ---- Barriers ----------------------------------------------------------------------------------------------------

inline void __syncthreads(emulator::Place place = emulator::Place::current()) {
    emulator::barrier("__syncthreads", 0, place);
}
inline int __syncthreads_count(int predicate, emulator::Place place = emulator::Place::current()) {
    emulator::barrier("__syncthreads_count", predicate, place);
    return emulator::barrier_count;
}
inline int __syncthreads_or(int predicate, emulator::Place place = emulator::Place::current()) {
    emulator::barrier("__syncthreads_or", predicate, place);
    return emulator::barrier_count > 0;
}
inline int __syncthreads_and(int predicate, emulator::Place place = emulator::Place::current()) {
    emulator::barrier("__syncthreads_and", predicate, place);
    return emulator::barrier_count == emulator::barrier_arrived;
}
inline void __threadfence() {}
inline void __threadfence_block() {}

// ---- Warps -------------------------------------------------------------------------------------------------------

inline void __syncwarp(unsigned mask = 0xFFFFFFFF, emulator::Place place = emulator::Place::current()) {
    emulator::warp_exchange(char(0), mask, "__syncwarp", true, place);
}

namespace emulator {

template <typename T>
T shuffle(unsigned mask, const T& value, int source, const char* call, const Place& place) {
    Lanes<T> lanes = warp_exchange(value, mask, call, false, place);
    if (!lanes.has(source))
        EMULATOR_FAULT(place, "%s with mask 0x%08x reads lane %d, which takes no part", call, mask, source);
    return lanes[source];
}

inline unsigned ballot(unsigned mask, int predicate, const char* call, const Place& place, unsigned& voters) {
    Lanes<int> lanes = warp_exchange(predicate, mask, call, true, place);
    unsigned votes = 0;
    for (int lane = 0; lane < warpSize; lane++)
        if (lanes.has(lane) && lanes[lane]) votes |= 1u << lane;
    voters = lanes.mask;
    return votes;
}

inline int own_lane() { return current->lane; }

}  // namespace emulator

template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, emulator::Place place = emulator::Place::current()) {
    source = (emulator::own_lane() & -width) | (source & (width - 1));
    return emulator::shuffle(mask, value, source, "__shfl_sync", place);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 emulator::Place place = emulator::Place::current()) {
    int lane = emulator::own_lane(), source = lane - static_cast<int>(delta);
    return emulator::shuffle(mask, value, source < (lane & -width) ? lane : source, "__shfl_up_sync", place);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   emulator::Place place = emulator::Place::current()) {
    int lane = emulator::own_lane(), source = lane + static_cast<int>(delta);
    return emulator::shuffle(mask, value, source > (lane | (width - 1)) ? lane : source, "__shfl_down_sync", place);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32,
                  emulator::Place place = emulator::Place::current()) {
    int lane = emulator::own_lane(), source = lane ^ lane_mask;
    return emulator::shuffle(mask, value, source > (lane | (width - 1)) ? lane : source, "__shfl_xor_sync", place);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, emulator::Place place = emulator::Place::current()) {
    unsigned voters;
    return emulator::ballot(mask, predicate, "__ballot_sync", place, voters);
}
inline int __any_sync(unsigned mask, int predicate, emulator::Place place = emulator::Place::current()) {
    unsigned voters;
    return emulator::ballot(mask, predicate, "__any_sync", place, voters) != 0;
}
inline int __all_sync(unsigned mask, int predicate, emulator::Place place = emulator::Place::current()) {
    unsigned voters, votes = emulator::ballot(mask, predicate, "__all_sync", place, voters);
    return votes == voters;
}

// The lanes that have not returned. On a GPU it may be any part of them that holds the caller: no mask to rely on.
inline unsigned __activemask() {
    emulator::Thread* warp = emulator::current - emulator::own_lane();
    unsigned mask = 0;
    for (int lane = 0; lane < warpSize && warp + lane < emulator::threads + emulator::n_threads; lane++)
        if (warp[lane].state != emulator::State::exited) mask |= 1u << lane;
    return mask;
}

// ---- Atomics: no fiber is interrupted, so plain operations are atomic ---------------------------------------------

template <typename T>
T emulator_exchange(T* address, T value) {
    T old = *address;
    *address = value;
    return old;
}
template <typename T>
T atomicAdd(T* address, std::type_identity_t<T> value) { return emulator_exchange(address, T(*address + value)); }
template <typename T>
T atomicSub(T* address, std::type_identity_t<T> value) { return emulator_exchange(address, T(*address - value)); }
template <typename T>
T atomicMax(T* address, std::type_identity_t<T> value) { return emulator_exchange(address, *address < value ? value : *address); }
template <typename T>
T atomicMin(T* address, std::type_identity_t<T> value) { return emulator_exchange(address, value < *address ? value : *address); }
template <typename T>
T atomicExch(T* address, std::type_identity_t<T> value) { return emulator_exchange(address, value); }
template <typename T>
T atomicCAS(T* address, std::type_identity_t<T> compare, std::type_identity_t<T> value) {
    return emulator_exchange(address, *address == compare ? value : *address);
}

// ---- Text ---------------------------------------------------------------------------------------------------------

namespace emulator {

// A kernel is not stopped in the middle of it: the lock that C has on the stream would stay closed.
__attribute__((format(printf, 1, 2))) inline int print(const char* format, ...) {
    sigset_t stops, before;
    sigemptyset(&stops);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGURG);
    pthread_sigmask(SIG_BLOCK, &stops, &before);
    va_list values;
    va_start(values, format);
    int length = vprintf(format, values);
    va_end(values);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return length;
}

}  // namespace emulator

#define printf(...) emulator::print(__VA_ARGS__)

// ---- Arithmetic --------------------------------------------------------------------------------------------------

using std::isfinite, std::isinf, std::isnan;
inline float __expf(float x) { return expf(x); }
inline float __exp2f(float x) { return exp2f(x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }

template <typename A, typename B>
constexpr std::common_type_t<A, B> max(A a, B b) {
    if constexpr (std::is_floating_point_v<std::common_type_t<A, B>>) return std::fmax(a, b);
    else return a < b ? b : a;
}
template <typename A, typename B>
constexpr std::common_type_t<A, B> min(A a, B b) {
    if constexpr (std::is_floating_point_v<std::common_type_t<A, B>>) return std::fmin(a, b);
    else return b < a ? b : a;
}

template <typename T>
T __ldg(const T* address) { return *address; }

inline unsigned __float_as_uint(float x) { return emulator::same_bits<unsigned>(x); }
inline int __float_as_int(float x) { return emulator::same_bits<int>(x); }
inline float __uint_as_float(unsigned x) { return emulator::same_bits<float>(x); }
inline float __int_as_float(int x) { return emulator::same_bits<float>(x); }
inline long long __double_as_longlong(double x) { return emulator::same_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return emulator::same_bits<double>(x); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
