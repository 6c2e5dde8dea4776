// A block loads a tile, and writes its rows without the padding; another multiplies two tiles.
#include "tiles.cuh"

template <int ROWS, int D, typename T>
__global__ void tiles(const T* x, Wide<T>* y, int end) {
    extern __shared__ float4 memory[];
    Wide<T>* tile = (Wide<T>*)memory;
    int first = blockIdx.x * ROWS;
    load_tile<ROWS, D>(tile, x, first, end);
    __syncthreads();
    for (int n = threadIdx.x; n < ROWS * D; n += THREADS)
        y[(long long)first * D + n] = tile[n / D * STRIDE<Wide<T>, D> + n % D];
}

template <int R, int C, int D, typename W>
__global__ void products(const W* a, const W* b, W* y) {
    extern __shared__ float4 memory[];
    W *left = (W*)memory, *right = left + R * DOWN * STRIDE<W, D>;
    for (int n = threadIdx.x; n < R * DOWN * D; n += THREADS) left[n / D * STRIDE<W, D> + n % D] = a[n];
    for (int n = threadIdx.x; n < C * ACROSS * D; n += THREADS) right[n / D * STRIDE<W, D> + n % D] = b[n];
    __syncthreads();
    int across = threadIdx.x % ACROSS, down = threadIdx.x / ACROSS;
    W product[R][C];
    for (int r = 0; r < R; ++r)
        for (int c = 0; c < C; ++c) product[r][c] = 1234;  // what was there before does not count
    multiply_rows<D>(product, left, right, down, across);
    for (int r = 0; r < R; ++r)
        for (int c = 0; c < C; ++c) y[(down + DOWN * r) * C * ACROSS + across + ACROSS * c] = product[r][c];
}
