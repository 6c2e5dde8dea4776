// Rung 1: the formula as it stands, three kernels, one thread for each number that they write.
//
// New:    everything. The L x S scores lie in memory, and the weights take their place.
// Cost:   4 L S D FLOP in the two products, and for each of the L S scores 5 transfers of 4 bytes: written once,
//         read twice and written once by the softmax, read by the weighted sum D times (from the cache, it is hoped).
//         At L = S = 8192 that is 268 MB of scores for each head.
// Lesson: the arithmetic is a small part of the time. Each product reads two numbers for 2 FLOP, and in the
//         softmax neighbouring threads read addresses that are a whole row apart.
#include "attention.cuh"

constexpr int THREADS = 256;

template <typename T, int D>
__global__ void scores(const T* q, const T* k, const unsigned char* mask, Wide<T>* scores, Problem p) {
    long long index = (long long)blockIdx.x * THREADS + threadIdx.x;
    int i = index / p.n_keys, j = index % p.n_keys, head = blockIdx.y, batch = blockIdx.z;
    if (i >= p.n_queries) return;
    q += place(batch, p.heads, head, p.n_queries, i, D);
    k += place(batch, p.kv_heads, kv_head(p, head), p.n_keys, j, D);
    Wide<T> score = 0;
    for (int d = 0; d < D; ++d) score += to_wide(q[d]) * to_wide(k[d]);
    scores += place(batch, p.heads, head, p.n_queries, i, p.n_keys);
    scores[j] = visible(p, mask, batch, head, i, j) ? score * Wide<T>(p.scale) : minus_infinity<Wide<T>>();
}

template <typename T>
__global__ void softmax(Wide<T>* scores, Wide<T>* lse, Problem p) {  // in place, a thread for each row
    int i = blockIdx.x * THREADS + threadIdx.x, head = blockIdx.y, batch = blockIdx.z;
    if (i >= p.n_queries) return;
    scores += place(batch, p.heads, head, p.n_queries, i, p.n_keys);
    Wide<T> largest = minus_infinity<Wide<T>>(), total = 0;
    for (int j = 0; j < p.n_keys; ++j) largest = larger(largest, scores[j]);
    largest = zero_if_hidden(largest);
    for (int j = 0; j < p.n_keys; ++j) total += scores[j] = exponential(scores[j] - largest);
    for (int j = 0; j < p.n_keys; ++j) scores[j] /= total == 0 ? 1 : total;  // a hidden row stays 0
    lse[place(batch, p.heads, head, p.n_queries, i, 1)] = largest + logarithm(total);
}

template <typename T, int D>
__global__ void weighted_sum(const Wide<T>* weights, const T* v, T* out, Problem p) {
    long long index = (long long)blockIdx.x * THREADS + threadIdx.x;
    int i = index / D, d = index % D, head = blockIdx.y, batch = blockIdx.z;
    if (i >= p.n_queries) return;
    weights += place(batch, p.heads, head, p.n_queries, i, p.n_keys);
    v += place(batch, p.kv_heads, kv_head(p, head), p.n_keys, 0, D);
    Wide<T> sum = 0;
    for (int j = 0; j < p.n_keys; ++j) sum += weights[j] * to_wide(v[(long long)j * D + d]);
    out[place(batch, p.heads, head, p.n_queries, i, D) + d] = from_wide<T>(sum);
}
