// Tiles of 16-bit numbers in shared memory, and what one warp multiplies of them on tensor cores: for rung 5.
//
// An accumulator is float c[M][N][4]: 16 M rows of 8 N columns. Of its piece (m, n) lane l holds the four numbers
// c[m][n][2 h + e] in row 16 m + 8 h + l / 4, column 8 n + 2 (l % 4) + e (ptx.cuh): a row lies in four lanes.
#include "attention.cuh"

constexpr float LOG2_E = 1.44269504f, LN_2 = 0.693147181f;  // exp(x) = 2^(x log2 e): there is an instruction for 2^x

template <typename T> __device__ void multiply_pieces(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1);
template <> __device__ __forceinline__ void
multiply_pieces<float16>(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) { mma_half(c, a, b0, b1); }
template <> __device__ __forceinline__ void
multiply_pieces<bfloat16>(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) { mma_bfloat(c, a, b0, b1); }

template <typename T> __device__ unsigned pack(float first, float second);
template <> __device__ __forceinline__ unsigned pack<float16>(float x, float y) { return pack_half(x, y); }
template <> __device__ __forceinline__ unsigned pack<bfloat16>(float x, float y) { return pack_bfloat(x, y); }

__device__ __forceinline__ int lane() { return threadIdx.x % 32; }
__device__ __forceinline__ int row_of(int m, int half) { return 16 * m + 8 * half + lane() / 4; }
__device__ __forceinline__ int column_of(int n, int e) { return 8 * n + lane() % 4 * 2 + e; }

// Rows of D numbers, one after another, but with the 16-byte chunks of each row permuted. Eight lanes read the same
// chunk of eight rows at a time; side by side in memory these lie a row apart, in the same 4 of 32 banks where D is a
// multiple of 64, and would come one after another. Chunk c of row r therefore lies where chunk c ^ turn(r) would. Bits of
// addresses are flipped, so a tile starts at a multiple of PERIOD bytes.
template <int D>
struct Tile {
    static constexpr int ROW = 2 * D;                       // bytes
    static constexpr int PERIOD = D % 64 == 0 ? 128 : 64;  // bytes within which chunks are permuted
    Shared start;

    static __device__ __forceinline__ int turn(int row) { return D % 64 == 0 ? row & 7 : row >> 1 & 3; }

    static __device__ __forceinline__ int place_of(int row, int chunk) { return row * ROW + (chunk ^ turn(row)) * 16; }

    __device__ __forceinline__ Tile below(int rows) const { return {start + rows * ROW}; }  // a multiple of 8

    // For a 16 x 16 block each lane gives the address of one row of one of its four 8 x 8 matrices. By columns, matrices 0
    // and 1 lie one above the other, 2 and 3 right of them; by rows, 0 and 1 side by side, 2 and 3 below. A right operand
    // is two registers in a row, which decides: any other order costs moves. This is the lane's address in the first
    // block; in the others a constant and a few bits differ, computed when they are needed (fresh).
    __device__ __forceinline__ Shared by_columns() const { return fresh(start + place_of(lane() % 16, lane() / 16)); }
    __device__ __forceinline__ Shared by_rows() const {
        return fresh(start + place_of(lane() % 8 + lane() / 16 * 8, lane() / 8 % 2));
    }

    static __device__ __forceinline__ Shared block(Shared corner, int rows, int columns) {
        return flip(corner, columns * 32 % PERIOD) + (rows * 16 * ROW + columns * 32 / PERIOD * PERIOD);
    }
};

// Starts copying `rows` rows into a tile of ROWS, if there are so many; what is missing becomes 0. Neighbouring threads
// take the chunks that are permuted among each other, so that all of a thread's copies lie at constant distances.
template <int ROWS, int THREADS, int D, typename T>
__device__ __forceinline__ void load_tile(Tile<D> tile, const T* from, int rows) {
    constexpr int CHUNKS = Tile<D>::PERIOD / 16, AT_ONCE = THREADS / CHUNKS;
    const int thread = fresh((int)threadIdx.x), row = thread / CHUNKS, chunk = thread % CHUNKS;
    const Shared to = tile.start + tile.place_of(row, chunk);
    from += row * D + chunk * 8;
#pragma unroll
    for (int down = 0; down < ROWS; down += AT_ONCE)
#pragma unroll
        for (int right = 0; right < D / 8; right += CHUNKS)
            copy_16_bytes(to + (down * tile.ROW + right * 16), from + (down * D + right * 8), row + down < rows);
}

