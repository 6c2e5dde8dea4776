// The instructions of kernels/ptx.cuh, played on the CPU: the same functions, the same lanes, the same alignment.
//
// Where a number lies is that of the PTX ISA; the order in which a tensor core sums, and how it rounds on the way,
// is documented nowhere: here float32 sums in the order of the columns.

// An address in shared memory. On the GPU it is a number of 32 bits.
using Shared = unsigned char*;

inline Shared shared_address(const void* p) { return const_cast<Shared>(static_cast<const unsigned char*>(p)); }
inline Shared flip(Shared address, int bits) {
    return reinterpret_cast<Shared>(reinterpret_cast<uintptr_t>(address) ^ bits);
}
template <typename T> T fresh(T x) { return x; }

namespace emulator {

inline void check_address(const void* address, size_t bytes, const char* call, const Place& place) {
    auto* begin = static_cast<const unsigned char*>(address);
    if (begin < dynamic_shared || begin + bytes > dynamic_shared + launch_now->shared_bytes)
        EMULATOR_FAULT(place, "%s: address %p is outside the block's shared memory", call, address);
    if (reinterpret_cast<uintptr_t>(address) % bytes)
        EMULATOR_FAULT(place, "%s: address %p is not a multiple of %zu bytes", call, address, bytes);
}

}  // namespace emulator

// ---- conversions, rounding to nearest even (cvt); a NaN keeps its first digits ----

inline float half_to_float(unsigned short bits) { return emulator::float_of_half(bits); }
inline unsigned short float_to_half(float x) { return emulator::half_of_float(x); }

inline unsigned pack_half(float first, float second) {
    return emulator::half_of_float(first) | emulator::half_of_float(second) << 16;
}
inline unsigned pack_bfloat(float first, float second) {
    return emulator::bfloat_of_float(first) | emulator::bfloat_of_float(second) << 16;
}

// ex2.approx.ftz: where the result would be subnormal it is 0
inline float exp2_approximate(float x) {
    float y = exp2f(x);
    return y < 0x1p-126f ? 0 : y;
}

// ---- tensor cores: "Matrix Fragments for mma.m16n8k16 with floating point type". Lane l, with g = l / 4 and t = l % 4, brings
//   a: rows g and g + 8, of each columns 2t, 2t + 1 and 2t + 8, 2t + 9, in the registers
//      a[0]: row g, left   a[1]: row g + 8, left   a[2]: row g, right   a[3]: row g + 8, right
//   b: of column g rows 2t, 2t + 1 in b0 and 2t + 8, 2t + 9 in b1
// and takes of c columns 2t and 2t + 1 of row g in c[0], c[1], of row g + 8 in c[2], c[3]. ----

namespace emulator {

struct Operands {
    float a[4][2], b[2][2];
};

template <auto widen>
void mma(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1, const Place& place) {
    const unsigned b[2] = {b0, b1};
    Operands mine;
    for (int half = 0; half < 2; half++) {
        for (int i = 0; i < 4; i++) mine.a[i][half] = widen(a[i] >> 16 * half);
        for (int i = 0; i < 2; i++) mine.b[i][half] = widen(b[i] >> 16 * half);
    }
    Lanes<Operands> lanes = warp_exchange(mine, 0xFFFFFFFF, "mma.sync.m16n8k16", false, place);
    EMULATOR_COUNT(Unwatched work;)  // a tensor core's
    const int g = own_lane() / 4, t = own_lane() % 4;
    for (int i = 0; i < 4; i++) {
        const int row = g, column = 2 * t + i % 2, lower = i / 2;
        for (int k = 0; k < 16; k++)
            c[i] += lanes[4 * row + k % 8 / 2].a[k / 8 * 2 + lower][k % 2] * lanes[4 * column + k % 8 / 2].b[k / 8][k % 2];
    }
}

}  // namespace emulator

inline void mma_half(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1,
                     emulator::Place place = emulator::Place::current()) {
    emulator::mma<emulator::float_of_half>(c, a, b0, b1, place);
}

inline void mma_bfloat(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1,
                       emulator::Place place = emulator::Place::current()) {
    emulator::mma<emulator::float_of_bfloat>(c, a, b0, b1, place);
}

// ---- four 8 x 8 matrices from shared memory: "Warp-level matrix load instruction: ldmatrix". Lane l names row l % 8 of matrix l / 8 and
// gets of each matrix row l / 4, columns 2 (l % 4) and the next; with .trans those of the transposed matrix. ----

