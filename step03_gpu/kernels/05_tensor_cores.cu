// Rung 5: FlashAttention-2's forward on tensor cores, for 16-bit inputs.
//
// New:    products of 16 x 16 and 16 x 8 pieces, one instruction of a warp each (ptx.cuh). A warp keeps 32 queries; the
//         scores it computes are, rounded to 16 bits, the left operand of the next product: they never leave their lanes.
//         Keys and values come by asynchronous copies, values while the keys are multiplied, the next keys while the
//         values are. Shared memory is permuted, so that no two lanes meet in a bank (warp_tiles.cuh). A warp leaves out
//         tiles that are hidden from all its queries: 2 of 8 where a block meets the causal diagonal, one of 18 under a
//         window of 1024 keys.
// Gain:   4096 FLOP an instruction, where rung 3's has 64. Of K and V a block reads 4 D bytes a key for 4 · 128 · D FLOP:
//         128 FLOP/byte, 40 times less than the second-level cache gives. From shared memory 16 rows of 16 numbers, 512
//         bytes, serve four instructions; with 16 queries a warp it would be two, and shared memory the bound.
// Bound:  tensor cores, then what stands between two products. Of the compiled code for sm_90 at D = 128, not measured:
//         255 registers and 64 KiB a block, so 8 warps a multiprocessor; a warp's tile is some 1000 instructions, of
//         them 256 products (taken as 6.4 clocks each, 60 % of the peak, since this is not Hopper's fastest way),
//         80 ldmatrix, 68 ex2, 128 multiplications that are left out in most tiles. Two warps share a scheduler:
//         3300 clocks of products, 1100 of ex2, 1500 of the rest. Expected from 330 (nothing overlaps) to at most
//         590 TFLOP/s (all does) at 132 multiprocessors and 1.75 GHz. Where the band of visible keys ends within a tile,
//         its 64 scores a lane cost two comparisons each, some 380 instructions; asked one by one they were 2,800, and
//         the loop 3,880 instructions long instead of 1,460.
// Dao 2023, algorithm 1, arXiv:2307.08691.
#include "warp_tiles.cuh"

constexpr int THREADS = 128;            // 4 warps
constexpr int ROWS = 2;                 // times 16 rows: the queries of a warp
constexpr int QUERIES = 4 * 16 * ROWS;  // of a block: 128
constexpr int KEYS = 64;                // of a tile

using Scores = float[ROWS][KEYS / 8][4];
using RowNumbers = float[ROWS][2];  // one number for each row that a lane has a share of

// The four lanes that share a row
__device__ __forceinline__ float largest_of_row(float x) {
    x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 1));
    return fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 2));
}

__device__ __forceinline__ float sum_of_row(float x) {
    x += __shfl_xor_sync(0xffffffffu, x, 1);
    return x + __shfl_xor_sync(0xffffffffu, x, 2);
}

// Weights are 2^((score - reference) · unit). The difference comes first, and is exact near the largest score: score · unit
// alone, where it is large, loses more digits than 2^x can bear. The reference is a row's largest score, but an old one
// serves as long as no weight exceeds 2^8: then nothing has to be rescaled, which after the first tiles is the rule.
template <int D>
__device__ __forceinline__ void raise_reference(RowNumbers& reference, RowNumbers& total, float (&sum)[ROWS][D / 8][4],
                                                const Scores& scores, float unit) {
    RowNumbers rescale;
    bool raised = false;
#pragma unroll
    for (int m = 0; m < ROWS; ++m)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            float largest = minus_infinity<float>(), before = reference[m][half];
#pragma unroll
            for (int n = 0; n < KEYS / 8; ++n)
                largest = fmaxf(largest, fmaxf(scores[m][n][2 * half], scores[m][n][2 * half + 1]));
            largest = largest_of_row(largest);
            bool too_large = (largest - before) * unit > 8;
            if (too_large) reference[m][half] = largest;
            rescale[m][half] = exp2_approximate((before - zero_if_hidden(reference[m][half])) * unit);
            raised |= too_large;
        }
    if (!__any_sync(0xffffffffu, raised)) return;
