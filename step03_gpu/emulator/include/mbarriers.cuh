// Barriers in shared memory that count arrivals and bytes, and the copies that bring the bytes (sm_90): for ptx_hopper.cuh.
//
// Of the PTX ISA "Parallel Synchronization and Communication Instructions: mbarrier", "Data Movement and Conversion
// Instructions: cp.async.bulk.tensor" with "Tensors", and "Memory Consistency Model: Proxies". The address of a barrier names
// it here; what its 8 bytes hold is the machine's affair.
#pragma once
#include "launch.cuh"

// What cuTensorMapEncodeTiled writes into 128 bytes, and nobody else may look at: ours. `TENSOR_MAP` of tensor_map.py is the same.
struct TensorMap {
    unsigned char* array;
    long long bytes;       // of the array
    long long strides[5];  // bytes from one index to the next; of axis 0 those of an element
    unsigned sizes[5], box[5];
    int rank, swizzle;  // swizzle: CUtensorMapSwizzle, 0 to 3 for none, 32, 64 and 128 bytes
    char unused[24];
};
static_assert(sizeof(TensorMap) == 128);

namespace emulator {

// ---- The asynchronous proxy. Tensor cores and bulk copies see shared memory in their own way: what threads write there
// they see after fence.proxy.async alone. Here they look at a copy, which that fence and bulk copies bring up to date. ----

inline unsigned char async_memory[MAX_DYNAMIC_SHARED + 1024];
inline unsigned char copied_with[sizeof async_memory / 16];  // for each 16 bytes: 1 + the swizzle that a copy brought them with; else 0

inline size_t shared_offset(const void* address) { return static_cast<const unsigned char*>(address) - dynamic_memory; }

inline void check_range(const void* address, size_t bytes, size_t alignment, const char* call, const Place& place) {
    auto* begin = static_cast<const unsigned char*>(address);
    if (begin < dynamic_shared || begin + bytes > dynamic_shared + dynamic_bytes)
        EMULATOR_FAULT(place, "%s: address %p is outside the block's dynamic shared memory", call, address);
    if (reinterpret_cast<uintptr_t>(address) % alignment)
        EMULATOR_FAULT(place, "%s: address %p is not a multiple of %zu bytes", call, address, alignment);
}

// Where a swizzle puts a byte of shared memory: the number of its 16-byte chunk within 32, 64 or 128 bytes is flipped by the
// bits of the address from 128 bytes on, so that the pattern comes again after 256, 512 or 1024.
inline size_t swizzled(size_t offset, int swizzle) { return offset ^ (offset >> 7 & ((1 << swizzle) - 1)) << 4; }

// ---- mbarrier. A phase is complete when no arrival and no byte is missing; then the next begins. Phases have the parities
// 0, 1, 0 ...: who waits for parity p waits until the phase that runs has another one. ----

struct Barrier {
    unsigned char* address;
    int expected, missing;  // arrivals: of each phase, and of this one
    long bytes;             // that were announced and have not come, or the other way round
    unsigned phase;
    const Thread *by, *unseen;  // who initialised it; the same, as long as that thread made no fence.proxy.async
    unsigned long made_after;   // that many barriers of blocks
};

// A copy on its way. It poisons its target at once and arrives as late as can be: when nobody can go on without it.
struct Box {
    TensorMap map;
    unsigned char* to;
    int corner[3];
    Barrier* barrier;
    const Thread* thread;
    Place place;
};

struct Async {
    static constexpr int MOST_BARRIERS = 64, MOST_BOXES = 256;
    Barrier barriers[MOST_BARRIERS];
    Box boxes[MOST_BOXES];
    int n_barriers, n_boxes;
    unsigned long block;
};

inline Async async;

// Whatever a block left behind is forgotten.
inline void begin_async_block() {
    if (async.block == block_number) return;
    async.block = block_number;
    async.n_barriers = async.n_boxes = 0;
    poison(async_memory, sizeof async_memory);
    memset(copied_with, 0, sizeof copied_with);
}

inline Barrier& barrier_at(const void* address, const char* call, const Place& place) {
    begin_async_block();
    for (int i = 0; i < async.n_barriers; i++) {
        const Barrier& found = async.barriers[i];
        if (found.address != address) continue;
        if (found.made_after == barriers_passed && (found.by - threads) / 32 != (current - threads) / 32)
            EMULATOR_FAULT(place, "%s: another warp initialised this mbarrier, and no __syncthreads has passed since", call);
        return async.barriers[i];
    }
    EMULATOR_FAULT(place, "%s: no mbarrier was initialised at %p", call, address);
}

inline void init_barrier(void* address, int count, const Place& place) {
    begin_async_block();
    check_range(address, 8, 8, "mbarrier.init", place);
    if (count < 1 || count >= 1 << 20) EMULATOR_FAULT(place, "mbarrier.init: a count of %d; from 1 to 2^20 - 1 are possible", count);
    if (async.n_barriers == async.MOST_BARRIERS) EMULATOR_FAULT(place, "mbarrier.init: more than %d barriers", async.MOST_BARRIERS);
    async.barriers[async.n_barriers++] = {static_cast<unsigned char*>(address), count, count, 0, 0, current, current, barriers_passed};
}

inline void complete_phase(Barrier& barrier) {
    if (barrier.missing || barrier.bytes) return;
    barrier.phase++;
    barrier.missing = barrier.expected;
    for (Thread* thread = threads; thread < threads + n_threads; thread++)
        if (thread->state == State::waiting && thread->awaited == &barrier) thread->state = State::ready;
}

inline void arrive(Barrier& barrier, long bytes, const char* call, const Place& place) {
    if (!barrier.missing)
        EMULATOR_FAULT(place, "%s: the phase expects %d arrivals, and this is one more", call, barrier.expected);
    barrier.bytes += bytes;
    barrier.missing--;
    complete_phase(barrier);
}

inline void wait_phase(Barrier& barrier, int parity, const Place& place) {
    while ((barrier.phase & 1) == (parity & 1)) {
        current->awaited = &barrier;
        wait(State::waiting, "mbarrier.try_wait.parity", place);
    }
}

inline void fence_async() {
    EMULATOR_COUNT(Unwatched work;)
    begin_async_block();
    const size_t start = shared_offset(dynamic_shared);
    for (size_t at = start; at < start + dynamic_bytes; at += 16) {
        const size_t bytes = start + dynamic_bytes - at < 16 ? start + dynamic_bytes - at : 16;
        if (!memcmp(async_memory + at, dynamic_memory + at, bytes)) continue;
        memcpy(async_memory + at, dynamic_memory + at, bytes);
        copied_with[at / 16] = 0;
    }
    for (int i = 0; i < async.n_barriers; i++) 
        if (async.barriers[i].unseen == current) async.barriers[i].unseen = nullptr;
}

// ---- cp.async.bulk.tensor ----

inline size_t box_bytes(const TensorMap& map) {
    size_t bytes = map.strides[0];
    for (int axis = 0; axis < map.rank; axis++) bytes *= map.box[axis];
    return bytes;
}

// A row of a box is one access, of the thread that starts the copy; what lies outside of the array is not asked for.
EMULATOR_COUNT(inline void count_box(unsigned char* to, const TensorMap& map, const int (&corner)[3]) {
    const size_t row = map.box[0] * map.strides[0];
    for (unsigned z = 0; z < map.box[2]; z++)
        for (unsigned y = 0; y < map.box[1]; y++, to += row) {
            const long long at[3] = {corner[0], corner[1] + (long long)y, corner[2] + (long long)z};
            const unsigned char* from = map.array;
            bool exists = true;
            for (int axis = 0; axis < 3; axis++) exists &= at[axis] >= 0 && at[axis] < map.sizes[axis], from += at[axis] * map.strides[axis];
            if (exists) count_access(from, row, false, "cp.async.bulk.tensor, from");
            count_access(to, row, true, "cp.async.bulk.tensor, to");
        }
})

inline void start_box(void* to, const TensorMap& map, int x, int y, int z, void* barrier, const Place& place) {
    const char* call = "cp.async.bulk.tensor";
    Barrier& told = barrier_at(barrier, call, place);
    check_range(to, box_bytes(map), 128, call, place);
    if (map.rank != 3) EMULATOR_FAULT(place, "%s.3d: the tensor map has %d axes", call, map.rank);
    if (told.unseen)
        EMULATOR_FAULT(place, "%s: fence.proxy.async is missing between the barrier's initialisation and the copy", call);
    if (async.n_boxes == async.MOST_BOXES) EMULATOR_FAULT(place, "%s: more than %d copies wait", call, async.MOST_BOXES);
    EMULATOR_COUNT(count_box(static_cast<unsigned char*>(to), map, {x, y, z}); Unwatched work;)
    poison(to, box_bytes(map));
    poison(async_memory + shared_offset(to), box_bytes(map));
    async.boxes[async.n_boxes++] = {map, static_cast<unsigned char*>(to), {x, y, z}, &told, current, place};
}

// A box's elements in the order of its axes, the first one innermost; 0 where the array has none.
inline void deliver(const Box& box) {
    EMULATOR_COUNT(Unwatched work;)
    const TensorMap& map = box.map;
    const size_t element = map.strides[0], start = shared_offset(box.to);
    size_t n = 0;
    for (unsigned z = 0; z < map.box[2]; z++)
        for (unsigned y = 0; y < map.box[1]; y++)
            for (unsigned x = 0; x < map.box[0]; x++, n += element) {
                const long long at[3] = {box.corner[0] + (long long)x, box.corner[1] + (long long)y, box.corner[2] + (long long)z};
                const unsigned char* from = map.array;
                bool exists = true;
                for (int axis = 0; axis < 3; axis++) {
                    exists &= at[axis] >= 0 && at[axis] < map.sizes[axis];
                    from += at[axis] * map.strides[axis];
                }
                const size_t place = swizzled(start + n, map.swizzle);
                if (exists) memcpy(dynamic_memory + place, from, element);
                else memset(dynamic_memory + place, 0, element);
                memcpy(async_memory + place, dynamic_memory + place, element);
                copied_with[place / 16] = 1 + map.swizzle;
            }
}

inline void deliver_all(Barrier& barrier) {
    int left = 0;
    for (int i = 0; i < async.n_boxes; i++) {
        if (async.boxes[i].barrier != &barrier) {
            async.boxes[left++] = async.boxes[i];
            continue;
        }
        deliver(async.boxes[i]);
        barrier.bytes -= box_bytes(async.boxes[i].map);
    }
    async.n_boxes = left;
    complete_phase(barrier);
}

inline const char products_awaited = 0;  // what threads wait for that wait for tensor cores (warp_groups.cuh)

inline bool finish_late() {
    bool any = false;
    for (Thread* thread = threads; thread < threads + n_threads; thread++) {
        if (thread->state != State::waiting || thread->awaited != &products_awaited) continue;
        thread->state = State::ready;
        any = true;
    }
    return any;
}

// Nobody can go on: products are ready now. Or else, of those who wait, the copies of the first whose barrier some are for arrive.
inline bool arrive_late_here() {
    if (finish_late()) return true;
    const Thread* waiting = nullptr;
    for (const Thread* thread = threads; thread < threads + n_threads; thread++) {
        if (thread->state != State::waiting) continue;
        auto& barrier = *static_cast<Barrier*>(const_cast<void*>(thread->awaited));
        if (!barrier.missing) deliver_all(barrier);
        if (thread->state == State::ready) return true;
        waiting = thread;
    }
    if (!waiting) return false;
    const Barrier& barrier = *static_cast<const Barrier*>(waiting->awaited);
    report(*waiting, waiting->place, "waits for ever for phase %u of the mbarrier at byte %td of shared memory: of %d arrivals %d are "
           "missing, and %ld of the bytes that were announced", barrier.phase, barrier.address - dynamic_shared, barrier.expected,
           barrier.missing, barrier.bytes);
    throw Fault{};
}

inline void check_nothing_on_its_way() {
    if (async.block != block_number || !async.n_boxes) return;
    const Box& box = async.boxes[0];
    report(*box.thread, box.place, "cp.async.bulk.tensor: the block has ended, and nobody has waited for this copy");
    throw Fault{};
}

inline const bool waits_for_copies = (arrive_late = arrive_late_here, true);

}  // namespace emulator
