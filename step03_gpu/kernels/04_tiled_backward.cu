// Rung 4: FlashAttention's backward. The weights are made again from q, k and lse, tile by tile.
//
// New:    with weights = exp(scores - lse) and delta_i = d_out_i · out_i (the softmax's row sum),
//             d_v = weightsᵀ d_out       d_scores = weights · (d_out vᵀ - delta)
//             d_q = scale d_scores k     d_k = scale d_scoresᵀ q
//         (where lse is large, from largest score and sum, found again: Terms in attention.cuh).
//         One kernel keeps a tile of queries and walks along the keys: d_q. Another keeps a tile of keys and
//         walks along the queries of every head that shares them: d_k, d_v.
// Gain:   of the forward L numbers are kept for each head, not L S. No number is written by two blocks: there
//         are no atomics, and every run gives the same bits. The price: 7 products for 5, 14 L S D FLOP.
// Bound:  the arithmetic, as in rung 3; two sums stay in registers, so the micro-tiles are smaller.
// Dao et al. 2022, algorithm 4, arXiv:2205.14135; the two loops: Dao 2023, section 3.1.2, arXiv:2307.08691.
#include "tiles.cuh"

// Rows that a block keeps, and rows that it takes at a time: 64 (D > 64: 32) and 32 of float, half of double.
template <typename W, int D> constexpr int KEPT = (D > 64 ? 128 : 256) / sizeof(W);
template <typename W> constexpr int TAKEN = 128 / sizeof(W);

// d_out_i · out_i, by a warp: each lane has it in the end.
template <typename T, int D>
__device__ inline Wide<T> row_sum(const T* d_out, const T* out, long long row) {
    // begin task: row-sums
    Wide<T> sum = 0;
    d_out += row * D, out += row * D;
    for (int d = threadIdx.x % 32; d < D; d += 32) sum += to_wide(d_out[d]) * to_wide(out[d]);
    for (int apart = 16; apart > 0; apart /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, apart);
    return sum;
    // end task
}

// A warp for each query.
template <typename T, int D>
__global__ void query_terms(const T* d_out, const T* out, const Wide<T>* lse, Terms<Wide<T>>* terms, Problem p) {
    int i = blockIdx.x * (THREADS / 32) + threadIdx.x / 32, head = blockIdx.y, batch = blockIdx.z;
    if (i >= p.n_queries) return;
    long long row = place(batch, p.heads, head, p.n_queries, i, 1);
    Wide<T> delta = row_sum<T, D>(d_out, out, row);
    if (threadIdx.x % 32 == 0) terms[row] = {0, zero_if_hidden(lse[row]), delta};
}

