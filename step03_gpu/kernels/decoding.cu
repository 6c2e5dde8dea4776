// Decoding: rung 2 for a query or a few, and many keys.
//
// New:    the keys are cut into splits, a block for each. With one query the other rungs have B·H blocks for a whole device,
//         each of which walks along all keys alone. What the splits of a query have found becomes one as in merge.py, but
//         by largest score and sum, since a large lse has no room for the digits of the sum.
//         The queries that share keys, those of all heads of a group, are the rows of one block: a key is loaded once for
//         up to ROWS of them. Half a warp takes a key, so that a warp has two at a time and a score waits for four
//         shuffles. The running sum is rescaled only where the largest score grows, which after the first keys is rare.
// Gain:   as many blocks as the device wants; and keys and values pass once for the group. At 32 heads on 8 key/value heads,
//         S = 8192 and D = 128 in 16 bits that is 34 MB a step, where rung 2 takes 134 MB from memory or its cache.
// Bound:  memory: 2 FLOP for each row and number that is loaded, so at most 8 FLOP/byte in 16 bits. At 4.8 TB/s the step
//         above takes at least 7 us. Not measured.
// Lesson: attention over a cache is no matter of arithmetic: each number of it is needed once a token.
// Splits over keys: Dao, Haziza, Massa and Sizov 2023, "Flash-Decoding for long-context inference". The merge: Milakov
// and Gimelshein 2018, section 3.1, arXiv:1805.02867.
#include "tiles.cuh"

template <typename W> constexpr int ROWS = 32 / sizeof(W);  // of a block: 8, of double 4

template <typename T, int D>
__global__ void __launch_bounds__(THREADS)
attend_split(const T* q, const T* k, const T* v, const unsigned char* mask, Wide<T>* sums, RunningSum<Wide<T>>* totals,
             Problem p) {
    using W = Wide<T>;
    constexpr int G = GROUPS<D>, N = NEIGHBOURS<D>, R = ROWS<W>;
    extern __shared__ float4 memory[];
    W *all_sums = (W*)memory, *all_largest = all_sums + DOWN * D, *all_totals = all_largest + DOWN * R;

    // Row r of a group is query r % L of its head r / L: these lie one behind another.
    int across = threadIdx.x % ACROSS, down = threadIdx.x / ACROSS, batch = blockIdx.z;
    int group = p.heads / p.kv_heads, n_rows = group * p.n_queries, blocks = (n_rows + R - 1) / R;
    int own_head = blockIdx.x / blocks, first_row = blockIdx.x % blocks * R, rows = min(R, n_rows - first_row);
    long long top = place(batch, p.heads, own_head * group, p.n_queries, first_row, 1);
    k += place(batch, p.kv_heads, own_head, p.n_keys, 0, D);
    v += place(batch, p.kv_heads, own_head, p.n_keys, 0, D);

    int first = first_key(p, 0), last = end_key(p, p.n_queries - 1);
    int each = (max(0, last - first) + gridDim.y - 1) / gridDim.y;
    int begin = first + blockIdx.y * each, end = min(begin + each, last);

    W query[R][G][N], sum[R][G][N] = {};
    RunningSum<W> found[R];
    for (int r = 0; r < R; ++r)
        for (int g = 0; g < G; ++g) {
            Pack<T, N> from = load<N>(q + (top + min(r, rows - 1)) * D + (ACROSS * g + across) * N);
            for (int n = 0; n < N; ++n) query[r][g][n] = to_wide(from.at[n]) * W(p.scale);
        }

    for (int start = begin; start < end; start += DOWN) {  // eight keys at a time
        int j = start + down;
        Pack<T, N> key[G] = {}, value[G] = {};
        for (int g = 0; g < G; ++g) {
            if (j >= end) continue;
            key[g] = load<N>(k + (long long)j * D + (ACROSS * g + across) * N);
            value[g] = load<N>(v + (long long)j * D + (ACROSS * g + across) * N);
        }
        for (int r = 0; r < R; ++r) {
            W score = 0;
            for (int g = 0; g < G; ++g)
                for (int n = 0; n < N; ++n) score += query[r][g][n] * to_wide(key[g].at[n]);
            for (int apart = 8; apart > 0; apart /= 2) score += __shfl_xor_sync(0xffffffffu, score, apart);
            int row = first_row + r, head = own_head * group + row / p.n_queries;
            if (r >= rows || j >= end || !visible(p, mask, batch, head, row % p.n_queries, j)) continue;

            if (score > found[r].largest) {
                W rescale = exponential(found[r].largest - score);
                found[r] = {score, found[r].total * rescale};
                for (int g = 0; g < G; ++g)
                    for (int n = 0; n < N; ++n) sum[r][g][n] *= rescale;
            }
            W weight = exponential(score - zero_if_hidden(found[r].largest));
            found[r].total += weight;
            for (int g = 0; g < G; ++g)
                for (int n = 0; n < N; ++n) sum[r][g][n] += weight * to_wide(value[g].at[n]);
        }
    }

    // What eight half warps have found becomes the block's, row by row.
    for (int r = 0; r < R; ++r)
        if (across == 0) all_largest[DOWN * r + down] = found[r].largest, all_totals[DOWN * r + down] = found[r].total;
    __syncthreads();
#pragma unroll
    for (int r = 0; r < R; ++r) {
        if (r >= rows) break;
        RunningSum<W> whole;
        for (int n = 0; n < DOWN; ++n) whole.add({all_largest[DOWN * r + n], all_totals[DOWN * r + n]}, W(1));
        store_row<D>(all_sums + down * D, sum[r], exponential(found[r].largest - zero_if_hidden(whole.largest)), across);
        __syncthreads();
        long long part = (top + r) * gridDim.y + blockIdx.y;
        if (threadIdx.x == 0) totals[part] = whole;
        if (threadIdx.x < D) {
            W column = 0;
            for (int n = 0; n < DOWN; ++n) column += all_sums[n * D + threadIdx.x];
            sums[part * D + threadIdx.x] = column;
        }
        __syncthreads();  // the sums of this row have been read
    }
}

template <typename T, int D>
__global__ void merge_splits(const Wide<T>* sums, const RunningSum<Wide<T>>* totals, T* out, Wide<T>* lse, int n_splits,
                             Problem p) {  // a block for each query, a thread for each column
    using W = Wide<T>;
    long long row = place(blockIdx.z, p.heads, blockIdx.y, p.n_queries, blockIdx.x, 1);
    sums += row * n_splits * D, totals += row * n_splits;
    RunningSum<W> whole;
    for (int n = 0; n < n_splits; ++n) whole.add(totals[n], W(1));
    W sum = 0, reference = zero_if_hidden(whole.largest);
    for (int n = 0; n < n_splits; ++n) sum += exponential(totals[n].largest - reference) * sums[n * D + threadIdx.x];
    out[row * D + threadIdx.x] = from_wide<T>(sum / (whole.total == 0 ? 1 : whole.total));
    if (threadIdx.x == 0) lse[row] = whole.largest + logarithm(whole.total);
}