#pragma unroll
    for (int m = 0; m < ROWS; ++m)
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            if (i % 2 == 0) total[m][i / 2] *= rescale[m][i / 2];
#pragma unroll
            for (int n = 0; n < D / 8; ++n) sum[m][n][i] *= rescale[m][i / 2];
        }
}

// Scores become weights, and each lane adds its own to the totals; rows are added up at the end.
__device__ __forceinline__ void weigh(Scores& scores, const RowNumbers& reference, RowNumbers& total, float unit) {
#pragma unroll
    for (int m = 0; m < ROWS; ++m)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            float zero = zero_if_hidden(reference[m][half]);
#pragma unroll
            for (int n = 0; n < KEYS / 8; ++n)
#pragma unroll
                for (int i = 2 * half; i < 2 * half + 2; ++i)
                    total[m][half] += scores[m][n][i] = exp2_approximate((scores[m][n][i] - zero) * unit);
        }
}

template <typename T, int D>
__global__ void __launch_bounds__(THREADS, 2)
attend(const T* q, const T* k, const T* v, const unsigned char* mask, T* out, float* lse, Problem p) {
    extern __shared__ __align__(128) float4 memory[];  // as Tile wants it
    const Tile<D> queries{shared_address(memory)}, keys = queries.below(QUERIES), values = keys.below(KEYS);
    const int head = blockIdx.y, batch = blockIdx.z;
    const int first = (gridDim.x - 1 - blockIdx.x) * QUERIES, last = min(first + QUERIES, p.n_queries) - 1;
    const int own = first + threadIdx.x / 32 * 16 * ROWS;  // the first query of this warp
    const int begin = first_key(p, first) / KEYS * KEYS, end = end_key(p, last);
    const float unit = float(p.scale) * LOG2_E;
    const long long top = place(batch, p.heads, head, p.n_queries, 0, 1);
    long long tile = place(batch, p.kv_heads, kv_head(p, head), p.n_keys, begin, D);  // where it begins, in k and in v

    load_tile<QUERIES, THREADS>(queries, q + (top + first) * D, p.n_queries - first);
    load_tile<KEYS, THREADS>(keys, k + tile, p.n_keys - begin);
    commit_copies();

    float sum[ROWS][D / 8][4] = {};
    RowNumbers reference, total = {};
    for (int m = 0; m < ROWS; ++m) reference[m][0] = reference[m][1] = minus_infinity<float>();

    for (int start = begin; start < end; start += KEYS) {
        wait_copies<0>();
        __syncthreads();  // the keys have come, and no warp needs the values before them any more
        load_tile<KEYS, THREADS>(values, v + tile, p.n_keys - start);
        commit_copies();
        Scores scores = {};
        if (any_visible(p, own, 16 * ROWS, start, KEYS))  // by this warp's queries; asked anew, not kept in registers
            add_product_of_rows<T>(scores, queries.below(own - first), keys);

        wait_copies<0>();
        __syncthreads();  // the values have come, and no warp needs these keys any more
        tile += KEYS * D;
        if (start + KEYS < end) load_tile<KEYS, THREADS>(keys, k + tile, p.n_keys - start - KEYS);
        commit_copies();
        if (!any_visible(p, own, 16 * ROWS, start, KEYS)) continue;
        hide<false>(scores, p, mask, batch, head, own, start);
        raise_reference<D>(reference, total, sum, scores, unit);
        weigh(scores, reference, total, unit);
        add_product<T>(sum, scores, values);
    }

    const long long own_head = place(batch, p.heads, fresh(head), p.n_queries, 0, 1);  // top, not kept through the loop
#pragma unroll
    for (int m = 0; m < ROWS; ++m) {
        float inverse[2];
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            float row_total = sum_of_row(total[m][half]);
            int row = own + row_of(m, half);
            inverse[half] = 1 / (row_total == 0 ? 1 : row_total);
            if (lane() % 4 == 0 && row < p.n_queries)
                lse[own_head + row] = (reference[m][half] * unit + log2f(row_total)) * LN_2;
        }
        store_rows<T, D>(out + own_head * D, sum[m], inverse[0], inverse[1], own + 16 * m, p.n_queries);
    }
}
