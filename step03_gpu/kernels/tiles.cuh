// Tiles in shared memory and micro-tiles in registers: what rungs 3 and 4 multiply with.
//
// A block's 128 threads stand in 8 rows of 16, so that the 16 threads of a row are half a warp. Of a product
// with 8 R rows and 16 C columns thread (down, across) computes R x C numbers, those of rows down + 8 r and
// columns across + 16 c: R + C numbers read from shared memory serve 2 R C FLOP. With R = 8, C = 4 that is
// 5.3 FLOP a number; with a single number for each thread it would be 1.
#include "attention.cuh"

constexpr int DOWN = 8, ACROSS = 16, THREADS = DOWN * ACROSS;

// N neighbours in memory, moved by one instruction where they are 16 bytes.
template <typename T, int N> struct alignas(N * sizeof(T) < 16 ? N * sizeof(T) : 16) Pack { T at[N]; };
template <int N, typename T> __device__ inline Pack<T, N> load(const T* x) { return *(const Pack<T, N>*)x; }
template <int N, typename T> __device__ inline void store(T* to, Pack<T, N> x) { *(Pack<T, N>*)to = x; }

// The rows of a tile lie PADDING numbers (16 bytes) further apart than they are long. 8 threads that read 16
// bytes each, of 8 rows one under another, then meet all 32 banks of shared memory, and not 4 banks 8 times.
template <typename W> constexpr int PADDING = 16 / sizeof(W);
template <typename W, int SIZE> constexpr int STRIDE = SIZE + PADDING<W>;

// How a thread's share of D columns is cut: GROUPS groups of NEIGHBOURS columns.
template <int D> constexpr int NEIGHBOURS = D % 64 == 0 ? 4 : 2;
template <int D> constexpr int GROUPS = D / (ACROSS * NEIGHBOURS<D>);

// Rows `first` to `first + ROWS - 1` of x into a tile, widened; 0 from row `end` on.
template <int ROWS, int D, typename T>
__device__ inline void load_tile(Wide<T>* tile, const T* x, int first, int end) {
    // begin task: load-tile
    for (int n = threadIdx.x; n < ROWS * (D / 4); n += THREADS) {
        int row = n / (D / 4), column = n % (D / 4) * 4;
        Pack<T, 4> from{};
        if (first + row < end) from = load<4>(x + (long long)(first + row) * D + column);
        Pack<Wide<T>, 4> wide;
        for (int e = 0; e < 4; ++e) wide.at[e] = to_wide(from.at[e]);
        store<4>(tile + row * STRIDE<Wide<T>, D> + column, wide);
    }
    // end task
}

// Starts to copy such rows, which are there after wait_copies and a barrier. Rows that have to be widened pass through
// the registers, at once.
template <int ROWS, int D, typename T>
__device__ inline void start_tile(Wide<T>* tile, const T* x, int first, int end) {
    // begin task: start-tile
    constexpr int N = 16 / sizeof(T);
    if constexpr (sizeof(T) < sizeof(Wide<T>)) {
        load_tile<ROWS, D>(tile, x, first, end);
    } else {
        for (int n = threadIdx.x; n < ROWS * (D / N); n += THREADS) {
            int row = n / (D / N), column = n % (D / N) * N;
            copy_16_bytes(shared_address(tile + row * STRIDE<T, D> + column),
                          x + (long long)(first + row) * D + column, first + row < end);
        }
    }
    // end task
}

// product = a bᵀ, of two tiles with rows of D.
template <int D, int R, int C, typename W>
__device__ inline void multiply_rows(W (&product)[R][C], const W* a, const W* b, int down, int across) {
    // begin task: multiply-rows
    for (int r = 0; r < R; ++r)
        for (int c = 0; c < C; ++c) product[r][c] = 0;
#pragma unroll 4
    for (int d = 0; d < D; d += 4) {
        Pack<W, 4> right[C];
        for (int c = 0; c < C; ++c) right[c] = load<4>(b + (across + ACROSS * c) * STRIDE<W, D> + d);
        for (int r = 0; r < R; ++r) {
            Pack<W, 4> left = load<4>(a + (down + DOWN * r) * STRIDE<W, D> + d);
            for (int c = 0; c < C; ++c)
                for (int e = 0; e < 4; ++e) product[r][c] += left.at[e] * right[c].at[e];
        }
    }
    // end task
}

// sum += a b, of a tile with rows of LENGTH and one with LENGTH rows of D.
template <int LENGTH, int D, int R, typename W>
__device__ inline void add_product(W (&sum)[R][GROUPS<D>][NEIGHBOURS<D>], const W* a, const W* b, int down,
                                   int across) {
    constexpr int N = NEIGHBOURS<D>;
#pragma unroll 2
    for (int j = 0; j < LENGTH; j += 4) {
        Pack<W, 4> left[R];
        for (int r = 0; r < R; ++r) left[r] = load<4>(a + (down + DOWN * r) * STRIDE<W, LENGTH> + j);
        for (int e = 0; e < 4; ++e)
            for (int g = 0; g < GROUPS<D>; ++g) {
                Pack<W, N> right = load<N>(b + (j + e) * STRIDE<W, D> + (ACROSS * g + across) * N);
                for (int r = 0; r < R; ++r)
                    for (int n = 0; n < N; ++n) sum[r][g][n] += left[r].at[e] * right.at[n];
            }
    }
}

// A micro-tile into shared memory, where the threads of its row find it: COLUMNS columns, from number FIRST of a thread's.
template <int COLUMNS, int FIRST = 0, int R, int C, typename W>
__device__ inline void store_tile(W* tile, const W (&x)[R][C], int down, int across) {
    for (int r = 0; r < R; ++r) {
        W* row = tile + (down + DOWN * r) * STRIDE<W, COLUMNS>;
        for (int c = 0; c < COLUMNS / ACROSS; ++c) row[across + ACROSS * c] = x[r][FIRST + c];
    }
}

// One row of a thread's sums, times a factor, into a row of the result.
template <int D, typename T>
__device__ inline void store_row(T* row, const Wide<T> (&sum)[GROUPS<D>][NEIGHBOURS<D>], Wide<T> factor,
                                 int across) {
    constexpr int N = NEIGHBOURS<D>;
    for (int g = 0; g < GROUPS<D>; ++g) {
        Pack<T, N> x;
        for (int n = 0; n < N; ++n) x.at[n] = from_wide<T>(sum[g][n] * factor);
        store<N>(row + (ACROSS * g + across) * N, x);
    }
}
