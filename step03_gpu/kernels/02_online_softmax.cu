// Rung 2: one kernel, the scores never leave the registers.
//
// New:    the online softmax. A warp walks along the keys with one query. It keeps the largest score m so far,
//         the sum of the weights, and the weighted sum of the values, both relative to m. Where m grows, what
//         was summed before is multiplied by exp(m_before - m).
// Gain:   no L x S matrix. Memory sees q, k, v and out: 17 MB for each head, not 1.9 GB, at L = S = 8192 and
//         D = 128 in float.
// Lesson: between caches and registers nothing is saved. Every query reads every key and value, 2 D numbers
//         for 4 D FLOP, and each score waits for five shuffles, one after the other.
// Milakov and Gimelshein 2018, algorithm 3, arXiv:1805.02867.
#include "attention.cuh"

constexpr int WARPS = 4;  // queries of a block

template <typename W> __device__ W sum_of_warp(W x) {
    // begin task: warp-sum
    for (int apart = 16; apart > 0; apart /= 2) x += __shfl_xor_sync(0xffffffffu, x, apart);
    // end task
    return x;
}

template <typename T, int D>
__global__ void online_softmax(const T* q, const T* k, const T* v, const unsigned char* mask, T* out,
                               Wide<T>* lse, Problem p) {
    using W = Wide<T>;
    constexpr int EACH = D / 32;  // numbers of a row that a lane holds: lane, lane + 32, ...
    int lane = threadIdx.x % 32, i = blockIdx.x * WARPS + threadIdx.x / 32;
    int head = blockIdx.y, batch = blockIdx.z;
    if (i >= p.n_queries) return;
    q += place(batch, p.heads, head, p.n_queries, i, D);
    k += place(batch, p.kv_heads, kv_head(p, head), p.n_keys, 0, D);
    v += place(batch, p.kv_heads, kv_head(p, head), p.n_keys, 0, D);

    W query[EACH], sum[EACH], largest = minus_infinity<W>(), total = 0;
    for (int e = 0; e < EACH; ++e) query[e] = to_wide(q[lane + 32 * e]) * W(p.scale), sum[e] = 0;

    for (int j = first_key(p, i); j < end_key(p, i); ++j) {
        if (!visible(p, mask, batch, head, i, j)) continue;
        const T *key = k + (long long)j * D, *value = v + (long long)j * D;
        W score = 0;
        for (int e = 0; e < EACH; ++e) score += query[e] * to_wide(key[lane + 32 * e]);
        score = sum_of_warp(score);

        // begin task: online-softmax
        W before = largest;
        largest = larger(largest, score);
        W rescale = exponential(before - zero_if_hidden(largest));
        W weight = exponential(score - zero_if_hidden(largest));
        total = total * rescale + weight;
        for (int e = 0; e < EACH; ++e) sum[e] = sum[e] * rescale + weight * to_wide(value[lane + 32 * e]);
        // end task
    }
    out += place(batch, p.heads, head, p.n_queries, i, D);
    for (int e = 0; e < EACH; ++e) out[lane + 32 * e] = from_wide<T>(sum[e] / (total == 0 ? 1 : total));
    if (lane == 0) lse[place(batch, p.heads, head, p.n_queries, i, 1)] = largest + logarithm(total);
}
