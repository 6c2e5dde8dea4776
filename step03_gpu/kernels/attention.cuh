// What all rungs share: the types, the problem, and which keys a query may see.
//
// For each query i of each head, j over the keys that it may see:
//     score_ij = scale q_i·k_j      lse_i = log Σ_j exp(score_ij)      weight_ij = exp(score_ij - lse_i)
//     out_i = Σ_j weight_ij v_j
// No CUDA header is included: the compiler at run time may not find one.
#include "ptx.cuh"

// 16-bit floats are stored so, and computed with as float: see Wide.
struct float16 { unsigned short bits; };
struct bfloat16 { unsigned short bits; };

// The type that sums are made in: float, or double for double (which the proofs use).
template <typename T> struct WideOf { using type = float; };
template <> struct WideOf<double> { using type = double; };
template <typename T> using Wide = typename WideOf<T>::type;

__device__ inline float to_wide(float x) { return x; }
__device__ inline double to_wide(double x) { return x; }
__device__ inline float to_wide(float16 x) { return half_to_float(x.bits); }
__device__ inline float to_wide(bfloat16 x) { return __uint_as_float((unsigned)x.bits << 16); }

template <typename T> __device__ inline T from_wide(Wide<T> x) { return x; }
template <> __device__ inline float16 from_wide<float16>(float x) { return {float_to_half(x)}; }
template <> __device__ inline bfloat16 from_wide<bfloat16>(float x) {  // to the nearest, ties to even
    unsigned bits = __float_as_uint(x);
    if (x != x) return {(unsigned short)(bits >> 16 | 0x40)};  // still no number, and the same one
    return {(unsigned short)((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

__device__ inline float exponential(float x) { return expf(x); }
__device__ inline double exponential(double x) { return exp(x); }
__device__ inline float logarithm(float x) { return logf(x); }
__device__ inline double logarithm(double x) { return log(x); }
__device__ inline float larger(float a, float b) { return fmaxf(a, b); }  // a number wins over NaN, which
__device__ inline double larger(double a, double b) { return fmax(a, b); }  // the sum of weights keeps
template <typename W> __device__ inline W minus_infinity() { return W(__uint_as_float(0xff800000u)); }
template <typename W> __device__ inline W zero_if_hidden(W x) { return x == minus_infinity<W>() ? W(0) : x; }
template <typename W> __device__ inline W magnitude(W x) { return larger(x, -x); }

// What a kernel is told, by value. `Problem` of rungs.py is the same struct.
struct Problem {
    int heads, kv_heads;        // H, H_kv: query head h uses key/value head h / (H / H_kv)
    int n_queries, n_keys;      // L, S
    int offset, left, right;    // key j is visible when i + offset - left <= j <= i + offset + right
    double scale;
    long long mask_batch, mask_head, mask_row, mask_key;  // the mask's strides, 0 where it is broadcast
};

__device__ inline int kv_head(const Problem& p, int head) { return head / (p.heads / p.kv_heads); }

// Where row `row` of a (batch, heads, length, D) array begins.
__device__ inline long long place(int batch, int heads, int head, int length, int row, int size) {
    return (((long long)batch * heads + head) * length + row) * size;
}

__device__ inline bool visible(const Problem& p, const unsigned char* mask, int batch, int head, int i,
                               int j) {
    // begin task: hiding
    if (i >= p.n_queries || j >= p.n_keys) return false;  // the last tile reaches over the end
    if (j < i + p.offset - p.left || j > i + p.offset + p.right) return false;
    return !mask || mask[batch * p.mask_batch + head * p.mask_head + i * p.mask_row + j * p.mask_key];
    // end task
}

// The keys that the queries from `first` to `last` may see, and the queries that may see such keys: what lies
// outside is hidden, and never read. (The mask is not asked.)
__device__ inline int first_key(const Problem& p, int first) { return max(0, first + p.offset - p.left); }
__device__ inline int end_key(const Problem& p, int last) {
    return min(p.n_keys, last + p.offset + p.right + 1);
}
__device__ inline int first_query(const Problem& p, int first) { return max(0, first - p.offset - p.right); }
__device__ inline int end_query(const Problem& p, int last) {
    return min(p.n_queries, last - p.offset + p.left + 1);
}

// Whether each of these queries may see each of these keys, so that nothing has to be hidden in a tile; and whether
// some may see some, so that the tile is of use. (The second asks no mask.)
__device__ inline bool all_visible(const Problem& p, const unsigned char* mask, int query, int queries, int key,
                                   int keys) {
    // begin task: all-visible
    return !mask && key + keys <= p.n_keys && key >= query + queries - 1 + p.offset - p.left &&
           key + keys - 1 <= query + p.offset + p.right;
    // end task
}
__device__ inline bool any_visible(const Problem& p, int query, int queries, int key, int keys) {
    // begin task: any-visible
    return key <= query + queries - 1 + p.offset + p.right && key + keys > query + p.offset - p.left;
    // end task
}

// What the backward knows of query i: weight_ij = exp((q_i·k_j - reference) scale - rest), and the softmax's row sum delta =
// Σ_j weight_ij d_weight_ij = d_out_i · out_i. Mostly reference is 0 and rest is lse. But a large lse has no room for the
// digits of the sum behind it, and every weight of the row would be off by exp(±eps |lse|). Such a row is summed again,
// from products rounded as the backward's are: reference is then its largest q_i·k_j, from which those near it differ
// exactly, rest the logarithm of the sum, and delta of those weights too.
template <typename W> struct alignas(16) Terms { W reference, rest, delta; };

// In nats. Below, the rounding of lse changes a weight by 4 eps of 32 bits or less, by a thirtieth of eps of 16 bits.
template <typename T> constexpr float FAR = sizeof(T) == 2 ? 128 : 16;
template <typename T> __device__ inline bool is_far(Wide<T> lse) {
    return lse != minus_infinity<Wide<T>>() && magnitude(lse) > FAR<T>;
}

// Σ exp((score - largest) scale), the scale positive: relative to the largest score so far.
template <typename W> struct RunningSum {
    W largest = minus_infinity<W>(), total = 0;
    struct Factors { W own, other; };  // for all else that was summed relative to either largest score

    __device__ Factors add(RunningSum other, W scale) {
        W before = largest;
        largest = larger(largest, other.largest);
        W reference = zero_if_hidden(largest);
        Factors factors{exponential((before - reference) * scale), exponential((other.largest - reference) * scale)};
        total = total * factors.own + other.total * factors.other;
        return factors;
    }

    // Whether lse is that of this sum but for rounding, 64 eps. It is not where it is of more keys, as after a merge.
    __device__ bool belongs_to(W lse, W scale) const {
        W rounding = sizeof(W) == 8 ? 0x1p-46 : 0x1p-17;
        return magnitude(largest * scale + logarithm(total) - lse) <= rounding * magnitude(lse);
    }
};
