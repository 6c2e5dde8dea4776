// Rung 3: FlashAttention's forward. Tiles of queries, keys and values in shared memory.
//
// New:    a block keeps TILE queries and walks along the keys in tiles of TILE. What rung 2 does for one query
//         and one key it does for TILE x TILE of them, by two small matrix products in registers (tiles.cuh).
// Gain:   keys and values come from memory (mostly from the L2 cache) once for TILE queries, a 64th of rung
//         2's traffic, and a number from shared memory serves 2.7 to 4 multiplications. Maximum, shuffles
//         and rescaling come once a tile, not once a key.
//         Copies go past the registers and run ahead (cp.async): the values' while the keys are multiplied, the
//         next keys' while the values are. Only a tile that the edge of what is visible crosses asks for each score.
// Bound:  the arithmetic itself, 4 L S D FLOP at the rate of the CUDA cores. Of the compiled code for sm_90 at D = 128,
//         not measured: a warp's tile is some 10,700 instructions where all is visible, 8,360 of them FFMA, 78 %. With
//         a question for each score and copies through the registers it is 12,200 and 70 %, and both copies are waited
//         for before a product begins. 255 registers and 108 KiB a block: 8 warps a multiprocessor.
// Dao et al. 2022, algorithm 1, arXiv:2205.14135; Dao 2023, algorithm 1, arXiv:2307.08691.
#include "tiles.cuh"

template <typename W> constexpr int TILE = 256 / sizeof(W);  // rows: 64 of float, 32 of double

template <typename W> __device__ W largest_of_row(W x) {  // over the 16 threads that share a row
    // begin task: row-largest
    for (int apart = 8; apart > 0; apart /= 2) x = larger(x, __shfl_xor_sync(0xffffffffu, x, apart));
    // end task
    return x;
}

template <typename W> __device__ W sum_of_row(W x) {
    // begin task: row-sum
    for (int apart = 8; apart > 0; apart /= 2) x += __shfl_xor_sync(0xffffffffu, x, apart);
    // end task
    return x;
}

// Sets scores to -inf where the query may not see the key; row i and column j are the thread's first.
template <int R, int C, typename W>
__device__ void hide(W (&scores)[R][C], const Problem& p, const unsigned char* mask, int batch, int head, int i, int j) {
    for (int r = 0; r < R; ++r)
        for (int c = 0; c < C; ++c)
            if (!visible(p, mask, batch, head, i + DOWN * r, j + ACROSS * c)) scores[r][c] = minus_infinity<W>();
}

template <typename T, int D>
__global__ void __launch_bounds__(THREADS, 2)
tiled(const T* q, const T* k, const T* v, const unsigned char* mask, T* out, Wide<T>* lse, Problem p) {
    using W = Wide<T>;
    constexpr int SIZE = TILE<W>, HALF = SIZE / 2, R = SIZE / DOWN, C = SIZE / ACROSS;
    extern __shared__ float4 memory[];
    W *queries = (W*)memory, *keys = queries + SIZE * STRIDE<W, D>, *values = keys + SIZE * STRIDE<W, D>;
    W* shared_weights = values + SIZE * STRIDE<W, D>;  // those of half a tile's keys, and then of the others

    int across = threadIdx.x % ACROSS, down = threadIdx.x / ACROSS, head = blockIdx.y, batch = blockIdx.z;
    int first = (gridDim.x - 1 - blockIdx.x) * SIZE;  // from the end: under a causal mask it has most to do
    int last = min(first + SIZE, p.n_queries) - 1, begin = first_key(p, first) / SIZE * SIZE, end = end_key(p, last);
    k += place(batch, p.kv_heads, kv_head(p, head), p.n_keys, 0, D);
    v += place(batch, p.kv_heads, kv_head(p, head), p.n_keys, 0, D);
    start_tile<SIZE, D>(queries, q + place(batch, p.heads, head, p.n_queries, 0, D), first, p.n_queries);
    start_tile<SIZE, D>(keys, k, begin, end);
    commit_copies();

    W sum[R][GROUPS<D>][NEIGHBOURS<D>] = {}, largest[R], total[R] = {};
    for (int r = 0; r < R; ++r) largest[r] = minus_infinity<W>();

    for (int start = begin; start < end; start += SIZE) {
        wait_copies<0>();
        __syncthreads();  // the keys have come, and no thread needs the values before them any more
        start_tile<SIZE, D>(values, v, start, end);
        commit_copies();
        W weights[R][C];
        multiply_rows<D>(weights, queries, keys, down, across);  // the scores, at first

        wait_copies<0>();
        __syncthreads();  // the values have come, and no thread needs these keys any more
        if (start + SIZE < end) start_tile<SIZE, D>(keys, k, start + SIZE, end);
        commit_copies();
        for (int r = 0; r < R; ++r)
            for (int c = 0; c < C; ++c) weights[r][c] *= W(p.scale);
        if (!all_visible(p, mask, first, SIZE, start, SIZE))
            hide(weights, p, mask, batch, head, first + down, start + across);
        for (int r = 0; r < R; ++r) {
            W before = largest[r];
            for (int c = 0; c < C; ++c) largest[r] = larger(largest[r], weights[r][c]);
            // begin task: rescale
            largest[r] = largest_of_row(largest[r]);
            W reference = zero_if_hidden(largest[r]), rescale = exponential(before - reference);
            total[r] *= rescale;  // each thread sums its own columns; they are added up at the end
            for (int c = 0; c < C; ++c) total[r] += weights[r][c] = exponential(weights[r][c] - reference);
            for (int g = 0; g < GROUPS<D>; ++g)
                for (int n = 0; n < NEIGHBOURS<D>; ++n) sum[r][g][n] *= rescale;
            // end task
        }
        store_tile<HALF>(shared_weights, weights, down, across);
        __syncwarp();  // a row's weights are written and read by one half of a warp
        add_product<HALF, D>(sum, shared_weights, values, down, across);
        __syncwarp();  // the first half has been used
        store_tile<HALF, C / 2>(shared_weights, weights, down, across);
        __syncwarp();
        add_product<HALF, D>(sum, shared_weights, values + HALF * STRIDE<W, D>, down, across);
    }
    for (int r = 0; r < R; ++r) {
        W row_total = sum_of_row(total[r]);
        int i = first + down + DOWN * r;
        if (i >= p.n_queries) continue;
        long long row = place(batch, p.heads, head, p.n_queries, i, 1);
        store_row<D>(out + row * D, sum[r], 1 / (row_total == 0 ? 1 : row_total), across);
        if (across == 0) lse[row] = largest[r] + logarithm(row_total);
    }
}
