// Gives each thread a score, a d_weight, and what its row has; writes the weight and the d_score.
#include "04_tiled_backward.cu"

template <typename W>
__global__ void differences(const W* scores, const W* d_weights, const int* seen, const W* lse, const W* delta,
                            W* weights, W* d_scores, int columns, double scale) {
    int n = blockIdx.x * blockDim.x + threadIdx.x;
    W score = scores[n], d_weight = d_weights[n];
    differentiate(score, d_weight, seen[n], W(scale), lse[n / columns], delta[n / columns]);
    weights[n] = score, d_scores[n] = d_weight;
}
