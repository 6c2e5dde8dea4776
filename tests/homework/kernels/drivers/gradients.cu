#include "04_tiled_backward.cu"

// Gives each warp a row, of which lane 0 writes the sum.
template <typename T, int D>
__global__ void row_sums(const T* d_out, const T* out, Wide<T>* delta, Problem p) {
    int i = blockIdx.x * (THREADS / 32) + threadIdx.x / 32, head = blockIdx.y, batch = blockIdx.z;
    if (i >= p.n_queries) return;
    long long row = place(batch, p.heads, head, p.n_queries, i, 1);
    Wide<T> sum = row_sum<T, D>(d_out, out, row);
    if (threadIdx.x % 32 == 0) delta[row] = sum;
}

// Gives each thread a score, a d_weight, and what its row has; writes the weight and the d_score.
template <typename W>
__global__ void differences(const W* scores, const W* d_weights, const int* seen, const Terms<W>* terms,
                            W* weights, W* d_scores, int columns, double scale) {
    int n = blockIdx.x * blockDim.x + threadIdx.x;
    W score = scores[n], d_weight = d_weights[n];
    differentiate(score, d_weight, seen[n], W(scale), terms[n / columns]);
    weights[n] = score, d_scores[n] = d_weight;
}