// Sums the rows of a block again where one has a large lse: see Terms.
template <typename T, int D>
__global__ void __launch_bounds__(THREADS)
sum_again(const T* d_out, const T* q, const T* k, const T* v, const unsigned char* mask, const Wide<T>* lse,
          Terms<Wide<T>>* terms, Problem p) {
    using W = Wide<T>;
    constexpr int ROWS = KEPT<W, D>, COLUMNS = TAKEN<W>, R = ROWS / DOWN, C = COLUMNS / ACROSS;
    extern __shared__ float4 memory[];
    W *queries = (W*)memory, *d_outs = queries + ROWS * STRIDE<W, D>, *keys = d_outs + ROWS * STRIDE<W, D>;
    W* values = keys + COLUMNS * STRIDE<W, D>;
    int across = threadIdx.x % ACROSS, down = threadIdx.x / ACROSS, head = blockIdx.y, batch = blockIdx.z;
    int first = blockIdx.x * ROWS, last = min(first + ROWS, p.n_queries) - 1, mine = first + threadIdx.x;
    long long top = place(batch, p.heads, head, p.n_queries, 0, 1);
    if (!__syncthreads_or(mine <= last && is_far<T>(lse[top + mine]))) return;

    W sign = p.scale < 0 ? -1 : 1, scale = larger(W(p.scale) * sign, W(1e-30));  // 0 times infinity would be no number
    k += place(batch, p.kv_heads, kv_head(p, head), p.n_keys, 0, D);
    v += place(batch, p.kv_heads, kv_head(p, head), p.n_keys, 0, D);
    load_tile<ROWS, D>(queries, q + top * D, first, p.n_queries);
    load_tile<ROWS, D>(d_outs, d_out + top * D, first, p.n_queries);
    RunningSum<W> sums[R];
    W weighted[R] = {};
    for (int start = first_key(p, first) / COLUMNS * COLUMNS; start < end_key(p, last); start += COLUMNS) {
        // begin task: sum-loads
        __syncthreads();  // the tile before has been used
        load_tile<COLUMNS, D>(keys, k, start, p.n_keys);
        load_tile<COLUMNS, D>(values, v, start, p.n_keys);
        __syncthreads();
        // end task
        W scores[R][C], d_weights[R][C];
        multiply_rows<D>(scores, queries, keys, down, across);
        multiply_rows<D>(d_weights, d_outs, values, down, across);
        for (int r = 0; r < R; ++r)
            for (int c = 0; c < C; ++c) {
                if (!visible(p, mask, batch, head, first + down + DOWN * r, start + across + ACROSS * c)) continue;
                auto factors = sums[r].add({sign * scores[r][c], 1}, scale);
                weighted[r] = weighted[r] * factors.own + d_weights[r][c] * factors.other;
            }
    }
    for (int r = 0; r < R; ++r) {
        RunningSum<W> sum = sums[r];
        for (int apart = 8; apart > 0; apart /= 2) {
            RunningSum<W> other{__shfl_xor_sync(0xffffffffu, sum.largest, apart),
                                __shfl_xor_sync(0xffffffffu, sum.total, apart)};
            W other_weighted = __shfl_xor_sync(0xffffffffu, weighted[r], apart);
            auto factors = sum.add(other, scale);
            weighted[r] = weighted[r] * factors.own + other_weighted * factors.other;
        }
        int i = first + down + DOWN * r;
        if (across || i >= p.n_queries || !is_far<T>(lse[top + i]) || !sum.belongs_to(lse[top + i], scale)) continue;
        terms[top + i] = {sign * sum.largest, logarithm(sum.total), weighted[r] / sum.total};
    }
}

// One score and one d_weight become one weight and one d_score (without the scale, which comes last).
template <typename W>
__device__ inline void differentiate(W& score, W& d_weight, bool seen, W scale, Terms<W> terms) {
    // begin task: differentiate
    W weight = seen ? exponential((score - terms.reference) * scale - terms.rest) : W(0);
    d_weight = weight * (d_weight - terms.delta);
    score = weight;
    // end task
}

template <typename T, int D>
__global__ void __launch_bounds__(THREADS)
query_gradients(const T* d_out, const T* q, const T* k, const T* v, const unsigned char* mask,
                const Terms<Wide<T>>* terms, T* d_q, Problem p) {
    using W = Wide<T>;
    constexpr int ROWS = KEPT<W, D>, COLUMNS = TAKEN<W>, R = ROWS / DOWN, C = COLUMNS / ACROSS;
    extern __shared__ float4 memory[];
    W *queries = (W*)memory, *d_outs = queries + ROWS * STRIDE<W, D>, *keys = d_outs + ROWS * STRIDE<W, D>;
    W *values = keys + COLUMNS * STRIDE<W, D>, *shared_d_scores = values + COLUMNS * STRIDE<W, D>;

    int across = threadIdx.x % ACROSS, down = threadIdx.x / ACROSS, head = blockIdx.y, batch = blockIdx.z;
    int first = (gridDim.x - 1 - blockIdx.x) * ROWS, last = min(first + ROWS, p.n_queries) - 1;
    long long top = place(batch, p.heads, head, p.n_queries, 0, 1);
    k += place(batch, p.kv_heads, kv_head(p, head), p.n_keys, 0, D);
    v += place(batch, p.kv_heads, kv_head(p, head), p.n_keys, 0, D);
    load_tile<ROWS, D>(queries, q + top * D, first, p.n_queries);
    load_tile<ROWS, D>(d_outs, d_out + top * D, first, p.n_queries);

    W sum[R][GROUPS<D>][NEIGHBOURS<D>] = {};
    for (int start = first_key(p, first) / COLUMNS * COLUMNS; start < end_key(p, last); start += COLUMNS) {
        // begin task: barriers
        __syncthreads();  // the tile before has been used
        load_tile<COLUMNS, D>(keys, k, start, p.n_keys);
        load_tile<COLUMNS, D>(values, v, start, p.n_keys);
        __syncthreads();
        // end task
        W weights[R][C], d_scores[R][C];
        multiply_rows<D>(weights, queries, keys, down, across);
        multiply_rows<D>(d_scores, d_outs, values, down, across);
        for (int r = 0; r < R; ++r)
            for (int c = 0; c < C; ++c) {
                int i = first + down + DOWN * r, j = start + across + ACROSS * c;
                long long row = top + min(i, p.n_queries - 1);
                bool seen = visible(p, mask, batch, head, i, j);
                differentiate(weights[r][c], d_scores[r][c], seen, W(p.scale), terms[row]);
            }
        store_tile<COLUMNS>(shared_d_scores, d_scores, down, across);
        __syncwarp();  // a row is written and read by one half of a warp
        add_product<COLUMNS, D>(sum, shared_d_scores, keys, down, across);
    }
    for (int r = 0; r < R; ++r) {
        int i = first + down + DOWN * r;
        if (i < p.n_queries) store_row<D>(d_q + (top + i) * D, sum[r], W(p.scale), across);
    }
}

