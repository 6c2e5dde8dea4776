// Asks of each pair (i, j), those beyond the ends included, whether query i may see key j.
#include "attention.cuh"

__global__ void visible_pairs(const unsigned char* mask, int* seen, int rows, int columns, Problem p) {
    int index = blockIdx.x * blockDim.x + threadIdx.x, i = index / columns, j = index % columns;
    if (i >= rows) return;
    seen[place(blockIdx.z, p.heads, blockIdx.y, rows, i, columns) + j] =
        visible(p, mask, blockIdx.z, blockIdx.y, i, j);
}
