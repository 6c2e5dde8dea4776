// Tiles as copies of boxes leave them in shared memory, and what a group of four warps multiplies of them: for rung 6.
//
// A tensor core that reads shared memory itself is told of a matrix by a descriptor: where it starts, how far apart its parts
// lie, how it is permuted. It knows the permutation that copies of boxes make, which is that of warp_tiles.cuh: of row r chunk c
// of 16 bytes lies where chunk c ^ (r % 8) would, in rows of 128 bytes ("128-byte swizzle"). So a tile of D columns is D / 64
// panels, one behind the other, each of ROWS rows of 64 numbers, and a panel starts at a multiple of 1024 bytes, 8 of its rows.
//
// An accumulator is float c[N][4], 64 rows of 8 N columns, of which warp w of the group has rows 16 w to 16 w + 15: as in
// warp_tiles.cuh with M = 1.
#include "warp_tiles.cuh"
#include "ptx_hopper.cuh"

constexpr int ROWS = 128;                                 // of a tile
constexpr int ROW_BYTES = 128, PANEL = ROWS * ROW_BYTES;  // bytes of a panel's row, and of a panel
template <int D> constexpr int TILE_BYTES = D / 64 * PANEL;

// Bits 0-13 hold the start, 16-29 the leading and 32-45 the stride offset, all without their last 4 bits; 1 in bits 62-63 is the
// swizzle of 128 bytes. The stride offset leads from 8 rows of a panel to the next 8. The leading one leads to the next panel,
// where it is asked for: only a matrix by columns can be wider than a panel. A matrix further on in the tile has a larger start.
__device__ __forceinline__ Descriptor describe(Shared start) {
    constexpr Descriptor LEADING = PANEL / 16, STRIDE = 8 * ROW_BYTES / 16, SWIZZLE_128 = 1;
    return (address_number(start) & 0x3ffff) >> 4 | LEADING << 16 | STRIDE << 32 | SWIZZLE_128 << 62;
}

template <typename T> constexpr bool is_half = false;
template <> constexpr bool is_half<float16> = true;

template <typename T, typename A, int N>
__device__ __forceinline__ void multiply(float (&c)[N][4], const A& a, Descriptor b, int add) {
    if constexpr (is_half<T>) wgmma_half(c, a, b, add);
    else wgmma_bfloat(c, a, b, add);
}

// Starts c = a bᵀ, of 64 rows and a tile: 16 columns at a time, which are 32 bytes of a row, four times a panel.
template <typename T, int D>
__device__ __forceinline__ void start_product_of_rows(float (&c)[ROWS / 8][4], Shared a, Shared b) {
#pragma unroll
    for (int d = 0; d < D / 16; ++d) {
        const int further = d / 4 * PANEL + d % 4 * 32;
        multiply<T>(c, describe(a + further), describe(b + further), d > 0);
    }
}

// Starts c += a b, of an accumulator that was rounded to T and packed, and a tile: 16 rows at a time.
template <typename T, int D>
__device__ __forceinline__ void start_product(float (&c)[D / 8][4], const unsigned (&a)[ROWS / 16][4], Shared b) {
#pragma unroll
    for (int n = 0; n < ROWS / 16; ++n) multiply<T>(c, a[n], describe(b + n * 16 * ROW_BYTES), 1);
}

// An accumulator as the left operand of the next product: two of its pieces side by side are one, and no number changes its lane.
template <typename T>
__device__ __forceinline__ void pack_rows(unsigned (&a)[ROWS / 16][4], const float (&c)[ROWS / 8][4]) {
#pragma unroll
    for (int n = 0; n < ROWS / 8; ++n)
#pragma unroll
        for (int half = 0; half < 2; ++half) a[n / 2][n % 2 * 2 + half] = pack<T>(c[n][2 * half], c[n][2 * half + 1]);
}