template <typename T, int D>
__global__ void __launch_bounds__(THREADS)
key_value_gradients(const T* d_out, const T* q, const T* k, const T* v, const unsigned char* mask,
                    const Terms<Wide<T>>* terms, T* d_k, T* d_v, Problem p) {
    using W = Wide<T>;
    constexpr int ROWS = KEPT<W, D>, COLUMNS = TAKEN<W>, R = ROWS / DOWN, C = COLUMNS / ACROSS;
    extern __shared__ float4 memory[];
    W *keys = (W*)memory, *values = keys + ROWS * STRIDE<W, D>, *queries = values + ROWS * STRIDE<W, D>;
    W *d_outs = queries + COLUMNS * STRIDE<W, D>, *shared_weights = d_outs + COLUMNS * STRIDE<W, D>;
    W* shared_d_scores = shared_weights + ROWS * STRIDE<W, COLUMNS>;

    int across = threadIdx.x % ACROSS, down = threadIdx.x / ACROSS, own_head = blockIdx.y, batch = blockIdx.z;
    int first = blockIdx.x * ROWS, last = min(first + ROWS, p.n_keys) - 1, group = p.heads / p.kv_heads;
    long long own = place(batch, p.kv_heads, own_head, p.n_keys, 0, D);
    load_tile<ROWS, D>(keys, k + own, first, p.n_keys);
    load_tile<ROWS, D>(values, v + own, first, p.n_keys);

    W sum_k[R][GROUPS<D>][NEIGHBOURS<D>] = {}, sum_v[R][GROUPS<D>][NEIGHBOURS<D>] = {};
    for (int head = own_head * group; head < (own_head + 1) * group; ++head) {
        long long top = place(batch, p.heads, head, p.n_queries, 0, 1);
        int start = first_query(p, first) / COLUMNS * COLUMNS, end = end_query(p, last);
        for (; start < end; start += COLUMNS) {
            // begin task: key-loads
            __syncthreads();  // the tile before has been used
            load_tile<COLUMNS, D>(queries, q + top * D, start, p.n_queries);
            load_tile<COLUMNS, D>(d_outs, d_out + top * D, start, p.n_queries);
            __syncthreads();
            // end task
            W weights[R][C], d_scores[R][C];  // both transposed: a row for each key
            multiply_rows<D>(weights, keys, queries, down, across);
            multiply_rows<D>(d_scores, values, d_outs, down, across);
            for (int c = 0; c < C; ++c) {
                int i = start + across + ACROSS * c;
                long long row = top + min(i, p.n_queries - 1);
                for (int r = 0; r < R; ++r) {
                    bool seen = visible(p, mask, batch, head, i, first + down + DOWN * r);
                    differentiate(weights[r][c], d_scores[r][c], seen, W(p.scale), terms[row]);
                }
            }
            store_tile<COLUMNS>(shared_weights, weights, down, across);
            store_tile<COLUMNS>(shared_d_scores, d_scores, down, across);
            __syncwarp();
            add_product<COLUMNS, D>(sum_v, shared_weights, d_outs, down, across);
            add_product<COLUMNS, D>(sum_k, shared_d_scores, queries, down, across);
        }
    }
    for (int r = 0; r < R; ++r) {
        int j = first + down + DOWN * r;
        if (j >= p.n_keys) continue;
        store_row<D>(d_k + own + (long long)j * D, sum_k[r], W(p.scale), across);
        store_row<D>(d_v + own + (long long)j * D, sum_v[r], W(1), across);
    }
}
