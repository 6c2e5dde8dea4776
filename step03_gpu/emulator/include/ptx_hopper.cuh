// The instructions of kernels/ptx_hopper.cuh, played on the CPU: the same functions. What they do is in the two headers.
#include <mbarriers.cuh>
#include <warp_groups.cuh>

using Descriptor = unsigned long long;

// The address as a number, which on the GPU it is.
inline unsigned address_number(Shared address) { return emulator::shared_offset(address); }

template <int REGISTERS, bool MORE>
void take_registers(emulator::Place place = emulator::Place::current()) {
    static_assert(REGISTERS >= 24 && REGISTERS <= 256 && REGISTERS % 8 == 0, "setmaxnreg: 24 to 256, a multiple of 8");
    emulator::set_registers(REGISTERS, MORE ? "setmaxnreg.inc" : "setmaxnreg.dec", place);
}

inline void init_barrier(Shared barrier, int count, emulator::Place place = emulator::Place::current()) {
    emulator::init_barrier(barrier, count, place);
}
inline void fence_async_proxy() { emulator::fence_async(); }
inline void arrive(Shared barrier, emulator::Place place = emulator::Place::current()) {
    emulator::arrive(emulator::barrier_at(barrier, "mbarrier.arrive", place), 0, "mbarrier.arrive", place);
}
inline void arrive_expecting(Shared barrier, int bytes, emulator::Place place = emulator::Place::current()) {
    const char* call = "mbarrier.arrive.expect_tx";
    emulator::arrive(emulator::barrier_at(barrier, call, place), bytes, call, place);
}
inline void wait_phase(Shared barrier, int parity, emulator::Place place = emulator::Place::current()) {
    emulator::wait_phase(emulator::barrier_at(barrier, "mbarrier.try_wait.parity", place), parity, place);
}
inline void copy_box(Shared to, const TensorMap& map, int x, int y, int z, Shared barrier,
                     emulator::Place place = emulator::Place::current()) {
    emulator::start_box(to, map, x, y, z, barrier, place);
}

template <int PIECES>
void pin(float (&)[PIECES][4]) {}

inline void fence_products(emulator::Place place = emulator::Place::current()) {
    emulator::warp_exchange(char(0), 0xFFFFFFFF, "wgmma.fence", false, place);
    emulator::fence_registers();
}
inline void commit_products(emulator::Place place = emulator::Place::current()) { emulator::commit_products(place); }
template <int N>
void wait_products(emulator::Place place = emulator::Place::current()) {
    emulator::wait_products(N, place);
}

#define EMULATOR_PRODUCTS(name, widen)                                                                                   \
    template <int PIECES>                                                                                                \
    void name(float (&c)[PIECES][4], Descriptor a, Descriptor b, int add,                                                \
              emulator::Place place = emulator::Place::current()) {                                                      \
        emulator::multiply<emulator::widen>(c, nullptr, a, b, false, add, place);                                        \
    }                                                                                                                    \
    template <int PIECES>                                                                                                \
    void name(float (&c)[PIECES][4], const unsigned (&a)[4], Descriptor b, int add,                                      \
              emulator::Place place = emulator::Place::current()) {                                                      \
        emulator::multiply<emulator::widen>(c, a, 0, b, true, add, place);                                               \
    }
EMULATOR_PRODUCTS(wgmma_half, float_of_half)
EMULATOR_PRODUCTS(wgmma_bfloat, float_of_bfloat)