// c += a bᵀ, of 16 M rows and 8 N rows in shared memory. Both are read as they lie: tensor cores want b by columns.
template <typename T, int D, int M, int N>
__device__ __forceinline__ void add_product_of_rows(float (&c)[M][N][4], Tile<D> a, Tile<D> b) {
    const Shared a_corner = a.by_columns(), b_corner = b.by_rows();
#pragma unroll
    for (int d = 0; d < D / 16; ++d) {
        unsigned left[M][4], right[4];
#pragma unroll
        for (int m = 0; m < M; ++m) load_matrices(left[m], a.block(a_corner, m, d));
#pragma unroll
        for (int n = 0; n < N; n += 2) {
            load_matrices(right, b.block(b_corner, n / 2, d));
#pragma unroll
            for (int m = 0; m < M; ++m) {
                multiply_pieces<T>(c[m][n], left[m], right[0], right[1]);
                multiply_pieces<T>(c[m][n + 1], left[m], right[2], right[3]);
            }
        }
    }
}

// c += a b, of an accumulator a, rounded to T, and as many rows in shared memory as it has columns. Its two pieces side
// by side are a left operand as they are: no number changes its lane.
template <typename T, int D, int M, int N>
__device__ __forceinline__ void add_product(float (&c)[M][D / 8][4], const float (&a)[M][N][4], Tile<D> b) {
    const Shared corner = b.by_columns();
#pragma unroll
    for (int n = 0; n < N; n += 2) {
        unsigned left[M][4], right[4];
#pragma unroll
        for (int m = 0; m < M; ++m)
#pragma unroll
            for (int i = 0; i < 4; ++i)
                left[m][i] = pack<T>(a[m][n + i / 2][i % 2 * 2], a[m][n + i / 2][i % 2 * 2 + 1]);
#pragma unroll
        for (int d = 0; d < D / 8; d += 2) {
            load_matrices_transposed(right, b.block(corner, n / 2, d / 2));
#pragma unroll
            for (int m = 0; m < M; ++m) {
                multiply_pieces<T>(c[m][d], left[m], right[0], right[1]);
                multiply_pieces<T>(c[m][d + 1], left[m], right[2], right[3]);
            }
        }
    }
}

// 16 rows of an accumulator, each half's times its factor, to the rows `first` and on of x, up to row `end`.
template <typename T, int D>
__device__ __forceinline__ void store_rows(T* x, const float (&c)[D / 8][4], float upper, float lower, int first, int end) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        int row = first + row_of(0, half);
        float factor = half ? lower : upper;
        if (row >= end) continue;
#pragma unroll
        for (int n = 0; n < D / 8; ++n)
            *(unsigned*)(x + (long long)row * D + column_of(n, 0)) =
                pack<T>(c[n][2 * half] * factor, c[n][2 * half + 1] * factor);
    }
}

// Sets scores to -inf where the query may not see the key. Queries are the accumulator's rows, keys its columns; or, with
// TRANSPOSED, the other way round. Tiles in which all is visible, the greater part, take no more than one branch; where the
// band of visible keys ends within a tile, each row compares its columns with two numbers; only a mask is asked for each.
template <bool TRANSPOSED, int M, int N>
__device__ __forceinline__ void hide(float (&scores)[M][N][4], const Problem& p, const unsigned char* mask, int batch,
                                     int head, int query, int key) {
    if (all_visible(p, mask, query, TRANSPOSED ? 8 * N : 16 * M, key, TRANSPOSED ? 16 * M : 8 * N)) return;
    const int row = fresh((TRANSPOSED ? key : query) + row_of(0, 0));
    const int column = fresh((TRANSPOSED ? query : key) + column_of(0, 0));
    const int from = TRANSPOSED ? -p.offset - p.right : p.offset - p.left;  // the first visible column, from the row on
    const int to = TRANSPOSED ? p.left - p.offset : p.offset + p.right, last = (TRANSPOSED ? p.n_queries : p.n_keys) - 1;
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const int r = row + 16 * m + 8 * half, begin = r + from - column, end = min(r + to, last) - column;
#pragma unroll
            for (int n = 0; n < N; ++n)
#pragma unroll
                for (int e = 0; e < 2; ++e)
                    if (8 * n + e < begin || 8 * n + e > end) scores[m][n][2 * half + e] = minus_infinity<float>();
        }
    if (!mask) return;
    unsigned long long shown = 0;  // a bit for each score: this loop, unrolled, would take registers that all tiles need
#pragma unroll 1
    for (int i = 0; i < 4 * M * N; ++i) {
        const int r = row + i / (2 * N) * 8, c = column + i / 2 % N * 8 + i % 2;
        if (visible(p, mask, batch, head, TRANSPOSED ? c : r, TRANSPOSED ? r : c)) shown |= 1ull << i;
    }
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
        for (int n = 0; n < N; ++n)
#pragma unroll
            for (int i = 0; i < 4; ++i)
                if (!(shown >> ((2 * m + i / 2) * 2 * N + 2 * n + i % 2) & 1)) scores[m][n][i] = minus_infinity<float>();
}
