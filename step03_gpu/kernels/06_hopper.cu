// Rung 6: FlashAttention-3's forward, for Hopper: 16-bit inputs, compute capability 9.0 alone.
//
// New:    tensor cores read shared memory themselves, 64 x 128 x 16 numbers an instruction of a group of four warps (wgmma), and
//         go on while their threads do. Two groups compute, and a thread of a third has all tiles copied, a box at an
//         instruction (ptx_hopper.cuh): it waits only where there is no room, so copies run up to four tiles ahead, and its
//         group's registers go to the others. Who waits for whom is told by barriers in memory, not by __syncthreads: a slot
//         is full, a slot is empty. The two groups take turns: one's products run while the other's weights are computed.
// Gain:   rung 5 spends registers and instructions on bringing operands to the tensor cores, 80 ldmatrix for 256 products; here
//         there is none, and an instruction has 262144 FLOP. mma reaches some 60 % of what Hopper's tensor cores can do.
// Bound:  tensor cores, if turns hide the rest: with a tile of 128 keys at D = 128 a group's two products are 4.2 MFLOP, 1024
//         clocks at 4096 FLOP a clock. Its weights are 8192 powers of 2, 512 clocks at 16 a clock, and some four other
//         operations for each, 256 clocks at 128 a clock: 768 in the shadow of the other group's 1024. At D = 64 the
//         products are half of that, and the weights the bound. Counted, not measured: no GPU has run it yet.
// Left:   within a group nothing overlaps: the paper's second idea, the next scores while these are weighed, needs 64 registers
//         more. A block keeps its queries to the end (no persistent blocks), and copies serve one block (no clusters).
// Shah et al. 2024, algorithm 1 and section 3.1, arXiv:2407.08608.
#include "warp_group_tiles.cuh"

constexpr int GROUPS = 2;                    // that compute; a third one has copied
constexpr int THREADS = (GROUPS + 1) * 128;  // a group is four warps
constexpr int QUERIES = 64, KEYS = ROWS;     // of a group, and of a tile; the queries of both groups are a tile too
constexpr int SLOTS = 4;                     // tiles that shared memory has room for beside the queries

// A block's shared memory: the queries, the slots, and behind them the barriers.
template <int D>
struct Memory {
    Shared start;
    __device__ __forceinline__ Shared queries(int group) const { return start + group * QUERIES * ROW_BYTES; }
    __device__ __forceinline__ Shared slot(int n) const { return start + (1 + n % SLOTS) * TILE_BYTES<D>; }
    __device__ __forceinline__ Shared barrier(int n) const { return start + (1 + SLOTS) * TILE_BYTES<D> + 8 * n; }
    __device__ __forceinline__ Shared queries_full() const { return barrier(0); }
    __device__ __forceinline__ Shared turn(int group) const { return barrier(1 + group); }
    __device__ __forceinline__ Shared full(int n) const { return barrier(1 + GROUPS + n % SLOTS); }
    __device__ __forceinline__ Shared empty(int n) const { return barrier(1 + GROUPS + SLOTS + n % SLOTS); }
};

// Tiles are counted: of pair j the keys are tile 2 j, the values tile 2 j + 1. Tile n is the n / SLOTS-th of its slot, and so is
// the phase of the slot's barriers; `empty` is one behind, since no slot has to be emptied before it is first filled.
__device__ __forceinline__ int parity(int n) { return n / SLOTS & 1; }

template <int D>
__device__ void copy_tile(Shared to, const TensorMap& map, int row, int head, Shared full) {
    arrive_expecting(full, TILE_BYTES<D>);
    for (int panel = 0; panel < D / 64; ++panel) copy_box(to + panel * PANEL, map, panel * 64, row, head, full);
}

// The four lanes that share a row
__device__ __forceinline__ float largest_of_row(float x) {
    x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 1));
    return fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 2));
}
__device__ __forceinline__ float sum_of_row(float x) {
    x += __shfl_xor_sync(0xffffffffu, x, 1);
    return x + __shfl_xor_sync(0xffffffffu, x, 2);
}

// Scores become weights, 2^((score - reference) · unit), and what was summed so far is scaled to the new reference: rung 5's two
// functions, for 16 rows a warp. The reference is an old largest score as long as no weight exceeds 2^8.
template <int D>
__device__ __forceinline__ void weigh(float (&scores)[KEYS / 8][4], float (&sum)[D / 8][4], float (&reference)[2],
                                      float (&total)[2], float unit) {
    float rescale[2];
    bool raised = false;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        float largest = minus_infinity<float>(), before = reference[half];
#pragma unroll
        for (int n = 0; n < KEYS / 8; ++n) largest = fmaxf(largest, fmaxf(scores[n][2 * half], scores[n][2 * half + 1]));
        largest = largest_of_row(largest);
        const bool too_large = (largest - before) * unit > 8;
        if (too_large) reference[half] = largest;
        rescale[half] = exp2_approximate((before - zero_if_hidden(reference[half])) * unit);
        raised |= too_large;
    }
    if (__any_sync(0xffffffffu, raised)) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            if (i % 2 == 0) total[i / 2] *= rescale[i / 2];
