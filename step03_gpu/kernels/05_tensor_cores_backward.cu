// Rung 5, backward: rung 4's two loops on tensor cores.
//
// New:    a block that keeps keys computes scores and d_weights transposed, a row for each key: so both are at once the left
//         operands of d_v and d_k, and nothing but inputs passes through shared memory. What is taken is there twice: one
//         tile in use, one on its way. A warp leaves out tiles that are hidden from all its rows: where a block meets the
//         causal diagonal 6 of 16 for queries, and for keys, at D = 128, 12 of 32.
// Gain:   7 products, 14 L S D FLOP, at the rate of tensor cores; no atomics, the same bits in every run.
// Bound:  of the compiled code for sm_90 at D = 128, not measured. For keys a warp's tile has 128 products and 80 ldmatrix:
//         8 warps spend 2600 clocks of shared memory on 1650 of tensor cores, some 350 TFLOP/s at most. For queries,
//         32 to a warp, 192 products and 80 ldmatrix: 2560 on 2460, at most 570. Together, as others count (5 products,
//         10 L S D FLOP), at most 300 TFLOP/s; half to two thirds of that are expected, 150 to 200.
// Dao 2023, algorithm 2 and section 3.1.2, arXiv:2307.08691.
#include "warp_tiles.cuh"

constexpr int KEPT = 128;  // rows that a block keeps: its queries, or its keys
template <int D> constexpr int QUERIES = D > 96 ? 32 : 64;  // rows that it takes at a time
constexpr int KEYS = 32;

// What the backward needs to know of a query, rest as a power of 2. 0 as its rest serves a hidden row, whose scores are all
// -inf.
template <typename T, int D>
__global__ void query_terms(const T* d_out, const T* out, const float* lse, Terms<float>* terms, Problem p) {
    const int i = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    if (i >= p.n_queries) return;
    const long long row = place(blockIdx.z, p.heads, blockIdx.y, p.n_queries, i, 1);
    float sum = 0;
    for (int d = lane(); d < D; d += 32) sum += to_wide(d_out[row * D + d]) * to_wide(out[row * D + d]);
    for (int apart = 16; apart > 0; apart /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, apart);
    if (lane() == 0) terms[row] = {0, zero_if_hidden(lse[row]) * LOG2_E, sum};
}

// Sums the rows of a block again where one has a large lse: see Terms.
template <typename T, int D>
__global__ void __launch_bounds__(128, 2)
sum_again(const T* d_out, const T* q, const T* k, const T* v, const unsigned char* mask, const float* lse,
          Terms<float>* terms, Problem p) {
    constexpr int ROWS = 2, N = KEYS, THREADS = 128;  // a warp keeps 32 queries
    extern __shared__ __align__(128) float4 memory[];  // as Tile wants it
    const Tile<D> queries{shared_address(memory)}, d_outs = queries.below(KEPT);
    const Tile<D> keys = d_outs.below(KEPT), values = keys.below(N);
    const int head = blockIdx.y, batch = blockIdx.z, first = blockIdx.x * KEPT;
    const int last = min(first + KEPT, p.n_queries) - 1, mine = first + threadIdx.x;
    const long long top = place(batch, p.heads, head, p.n_queries, 0, 1);
    if (!__syncthreads_or(mine <= last && is_far<T>(lse[top + mine]))) return;

    const int own = first + threadIdx.x / 32 * 16 * ROWS, begin = first_key(p, first) / N * N, end = end_key(p, last);
    long long tile = place(batch, p.kv_heads, kv_head(p, head), p.n_keys, begin, D);
    const float scale = p.scale;
    load_tile<KEPT, THREADS>(queries, q + (top + first) * D, p.n_queries - first);
    load_tile<KEPT, THREADS>(d_outs, d_out + (top + first) * D, p.n_queries - first);
    RunningSum<float> sums[ROWS][2];
    float weighted[ROWS][2] = {};
    for (int start = begin; start < end; start += N, tile += N * D) {
        __syncthreads();  // no warp needs the keys before these any more
        load_tile<N, THREADS>(keys, k + tile, p.n_keys - start);
        load_tile<N, THREADS>(values, v + tile, p.n_keys - start);
        commit_copies();
        wait_copies<0>();
        __syncthreads();
        if (!any_visible(p, own, 16 * ROWS, start, N)) continue;
        float scores[ROWS][N / 8][4] = {}, d_weights[ROWS][N / 8][4] = {};
        add_product_of_rows<T>(scores, queries.below(own - first), keys);
        add_product_of_rows<T>(d_weights, d_outs.below(own - first), values);
        hide<false>(scores, p, mask, batch, head, own, start);
#pragma unroll
        for (int m = 0; m < ROWS; ++m)
#pragma unroll
            for (int n = 0; n < N / 8; ++n)
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    auto factors = sums[m][i / 2].add({scores[m][n][i], 1}, scale);
                    weighted[m][i / 2] = weighted[m][i / 2] * factors.own + d_weights[m][n][i] * factors.other;
                }
    }