namespace emulator {

struct Row {
    unsigned short at[8];
};

inline void load_matrices(unsigned (&r)[4], const void* address, bool transposed, const Place& place) {
    check_address(address, 16, "ldmatrix", place);
    EMULATOR_COUNT(count_access(address, 16, false, "ldmatrix");)
    Row mine;
    {
        EMULATOR_COUNT(Unwatched work;)  // counted above
        memcpy(&mine, address, sizeof mine);
    }
    Lanes<Row> rows = warp_exchange(mine, 0xFFFFFFFF, transposed ? "ldmatrix.trans" : "ldmatrix", false, place);
    const int row = own_lane() / 4, column = own_lane() % 4 * 2;
    for (int i = 0; i < 4; i++) {
        const int first = 8 * i;  // the lane that named row 0 of this matrix
        r[i] = transposed ? rows[first + column].at[row] | rows[first + column + 1].at[row] << 16
                          : rows[first + row].at[column] | rows[first + row].at[column + 1] << 16;
    }
}

}  // namespace emulator

inline void load_matrices(unsigned (&r)[4], Shared row, emulator::Place place = emulator::Place::current()) {
    emulator::load_matrices(r, row, false, place);
}

inline void load_matrices_transposed(unsigned (&r)[4], Shared row, emulator::Place place = emulator::Place::current()) {
    emulator::load_matrices(r, row, true, place);
}

// ---- global to shared memory, asynchronously (cp.async). On a GPU the bytes arrive some time between the
// copy and the wait. Here the target is poisoned at once and filled as late as possible: whoever reads too early, or
// copies to where somebody still reads, finds the poison. ----

namespace emulator {

struct Copy {
    unsigned char* to;
    const void* from;
    size_t bytes;
    bool exists;
};

struct Copies {
    static constexpr int MOST = 256;  // of one thread that may be on their way
    Copy copy[MOST];
    int group[MOST];  // to which each belongs
    int n, n_groups;
    unsigned long block;
};

inline Copies copies[MAX_THREADS];

inline Copies& own_copies() {
    Copies& own = copies[current - threads];
    if (own.block != block_number) own.n = own.n_groups = 0;  // what a block did not wait for ends with it
    own.block = block_number;
    return own;
}

inline void start_copy(const Copy& copy, const Place& place) {
    check_address(copy.to, copy.bytes, "cp.async", place);
    if (copy.exists && reinterpret_cast<uintptr_t>(copy.from) % copy.bytes)
        EMULATOR_FAULT(place, "cp.async: the source %p is not a multiple of %zu bytes", copy.from, copy.bytes);
    Copies& own = own_copies();
    if (own.n == Copies::MOST) EMULATOR_FAULT(place, "cp.async: more than %d copies wait", Copies::MOST);
    EMULATOR_COUNT(count_access(copy.exists ? copy.from : nullptr, copy.bytes, false, "cp.async, from");)
    EMULATOR_COUNT(count_access(copy.to, copy.bytes, true, "cp.async, to");)
    EMULATOR_COUNT(Unwatched work;)
    poison(copy.to, copy.bytes);
    own.group[own.n] = own.n_groups;
    own.copy[own.n++] = copy;
}

inline void finish_copies(int but_newest_groups) {
    EMULATOR_COUNT(Unwatched work;)
    Copies& own = own_copies();
    int left = 0;
    for (int i = 0; i < own.n; i++) {
        const Copy& copy = own.copy[i];
        if (own.group[i] >= own.n_groups - but_newest_groups) {  // a group that is not closed is waited for by nobody
            own.group[left] = own.group[i];
            own.copy[left++] = copy;
        } else if (copy.exists) {
            memcpy(copy.to, copy.from, copy.bytes);
        } else {
            memset(copy.to, 0, copy.bytes);
        }
    }
    own.n = left;
}

}  // namespace emulator

inline void copy_16_bytes(Shared to, const void* from, bool exists, emulator::Place place = emulator::Place::current()) {
    emulator::start_copy({to, from, 16, exists}, place);
}

inline void copy_8_bytes(Shared to, const void* from, bool exists, emulator::Place place = emulator::Place::current()) {
    emulator::start_copy({to, from, 8, exists}, place);
}

inline void commit_copies() { emulator::own_copies().n_groups++; }

template <int N>
void wait_copies() {
    emulator::finish_copies(N);
}
