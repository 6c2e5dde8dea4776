// Rung 3: FlashAttention's forward. Tiles of queries, keys and values in shared memory.
//
// New:    a block keeps TILE queries and walks along the keys in tiles of TILE. What rung 2 does for one query
//         and one key it does for TILE x TILE of them, by two small matrix products in registers (tiles.cuh).
// Gain:   keys and values come from memory (mostly from the L2 cache) once for TILE queries, a 64th of rung
//         2's traffic, and a number from shared memory serves 2.7 to 4 multiplications. Maximum, shuffles
//         and rescaling come once a tile, not once a key.
// Bound:  the arithmetic itself, 4 L S D FLOP at the rate of the CUDA cores.
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

template <typename T, int D>
__global__ void __launch_bounds__(THREADS, 2)
tiled(const T* q, const T* k, const T* v, const unsigned char* mask, T* out, Wide<T>* lse, Problem p) {
    using W = Wide<T>;
    constexpr int SIZE = TILE<W>, R = SIZE / DOWN, C = SIZE / ACROSS;
    extern __shared__ float4 memory[];
    W *queries = (W*)memory, *values = queries + SIZE * STRIDE<W, D>, *keys = values + SIZE * STRIDE<W, D>;
    W* shared_weights = keys;  // they take the keys' place once these have been used

    int across = threadIdx.x % ACROSS, down = threadIdx.x / ACROSS, head = blockIdx.y, batch = blockIdx.z;
    int first = (gridDim.x - 1 - blockIdx.x) * SIZE;  // from the end: under a causal mask it has most to do
    int last = min(first + SIZE, p.n_queries) - 1;
    k += place(batch, p.kv_heads, kv_head(p, head), p.n_keys, 0, D);
    v += place(batch, p.kv_heads, kv_head(p, head), p.n_keys, 0, D);
    load_tile<SIZE, D>(queries, q + place(batch, p.heads, head, p.n_queries, 0, D), first, p.n_queries);

    W sum[R][GROUPS<D>][NEIGHBOURS<D>] = {}, largest[R], total[R] = {};
    for (int r = 0; r < R; ++r) largest[r] = minus_infinity<W>();

    for (int start = first_key(p, first) / SIZE * SIZE; start < end_key(p, last); start += SIZE) {
        // begin task: barriers
        __syncthreads();  // the tile before has been used
        load_tile<SIZE, D>(keys, k, start, p.n_keys);
        load_tile<SIZE, D>(values, v, start, p.n_keys);
        __syncthreads();
        // end task

        W weights[R][C];
        multiply_rows<D>(weights, queries, keys, down, across);  // the scores, at first
        for (int r = 0; r < R; ++r) {
            W before = largest[r];
            for (int c = 0; c < C; ++c) {
                int i = first + down + DOWN * r, j = start + across + ACROSS * c;
                bool seen = visible(p, mask, batch, head, i, j);
                weights[r][c] = seen ? weights[r][c] * W(p.scale) : minus_infinity<W>();
                largest[r] = larger(largest[r], weights[r][c]);
            }
            // begin task: rescale
            largest[r] = largest_of_row(largest[r]);
            W reference = zero_if_hidden(largest[r]), rescale = exponential(before - reference);
            total[r] *= rescale;  // each thread sums its own columns; they are added up at the end
            for (int c = 0; c < C; ++c) total[r] += weights[r][c] = exponential(weights[r][c] - reference);
            for (int g = 0; g < GROUPS<D>; ++g)
                for (int n = 0; n < NEIGHBOURS<D>; ++n) sum[r][g][n] *= rescale;
            // end task
        }
        __syncthreads();  // the keys have been used
        store_tile<SIZE>(shared_weights, weights, down, across);
        __syncwarp();  // a row's weights are written and read by one half of a warp
        add_product<SIZE, D>(sum, shared_weights, values, down, across);
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