#pragma unroll
            for (int n = 0; n < D / 8; ++n) sum[n][i] *= rescale[i / 2];
        }
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const float zero = zero_if_hidden(reference[i / 2]);
#pragma unroll
        for (int n = 0; n < KEYS / 8; ++n) total[i / 2] += scores[n][i] = exp2_approximate((scores[n][i] - zero) * unit);
    }
}

template <typename T, int D>
__global__ void __launch_bounds__(THREADS, 1)
attend(T* out, float* lse, const __grid_constant__ TensorMap q, const __grid_constant__ TensorMap k,
       const __grid_constant__ TensorMap v, const unsigned char* mask, Problem p) {
    extern __shared__ __align__(1024) float4 memory[];  // as panels want it
    const Memory<D> here{shared_address(memory)};
    const int head = blockIdx.y, batch = blockIdx.z;
    const int warp = __shfl_sync(0xffffffffu, threadIdx.x / 32, 0), group = warp / 4;  // the compiler sees: alike in a warp
    const int first = (gridDim.x - 1 - blockIdx.x) * ROWS, last = min(first + ROWS, p.n_queries) - 1;
    const int begin = first_key(p, first) / KEYS * KEYS, end = end_key(p, last);
    const int pairs = max(1, (end - begin + KEYS - 1) / KEYS);  // where nothing is visible, a tile that is all hidden

    if (threadIdx.x == 0) {
        init_barrier(here.queries_full(), 1);
        for (int g = 0; g < GROUPS; ++g) init_barrier(here.turn(g), 4);
        for (int n = 0; n < SLOTS; ++n) {
            init_barrier(here.full(n), 1);            // the thread that has copied; and the bytes
            init_barrier(here.empty(n), 4 * GROUPS);  // a lane of each warp that computes
        }
        fence_async_proxy();
    }
    __syncthreads();

    if (group == GROUPS) {
        take_registers<24, false>();
        if (warp > 4 * GROUPS || lane() > 0) return;
        const int kv_row = batch * p.kv_heads + kv_head(p, head);
        copy_tile<D>(here.queries(0), q, first, batch * p.heads + head, here.queries_full());
        for (int n = 0; n < 2 * pairs; ++n) {
            wait_phase(here.empty(n), parity(n) ^ 1);
            copy_tile<D>(here.slot(n), n % 2 ? v : k, begin + n / 2 * KEYS, kv_row, here.full(n));
        }
        return;
    }

    take_registers<240, true>();
    const int own = first + warp * 16;  // the first query of this warp
    const float unit = float(p.scale) * LOG2_E;
    float scores[1][KEYS / 8][4], sum[D / 8][4] = {};
    float total[2] = {}, reference[2] = {minus_infinity<float>(), minus_infinity<float>()};
    unsigned weights[KEYS / 16][4];
    auto release = [&](int n) { if (lane() == 0) arrive(here.empty(n)); };

    wait_phase(here.queries_full(), 0);
    wait_phase(here.full(0), 0);
    pin(scores[0]);
    fence_products();
    start_product_of_rows<T, D>(scores[0], here.queries(group), here.slot(0));
    commit_products();
    wait_products<0>();
    release(0);
    for (int pair = 0;; ++pair) {
        const int values = 2 * pair + 1, next_keys = values + 1;
        pin(scores[0]), pin(sum);
        hide<false>(scores, p, mask, batch, head, own, begin + pair * KEYS);
        weigh<D>(scores[0], sum, reference, total, unit);
        pack_rows<T>(weights, scores[0]);
        wait_phase(here.full(values), parity(values));
        if (pair + 1 == pairs) break;

        wait_phase(here.full(next_keys), parity(next_keys));
        wait_phase(here.turn(group), pair & 1 ^ (group == 0));  // group 0 begins
        pin(scores[0]), pin(sum);
        fence_products();
        start_product<T, D>(sum, weights, here.slot(values));
        start_product_of_rows<T, D>(scores[0], here.queries(group), here.slot(next_keys));
        commit_products();
        if (lane() == 0) arrive(here.turn(1 - group));
        wait_products<0>();
        release(values), release(next_keys);
    }
    pin(sum);
    fence_products();
    start_product<T, D>(sum, weights, here.slot(2 * pairs - 1));
    commit_products();
    wait_products<0>();
    pin(sum);

    const long long top = place(batch, p.heads, head, p.n_queries, 0, 1);
    float inverse[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const float row_total = sum_of_row(total[half]);
        const int row = own + row_of(0, half);
        inverse[half] = 1 / (row_total == 0 ? 1 : row_total);
        if (lane() % 4 == 0 && row < p.n_queries) lse[top + row] = reference[half] * float(p.scale) + log2f(row_total) * LN_2;
    }
    store_rows<T, D>(out + top * D, sum, inverse[0], inverse[1], own, p.n_queries);
}