#pragma unroll
    for (int m = 0; m < ROWS; ++m)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            RunningSum<float> sum = sums[m][half];
            float sum_weighted = weighted[m][half];
            for (int apart = 1; apart < 4; apart *= 2) {  // the four lanes that share a row
                RunningSum<float> other{__shfl_xor_sync(0xffffffffu, sum.largest, apart),
                                        __shfl_xor_sync(0xffffffffu, sum.total, apart)};
                float other_weighted = __shfl_xor_sync(0xffffffffu, sum_weighted, apart);
                auto factors = sum.add(other, scale);
                sum_weighted = sum_weighted * factors.own + other_weighted * factors.other;
            }
            const long long row = top + own + row_of(m, half);
            if (lane() % 4 || row > top + last || !is_far<T>(lse[row]) || !sum.belongs_to(lse[row], scale)) continue;
            terms[row] = {sum.largest, log2f(sum.total), sum_weighted / sum.total};
        }
}

// A score and a d_weight become a weight and a d_score (the scale comes last).
__device__ __forceinline__ void differentiate(float& score, float& d_weight, const Terms<float>& terms, float unit) {
    score = exp2_approximate(fmaf(score - terms.reference, unit, -terms.rest));
    d_weight = score * (d_weight - terms.delta);
}

template <typename T, int D>
__global__ void __launch_bounds__(128, 2)
query_gradients(const T* d_out, const T* q, const T* k, const T* v, const unsigned char* mask, const Terms<float>* terms,
                T* d_q, Problem p) {
    constexpr int ROWS = 2, N = KEYS, THREADS = 128;  // a warp keeps 32 queries
    extern __shared__ __align__(128) float4 memory[];  // as Tile wants it
    const Tile<D> queries{shared_address(memory)}, d_outs = queries.below(KEPT), taken = d_outs.below(KEPT);
    const int head = blockIdx.y, batch = blockIdx.z;
    const int first = (gridDim.x - 1 - blockIdx.x) * KEPT, last = min(first + KEPT, p.n_queries) - 1;
    const int own = first + threadIdx.x / 32 * 16 * ROWS;  // the first query of this warp
    const int begin = first_key(p, first) / N * N, end = end_key(p, last);
    const long long top = place(batch, p.heads, head, p.n_queries, 0, 1);
    const float unit = float(p.scale) * LOG2_E;
    long long tile = place(batch, p.kv_heads, kv_head(p, head), p.n_keys, begin, D);  // where it begins, in k and in v

    load_tile<KEPT, THREADS>(queries, q + (top + first) * D, p.n_queries - first);
    load_tile<KEPT, THREADS>(d_outs, d_out + (top + first) * D, p.n_queries - first);
    load_tile<N, THREADS>(taken, k + tile, p.n_keys - begin);
    load_tile<N, THREADS>(taken.below(N), v + tile, p.n_keys - begin);
    commit_copies();

    Terms<float> own_terms[ROWS][2];
    for (int m = 0; m < ROWS; ++m)
        for (int half = 0; half < 2; ++half) {
            const int row = own + row_of(m, half);
            own_terms[m][half] = row < p.n_queries ? terms[top + row] : Terms<float>{0, 0, 0};
        }
    float sum[ROWS][D / 8][4] = {};
    for (int start = begin, stage = 0; start < end; start += N, stage ^= 1) {
        wait_copies<0>();
        __syncthreads();  // these keys have come, and no warp needs those before them any more
        tile += N * D;
        const Tile<D> keys = taken.below(stage * 2 * N), next = taken.below((stage ^ 1) * 2 * N);
        load_tile<N, THREADS>(next, k + tile, p.n_keys - start - N);
        load_tile<N, THREADS>(next.below(N), v + tile, p.n_keys - start - N);
        commit_copies();

        if (!any_visible(p, own, 16 * ROWS, start, N)) continue;  // by this warp's queries
        float weights[ROWS][N / 8][4] = {}, d_scores[ROWS][N / 8][4] = {};
        add_product_of_rows<T>(weights, queries.below(own - first), keys);
        add_product_of_rows<T>(d_scores, d_outs.below(own - first), keys.below(N));
        hide<false>(weights, p, mask, batch, head, own, start);
#pragma unroll
        for (int m = 0; m < ROWS; ++m)
#pragma unroll
            for (int n = 0; n < N / 8; ++n)
#pragma unroll
                for (int i = 0; i < 4; ++i)
                    differentiate(weights[m][n][i], d_scores[m][n][i], own_terms[m][i / 2], unit);
        add_product<T>(sum, d_scores, keys);
    }
    const float scale = p.scale;
    d_q += place(batch, p.heads, fresh(head), p.n_queries, 0, D);
#pragma unroll
    for (int m = 0; m < ROWS; ++m)
        store_rows<T, D>(d_q, sum[m], scale, scale, own + 16 * m, p.n_queries);
}

