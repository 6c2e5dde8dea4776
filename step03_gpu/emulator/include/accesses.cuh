// Every read and write of a kernel, counted. The compiler, asked for ThreadSanitizer, calls __tsan_read4 and the like at
// each; those functions are here, and ThreadSanitizer itself is not linked.
//
// An access counts where it concerns an argument's array or shared memory; anything else is what a GPU keeps in registers.
// A warp's lanes run one after another: their n-th accesses at the same place in the code, between two waits, are taken
// as one instruction of the warp, a request. For arrays it moves sectors of 32 bytes, each once. Shared memory has 32
// banks that give one word of 4 bytes at a time; a request takes as many passes, at least, as the fullest bank has words.
#pragma once
#include <cstdlib>

#include "launch.cuh"

#define EMULATOR_HOOK __attribute__((no_sanitize("thread"), optimize("O2")))

namespace emulator {

constexpr size_t SECTOR = 32;          // bytes
constexpr int MOST_ARGUMENTS = 32;
constexpr unsigned MOST_SITES = 8192;  // places in the code, a power of 2

struct Traffic {
    unsigned long bytes, requests, moved;  // moved: sectors, or passes
};
enum Way { global_load, global_store, shared_load, shared_store };
inline Traffic traffic[4];
inline unsigned char* touched[MOST_ARGUMENTS];  // for each sector of an argument: 1 where read, 2 where written

struct Request {
    unsigned long warp_turn;
    int way, bytes, n;
    unsigned char lane[32];
    size_t at[32];  // bytes from where the array, or shared memory, begins
};

struct Site {
    const void* place;
    unsigned long lane_turn;  // in which this was last come by
    int next, room;           // of its requests: how often the running lane has come by
    Request* requests;
};
inline Site sites[MOST_SITES];
struct Opened {
    Site* site;
    int i;
};
inline Opened* opened;  // the requests since the warp went on
inline size_t n_opened, room_opened;
inline unsigned long lane_turn, warp_turn;

EMULATOR_HOOK inline unsigned long sectors_of(const Request& request) {
    size_t found[64];
    unsigned long n = 0;
    for (int i = 0; i < request.n; i++)
        for (size_t sector = request.at[i] / SECTOR; sector <= (request.at[i] + request.bytes - 1) / SECTOR; sector++) {
            unsigned long before = 0;
            while (before < n && found[before] != sector) before++;
            if (before == n && n < 64) found[n++] = sector;
        }
    return n;
}

EMULATOR_HOOK inline unsigned long passes_of(const Request& request) {
    size_t words[32][32];
    int in_bank[32] = {}, fullest = 0;
    for (int i = 0; i < request.n; i++)
        for (size_t word = request.at[i] / 4; word <= (request.at[i] + request.bytes - 1) / 4; word++) {
            int &n = in_bank[word % 32], before = 0;
            while (before < n && words[word % 32][before] != word) before++;
            if (before < n || n == 32) continue;
            words[word % 32][n++] = word;
            if (n > fullest) fullest = n;
        }
    return fullest;
}

EMULATOR_HOOK inline void end_turns() {
    for (size_t i = 0; i < n_opened; i++) {
        const Request& request = opened[i].site->requests[opened[i].i];
        traffic[request.way].requests++;
        traffic[request.way].moved += request.way < shared_load ? sectors_of(request) : passes_of(request);
    }
    n_opened = 0;
    warp_turn++;
}

EMULATOR_HOOK inline void begin_turn() { lane_turn++; }

struct Array {
    const void* data;
    size_t bytes;
};

// An argument's array, or that of which a map tells, with which a map begins.
EMULATOR_HOOK inline Array array_of(int i) {
    if (i >= launch_now->n_arguments || launch_now->arguments[i].kind == Kind::value) return {};
    const Argument& argument = launch_now->arguments[i];
    return argument.kind == Kind::map ? *static_cast<const Array*>(argument.data) : Array{argument.data, (size_t)argument.bytes};
}

inline void begin_accesses() {
    memset(traffic, 0, sizeof traffic);
    for (int i = 0; i < MOST_ARGUMENTS; i++) {
        free(touched[i]);
        touched[i] = array_of(i).data ? static_cast<unsigned char*>(calloc(array_of(i).bytes / SECTOR + 2, 1)) : nullptr;
    }
    n_opened = 0;
    lane_turn++, warp_turn++;
}

EMULATOR_HOOK inline Site& site_at(const void* place) {
    size_t slot = reinterpret_cast<uintptr_t>(place) * 0x9E3779B97F4A7C15u >> 32;
    while (sites[slot % MOST_SITES].place && sites[slot % MOST_SITES].place != place) slot++;
    Site& site = sites[slot % MOST_SITES];
    site.place = place;
    if (site.lane_turn != lane_turn) site.next = 0;
    site.lane_turn = lane_turn;
    return site;
}

// The request that the running lane's next access at this place belongs to.
EMULATOR_HOOK inline Request& request_at(Site& site, int way, int bytes) {
    while (true) {
        if (site.next == site.room) {
            int room = site.room ? 2 * site.room : 16;
            site.requests = static_cast<Request*>(realloc(site.requests, room * sizeof(Request)));
            memset(site.requests + site.room, 0, (room - site.room) * sizeof(Request));
            site.room = room;
        }
        Request& request = site.requests[site.next++];
        if (request.warp_turn == warp_turn && (request.way != way || request.bytes != bytes)) continue;
        if (request.warp_turn == warp_turn) return request;
        request.warp_turn = warp_turn, request.way = way, request.bytes = bytes, request.n = 0;
        if (n_opened == room_opened) {
            room_opened = room_opened ? 2 * room_opened : 1024;
            opened = static_cast<Opened*>(realloc(opened, room_opened * sizeof(Opened)));
        }
        opened[n_opened++] = {&site, site.next - 1};
        return request;
    }
}

EMULATOR_HOOK inline void note(int way, size_t at, size_t bytes, const void* place) {
    Request& request = request_at(site_at(place), way, bytes);
    traffic[way].bytes += bytes;
    request.lane[request.n] = current->lane;
    request.at[request.n++] = at;
}

EMULATOR_HOOK inline void note_argument(int i, size_t at, size_t bytes, bool store, const void* place) {
    note(store ? global_store : global_load, at, bytes, place);
    for (size_t sector = at / SECTOR; sector <= (at + bytes - 1) / SECTOR; sector++) touched[i][sector] |= store ? 2 : 1;
}

EMULATOR_HOOK inline bool within(const void* address, const void* memory, size_t bytes) {
    return reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(memory) < bytes;
}

// One access. Without an address it is one that a lane leaves out where the others of its warp have theirs.
EMULATOR_HOOK inline void count_access(const void* address, size_t bytes, bool store, const void* place) {
    if (!address) {
        site_at(place).next++;
        return;
    }
    const char* at = static_cast<const char*>(address);
    if (within(at, dynamic_shared, dynamic_bytes))
        return note(store ? shared_store : shared_load, at - reinterpret_cast<char*>(dynamic_shared), bytes, place);
    for (int i = 0; i < launch_now->n_arguments && i < MOST_ARGUMENTS; i++)
        if (const Array array = array_of(i); array.data && within(at, array.data, array.bytes))
            return note_argument(i, at - static_cast<const char*>(array.data), bytes, store, place);
    for (const SharedVariable* variable = shared_variables; variable; variable = variable->next)
        if (within(at, variable->memory, variable->bytes))
            return note(store ? shared_store : shared_load, at - reinterpret_cast<const char*>(variable->memory), bytes, place);
}

// What no thread reads but a unit by itself, from rows of shared memory that meet all banks.
inline void count_shared_load(size_t bytes) {
    traffic[shared_load].bytes += bytes, traffic[shared_load].requests++, traffic[shared_load].moved += bytes / 128;
}

// What the compiler calls. Pieces of more than 16 bytes are what a GPU takes several instructions for.
EMULATOR_HOOK inline void watch(const void* address, size_t bytes, bool store, const void* place) {
    if (!current || unwatched) return;
    const char* at = static_cast<const char*>(address);
    if (within(at, current->fiber.stack, STACK_BYTES)) return;
    for (; bytes > 16; bytes -= 16, at += 16) count_access(at, 16, store, place);
    count_access(at, bytes, store, place);
}

inline int print_accesses(char* text, size_t size) {
    const char* names[] = {"global_load", "global_store", "shared_load", "shared_store"};
    int length = 0;
    for (int way = 0; way < 4; way++) {
        const Traffic& of = traffic[way];
        length += snprintf(text + length, size - length, "%s_bytes %lu\n%s_requests %lu\n%s_%s %lu\n", names[way], of.bytes,
                           names[way], of.requests, names[way], way < shared_load ? "sectors" : "passes", of.moved);
    }
    unsigned long distinct[2] = {};
    for (int i = 0; i < MOST_ARGUMENTS; i++)
        for (size_t sector = 0; touched[i] && sector < array_of(i).bytes / SECTOR + 2; sector++)
            distinct[0] += touched[i][sector] & 1, distinct[1] += touched[i][sector] >> 1;
    return length + snprintf(text + length, size - length, "global_load_distinct %lu\nglobal_store_distinct %lu\n",
                             distinct[0], distinct[1]);
}

}  // namespace emulator

