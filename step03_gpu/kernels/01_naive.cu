// Rung 1: the formula as it stands, three kernels, one thread for each number that they write.
//
// New:    everything. The L x S scores lie in memory, and the weights take their place.
// Cost:   4 L S D FLOP in the two products. The matrix is passed over seven times: written; read three times
//         and written twice by the softmax; read. At L = S = 8192 in float it takes 268 MB for each head, and
//         the passes move 1.9 GB.
// Lesson: arithmetic is the smaller part of the time. The products read two numbers for 2 FLOP, and in the
//         softmax neighbouring threads read addresses that are a whole row apart.
#include "attention.cuh"

constexpr int THREADS = 256;

template <typename T, int D>
__global__ void scores(const T* q, const T* k, const unsigned char* mask, Wide<T>* matrix, Problem p) {
    long long index = (long long)blockIdx.x * THREADS + threadIdx.x;
    int i = index / p.n_keys, j = index % p.n_keys, head = blockIdx.y, batch = blockIdx.z;
    if (i >= p.n_queries) return;
    // begin task: naive-scores
    q += place(batch, p.heads, head, p.n_queries, i, D);
    k += place(batch, p.kv_heads, kv_head(p, head), p.n_keys, j, D);
    Wide<T> score = 0;
    for (int d = 0; d < D; ++d) score += to_wide(q[d]) * to_wide(k[d]);
    bool seen = visible(p, mask, batch, head, i, j);
    matrix += place(batch, p.heads, head, p.n_queries, i, p.n_keys);
    matrix[j] = seen ? score * Wide<T>(p.scale) : minus_infinity<Wide<T>>();
    // end task
}

template <typename T>
__global__ void softmax(Wide<T>* scores, Wide<T>* lse, Problem p) {  // in place, a thread for each row
    int i = blockIdx.x * THREADS + threadIdx.x, head = blockIdx.y, batch = blockIdx.z;
    if (i >= p.n_queries) return;
    scores += place(batch, p.heads, head, p.n_queries, i, p.n_keys);
    // begin task: softmax-row
    Wide<T> largest = minus_infinity<Wide<T>>(), total = 0;
    for (int j = 0; j < p.n_keys; ++j) largest = larger(largest, scores[j]);
    largest = zero_if_hidden(largest);
    for (int j = 0; j < p.n_keys; ++j) {
        Wide<T> weight = exponential(scores[j] - largest);
        scores[j] = weight, total += weight;
    }
    for (int j = 0; j < p.n_keys; ++j) scores[j] /= total == 0 ? 1 : total;  // a hidden row stays 0
    lse[place(batch, p.heads, head, p.n_queries, i, 1)] = largest + logarithm(total);
    // end task
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