template <typename T, int D>
__global__ void __launch_bounds__(256, 1)
key_gradients(const T* d_out, const T* q, const T* k, const T* v, const unsigned char* mask, const Terms<float>* terms,
              T* d_k, T* d_v, Problem p) {
    constexpr int N = QUERIES<D>, THREADS = 256;  // a warp keeps 16 keys
    extern __shared__ __align__(128) float4 memory[];  // as Tile wants it
    const Tile<D> keys{shared_address(memory)}, values = keys.below(KEPT), taken = values.below(KEPT);
    const Shared shared_terms = taken.below(4 * N).start;
    const Terms<float>* taken_terms = (const Terms<float>*)((const char*)memory + (2 * KEPT + 4 * N) * taken.ROW);
    const int first = blockIdx.x * KEPT, last = min(first + KEPT, p.n_keys) - 1, batch = blockIdx.z;
    const int own = first + threadIdx.x / 32 * 16;  // the first key of this warp
    const int begin = first_query(p, first) / N * N, end = end_query(p, last), group = p.heads / p.kv_heads;
    const long long top = place(batch, p.kv_heads, blockIdx.y, p.n_keys, 0, D);
    const float unit = float(p.scale) * LOG2_E;

    auto load_queries = [&](int stage, int head, int query) {
        const long long row = place(batch, p.heads, head, p.n_queries, query, 1);
        const Tile<D> to = taken.below(stage * 2 * N);
        load_tile<N, THREADS>(to, q + row * D, p.n_queries - query);
        load_tile<N, THREADS>(to.below(N), d_out + row * D, p.n_queries - query);
        if (threadIdx.x < N)
            copy_16_bytes(shared_terms + (stage * N + threadIdx.x) * 16, terms + row + threadIdx.x,
                          query + (int)threadIdx.x < p.n_queries);
    };
    int head = blockIdx.y * group, query = begin;
    load_tile<KEPT, THREADS>(keys, k + top + (long long)first * D, p.n_keys - first);
    load_tile<KEPT, THREADS>(values, v + top + (long long)first * D, p.n_keys - first);
    load_queries(0, head, query);
    commit_copies();

    float d_key[1][D / 8][4] = {}, d_value[1][D / 8][4] = {};
    const int steps = begin < end ? (end - begin + N - 1) / N * group : 0;  // the queries of all heads that share the keys
    int next_query, next_head;
    for (int step = 0, stage = 0; step < steps; ++step, stage ^= 1, head = next_head, query = next_query) {
        wait_copies<0>();
        __syncthreads();  // these queries have come, and no warp needs those before them any more
        next_query = query + N < end ? query + N : begin, next_head = head + (next_query == begin);
        if (step + 1 < steps) load_queries(stage ^ 1, next_head, next_query);
        commit_copies();

        if (!any_visible(p, query, N, own, 16)) continue;  // of this warp's keys
        const Tile<D> queries = taken.below(stage * 2 * N), d_outs = queries.below(N);
        float weights[1][N / 8][4] = {}, d_scores[1][N / 8][4] = {};  // transposed: a row is a key
        add_product_of_rows<T>(weights, keys.below(own - first), queries);
        add_product_of_rows<T>(d_scores, values.below(own - first), d_outs);
        hide<true>(weights, p, mask, batch, head, query, own);
#pragma unroll
        for (int n = 0; n < N / 8; ++n)
#pragma unroll
            for (int i = 0; i < 4; ++i)
                differentiate(weights[0][n][i], d_scores[0][n][i], taken_terms[stage * N + column_of(n, i % 2)], unit);
        add_product<T>(d_value, weights, d_outs);
        add_product<T>(d_key, d_scores, queries);
    }
    const float scale = p.scale;
    store_rows<T, D>(d_k + top, d_key[0], scale, scale, own, p.n_keys);
    store_rows<T, D>(d_v + top, d_value[0], 1, 1, own, p.n_keys);
}