#define EMULATOR_WATCH(bytes)                                                                                           \
    EMULATOR_HOOK void __tsan_read##bytes(void* x) { emulator::watch(x, bytes, false, __builtin_return_address(0)); }   \
    EMULATOR_HOOK void __tsan_write##bytes(void* x) { emulator::watch(x, bytes, true, __builtin_return_address(0)); }   \
    EMULATOR_HOOK void __tsan_unaligned_read##bytes(void* x) { emulator::watch(x, bytes, false, __builtin_return_address(0)); } \
    EMULATOR_HOOK void __tsan_unaligned_write##bytes(void* x) { emulator::watch(x, bytes, true, __builtin_return_address(0)); }
extern "C" {
EMULATOR_WATCH(1)
EMULATOR_WATCH(2)
EMULATOR_WATCH(4)
EMULATOR_WATCH(8)
EMULATOR_WATCH(16)
EMULATOR_HOOK void __tsan_read_range(void* x, long n) { emulator::watch(x, n, false, __builtin_return_address(0)); }
EMULATOR_HOOK void __tsan_write_range(void* x, long n) { emulator::watch(x, n, true, __builtin_return_address(0)); }
EMULATOR_HOOK void __tsan_vptr_update(void**, void*) {}
EMULATOR_HOOK void __tsan_func_entry(void*) {}
EMULATOR_HOOK void __tsan_func_exit() {}
EMULATOR_HOOK void __tsan_init() {}
}
