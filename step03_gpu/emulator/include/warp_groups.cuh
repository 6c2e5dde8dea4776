// Products by warp groups, which go on while their threads do (sm_90a): for ptx_hopper.cuh.
//
// Of the PTX ISA "Asynchronous Warpgroup Level Matrix Instructions": "Register Fragments and Shared Memory Matrix Layouts"
// (fragments, core matrices, strides, "Matrix Descriptor Format"), "wgmma.fence", "wgmma.mma_async", "wgmma.commit_group",
// "wgmma.wait_group". How a tensor core sums and rounds is documented nowhere: here each product of 16 columns is summed in
// float32 from the left, and then added.
#pragma once
#include "half.cuh"
#include "mbarriers.cuh"

namespace emulator {

// ---- Descriptors of matrices in shared memory. Of the 64 bits 0-13, 16-29 and 32-45 hold the start, the leading and the stride
// byte offset, each as bits 4-17 of the number; 49-51 a base offset; 62-63 the swizzle: none, 128, 64, 32 bytes. ----

struct Matrix {
    size_t start, leading, stride;
    int swizzle;  // as in TensorMap: 0 to 3 for none, 32, 64, 128
};

inline Matrix described(uint64_t bits, const Place& place) {
    auto field = [&](int at) { return static_cast<size_t>(bits >> at & 0x3FFF) << 4; };
    Matrix m{field(0), field(16), field(32), static_cast<int>(4 - (bits >> 62)) % 4};
    const size_t span = 16 << m.swizzle;
    if (bits >> 49 & 7) EMULATOR_FAULT(place, "wgmma: a descriptor with a base offset, which is not played here");
    if (m.swizzle && m.start % (8 * span) >= span)
        EMULATOR_FAULT(place, "wgmma: the matrix starts at byte %zu of shared memory, within a pattern of %zu bytes that its swizzle repeats",
                       m.start, 8 * span);
    return m;
}

// Where 8 neighbours of a matrix begin, by its row (of A) or column (of B) and its place along the 16 that are summed over. Of core
// matrices of 8 x 8 each of 8 rows has 16 bytes; without swizzle they lie one after another, with it 16 << swizzle bytes apart.
// K-major: neighbours are summed over. The leading offset leads to the next 8 of these (with a swizzle: 16 bytes), the stride
// offset to the next 8 rows.
inline size_t place_k_major(const Matrix& m, int row, int k) {
    const size_t next = m.swizzle ? 16 : m.leading;
    return m.start + row % 8 * (16 << m.swizzle) + row / 8 * m.stride + k / 8 * next;
}

// MN-major (trans-b): neighbours are columns. Without swizzle the stride offset leads to the next 8 columns and the leading one to
// the next 8 that are summed over; with it, the leading one to the next columns behind those of a pattern, the stride one to the
// next 8 that are summed over.
inline size_t place_mn_major(const Matrix& m, int column, int k) {
    if (!m.swizzle) return m.start + k % 8 * 16 + k / 8 * m.leading + column / 8 * m.stride;
    const int columns = 8 << m.swizzle;
    return m.start + column % columns * 2 + column / columns * m.leading + k % 8 * (16 << m.swizzle) + k / 8 * m.stride;
}

inline void read_chunk(uint16_t* to, const Matrix& m, size_t offset, const Place& place) {
    offset = swizzled(offset, m.swizzle);
    check_range(dynamic_memory + offset, 16, 16, "wgmma: a matrix in shared memory", place);
    if (const int copied = copied_with[offset / 16]; copied && copied != 1 + m.swizzle)
        EMULATOR_FAULT(place, "wgmma: a matrix is read with a swizzle of %d bytes, and was copied with one of %d (0: none)",
                       m.swizzle ? 16 << m.swizzle : 0, copied > 1 ? 16 << (copied - 1) : 0);
    memcpy(to, async_memory + offset, 16);
}

// ---- One warp's part of a product on its way: 16 of the 64 rows of A, and all of B. What they read in shared memory must not
// change until they have been waited for. ----

constexpr int MOST_COLUMNS = 128, MOST_PRODUCTS = 64;  // of an instruction; of a warp that may be on their way

struct Operands16 {
    uint16_t a[16][16], b[16 * MOST_COLUMNS];  // b as it was read, 8 after 8
};

struct Product {
    uint64_t a, b;
    int columns, group;
    bool a_in_registers, transposed;
    Place place;
    Operands16 read;
};

inline struct {
    unsigned long block;
    int n, first;  // issued, and the first that is on its way
    Product products[MOST_PRODUCTS];
} warps[MAX_THREADS / 32];

inline void read_operands(Operands16& to, const Product& p, int warp, const Place& place) {
    EMULATOR_COUNT(Unwatched work;)  // a tensor core's, counted below
    if (!p.a_in_registers) {
        const Matrix a = described(p.a, place);
        for (int row = 0; row < 16; row++)
            for (int k = 0; k < 16; k += 8) read_chunk(&to.a[row][k], a, place_k_major(a, warp % 4 * 16 + row, k), place);
    }
    const Matrix b = described(p.b, place);
    uint16_t* next = to.b;
    if (p.transposed)
        for (int k = 0; k < 16; k++)
            for (int column = 0; column < p.columns; column += 8, next += 8) read_chunk(next, b, place_mn_major(b, column, k), place);
    else
        for (int column = 0; column < p.columns; column++)
            for (int k = 0; k < 16; k += 8, next += 8) read_chunk(next, b, place_k_major(b, column, k), place);
}

// ---- Registers. Until the wait they belong to the product: a thread that reads an accumulator finds the poison, and one that
// writes is found. A product that takes registers which its thread has changed needs a wgmma.fence between. ----

using Word = unsigned __attribute__((may_alias));  // 32 bits, of whichever type

struct Registers {
    Word* at;
    int n, group;  // of the last product that used them
    bool on_their_way;
    Word value[MOST_COLUMNS / 2];   // what they will hold at the wait
    Word fenced[MOST_COLUMNS / 2];  // what they held at the last fence, or were given since
};

struct OwnRegisters {
    static constexpr int MOST = 32;
    Registers known[MOST];
    int n, n_groups, n_issued;
    bool fenced;
    unsigned long block;
};

inline OwnRegisters registers[MAX_THREADS];

inline OwnRegisters& own_registers() {
    OwnRegisters& own = registers[current - threads];
    if (own.block != block_number) own.n = own.n_groups = own.n_issued = own.fenced = 0;
    own.block = block_number;
    return own;
}

// Copies that AddressSanitizer does not watch: what was known of a variable may be asked for when that has gone.
__attribute__((no_sanitize("address"))) inline void take(Word* to, const Word* from, int n) {
    for (int i = 0; i < n; i++) const_cast<volatile Word*>(to)[i] = from[i];
}
__attribute__((no_sanitize("address"))) inline bool alike(const Word* a, const Word* b, int n) {
    for (int i = 0; i < n; i++)
        if (a[i] != b[i]) return false;
    return true;
}

// What a product is about to use, brought under its control.
inline Registers& use_registers(Word* at, int n, const char* what, const Place& place) {
    OwnRegisters& own = own_registers();
    if (!own.fenced) EMULATOR_FAULT(place, "wgmma.mma_async: no wgmma.fence before the first product");
    Registers* found = nullptr;
    for (int i = 0; i < own.n; i++)
        if (own.known[i].at == at && own.known[i].n == n) found = &own.known[i];
    if (!found) {
        if (own.n == own.MOST) EMULATOR_FAULT(place, "wgmma.mma_async: more than %d sets of registers", own.MOST);
        found = &own.known[own.n++];
        *found = {at, n};
        take(found->value, at, n);
    } else if (!found->on_their_way) {
        if (!alike(found->fenced, at, n))
            EMULATOR_FAULT(place, "wgmma.mma_async: %s was written after the last wgmma.fence", what);
        take(found->value, at, n);
    } else if (n == 4 && !alike(found->value, at, n)) {
        EMULATOR_FAULT(place, "wgmma.mma_async: %s was written before an earlier product that takes it was waited for", what);
    }
    found->on_their_way = true;
    found->group = own.n_groups;
    return *found;
}

inline void fence_registers() {
    OwnRegisters& own = own_registers();
    own.fenced = true;
    for (int i = 0; i < own.n; i++) take(own.known[i].fenced, own.known[i].at, own.known[i].n);
}

// ---- wgmma.mma_async.m64nNk16. Warp w of a group has rows 16 w to 16 w + 15. Of the accumulator lane l holds, with g = l / 4 and
// t = l % 4, for each 8 columns: columns 2t and 2t + 1 of row g, then of row g + 8. A in registers: as for mma.m16n8k16. ----

struct Brought {
    uint64_t a, b;
    int add;
    Word registers[4];
};

inline float product_of_warp[16][MOST_COLUMNS];

template <auto widen>
void compute(const Product& p) {
    EMULATOR_COUNT(Unwatched work;)
    float row_of_b[16][MOST_COLUMNS];
    for (int k = 0; k < 16; k++)
        for (int column = 0; column < p.columns; column++)
            row_of_b[k][column] = widen(p.read.b[p.transposed ? k * p.columns + column : column * 16 + k]);
    for (int row = 0; row < 16; row++) {
        float* sum = product_of_warp[row];
        for (int column = 0; column < p.columns; column++) sum[column] = 0;
        for (int k = 0; k < 16; k++) {
            const float a = widen(p.read.a[row][k]);
            for (int column = 0; column < p.columns; column++) sum[column] += a * row_of_b[k][column];
        }
    }
}

inline void check_group(const Product& p, int warp, int number, const Place& place) {
    if (n_threads < (warp / 4 + 1) * 128) EMULATOR_FAULT(place, "wgmma.mma_async: a group is 4 warps, and this one has fewer");
    for (int other = warp / 4 * 4; other < warp / 4 * 4 + 4; other++) {
        if (warps[other].block != block_number || warps[other].n <= number || warps[other].n > number + MOST_PRODUCTS) continue;
        const Product& its = warps[other].products[number % MOST_PRODUCTS];
        if (its.b != p.b || its.columns != p.columns || its.transposed != p.transposed || (!p.a_in_registers && its.a != p.a))
            EMULATOR_FAULT(place, "wgmma.mma_async: the warps of a group take different matrices");
    }
}

// Each warp's rows of A are read for it alone, B once for the group. The group's instruction is counted with its first warp.
EMULATOR_COUNT(inline void count_product(const Product& p, int warp) {
    if (!p.a_in_registers) count_shared_load(16 * 16 * 2);
    if (warp % 4) return;
    count_shared_load(16 * p.columns * 2);
    static char names[MOST_COLUMNS / 8 + 1][32];
    char* name = names[p.columns / 8];
    if (!*name) snprintf(name, sizeof names[0], "wgmma.mma_async.m64n%dk16", p.columns);
    count_event(name);
})

// By the first lane of a warp that comes: all have come to the same instruction.
template <auto widen>
void start_product(const Product& p, const Lanes<Brought>& lanes, int warp, const Place& place) {
    auto& own = warps[warp];
    if (own.n - own.first == MOST_PRODUCTS) EMULATOR_FAULT(place, "wgmma.mma_async: more than %d are on their way", MOST_PRODUCTS);
    for (int lane = 0; lane < 32; lane++)
        if (lanes[lane].b != p.b || lanes[lane].a != p.a) EMULATOR_FAULT(place, "wgmma.mma_async: the lanes of a warp take different matrices");
    check_group(p, warp, own.n, place);
    Product& product = own.products[own.n++ % MOST_PRODUCTS];
    product = p;
    EMULATOR_COUNT(count_product(p, warp);)
    read_operands(product.read, p, warp, place);
    for (int i = 0; i < 4 && p.a_in_registers; i++)
        for (int lane = 0; lane < 32; lane++)
            memcpy(&product.read.a[lane / 4 + i % 2 * 8][lane % 4 * 2 + i / 2 * 8], &lanes[lane].registers[i], 4);
    compute<widen>(product);
}

template <auto widen, int PIECES>
void multiply(float (&c)[PIECES][4], const Word* a_registers, uint64_t a, uint64_t b, bool transposed, int add, const Place& place) {
    static_assert(PIECES * 8 <= MOST_COLUMNS);
    begin_async_block();
    const int thread = current - threads, warp = thread / 32, g = own_lane() / 4, t = own_lane() % 4;
    if (warps[warp].block != block_number) warps[warp].n = warps[warp].first = 0;
    warps[warp].block = block_number;
    Brought mine{a, b, add};
    if (a_registers) take(mine.registers, use_registers(const_cast<Word*>(a_registers), 4, "a fragment of A", place).value, 4);
    Registers& sum = use_registers(reinterpret_cast<Word*>(c), 4 * PIECES, "an accumulator", place);
    Lanes<Brought> lanes = warp_exchange(mine, 0xFFFFFFFF, "wgmma.mma_async", false, place);
    EMULATOR_COUNT(Unwatched work;)
    OwnRegisters& own = own_registers();
    if (own.n_issued++ == warps[warp].n)
        start_product<widen>({a, b, 8 * PIECES, own.n_groups, a_registers != nullptr, transposed, place}, lanes, warp, place);
    float* value = reinterpret_cast<float*>(sum.value);
    for (int n = 0; n < PIECES; n++)
        for (int i = 0; i < 4; i++) {
            const float product = product_of_warp[g + i / 2 * 8][8 * n + 2 * t + i % 2];
            value[4 * n + i] = add ? value[4 * n + i] + product : product;
        }
    poison(c, sizeof c);
}

inline void commit_products(const Place& place) {
    warp_exchange(char(0), 0xFFFFFFFF, "wgmma.commit_group", false, place);
    own_registers().n_groups++;
}

// Of the warp: is what its products read still what they read? By the first lane that comes.
inline void check_operands(int warp, int groups, const Place& place) {
    auto& own = warps[warp];
    if (own.block != block_number) return;
    for (; own.first < own.n && own.products[own.first % MOST_PRODUCTS].group < groups; own.first++) {
        const Product& p = own.products[own.first % MOST_PRODUCTS];
        Operands16 now = p.read;
        read_operands(now, p, warp, place);
        if (memcmp(&now, &p.read, sizeof now))
            EMULATOR_FAULT(p.place, "wgmma.mma_async: the matrices in shared memory changed before the product was waited for");
    }
}

inline void wait_products(int but_newest, const Place& place) {
    warp_exchange(char(0), 0xFFFFFFFF, "wgmma.wait_group", false, place);
    current->awaited = &products_awaited;  // as late as can be: everybody else goes on before
    wait(State::waiting, "wgmma.wait_group", place);
    OwnRegisters& own = own_registers();
    const int groups = own.n_groups - but_newest;
    check_operands((current - threads) / 32, groups, place);
    for (int i = 0; i < own.n; i++) {
        Registers& r = own.known[i];
        if (!r.on_their_way || r.group >= groups) continue;
        const bool accumulator = r.n > 4;
        Word left[MOST_COLUMNS / 2];
        poison(left, sizeof left);
        if (!alike(accumulator ? left : r.value, r.at, r.n))
            EMULATOR_FAULT(place, "wgmma.wait_group: %s was written before the wait", accumulator ? "an accumulator" : "a fragment of A");
        take(r.at, r.value, r.n);
        take(r.fenced, r.value, r.n);
        r.on_their_way = false;
    }
}

// ---- setmaxnreg, by all warps of a group ("Miscellaneous Instructions"). How many a block starts with only the GPU's compiler
// knows; here all that are asked for must fit in the 65536 of a multiprocessor. ----

inline struct {
    unsigned long block;
    int registers;
} asked_for[MAX_THREADS / 32];

inline void set_registers(int n, const char* call, const Place& place) {
    warp_exchange(n, 0xFFFFFFFF, call, false, place);
    asked_for[(current - threads) / 32] = {block_number, n};
    int sum = 0;
    for (const auto& warp : asked_for) sum += warp.block == block_number ? 32 * warp.registers : 0;
    if (sum > 65536) EMULATOR_FAULT(place, "%s: the block's groups want %d registers; there are 65536", call, sum);
}

// A block has ended.
inline void check_block_end() {
    check_nothing_on_its_way();
    for (int warp = 0; warp < n_threads / 32; warp++) {
        auto &own = warps[warp], &first = warps[warp / 4 * 4];
        const int n = own.block == block_number ? own.n : 0, others = first.block == block_number ? first.n : 0;
        if (n == others) continue;
        report(threads[warp * 32], threads[warp * 32].place, "wgmma.mma_async: this warp made %d products, another of its group %d", n, others);
        throw Fault{};
    }
}

inline const bool blocks_end_with_a_check = (block_ended = check_block_end, true);

}  // namespace emulator
