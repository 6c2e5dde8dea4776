"""Regions in other styles than the project's, and what each is: right, wrong in words, or an attack."""

# ruff: noqa: E501  (one region of a few words a line)

from typing import NamedTuple


class Style(NamedTuple):
    """
    A region that is handed in.

    Parameters
    ----------
    name : str
    target : str
        "03_tiled.cu:barriers".
    text : str
        What stands between the marks.
    said : str
        A part of what is said; empty where it is right.
    points : int or None
        That it has; None for all.
    """

    name: str
    target: str
    text: str
    said: str = ""
    points: int | None = None


NAIVE, SOFTMAX, HIDING = "01_naive.cu:naive-scores", "01_naive.cu:softmax-row", "attention.cuh:hiding"
WARP, ONLINE = "02_online_softmax.cu:warp-sum", "02_online_softmax.cu:online-softmax"
LOAD, MULTIPLY = "tiles.cuh:load-tile", "tiles.cuh:multiply-rows"
BARRIERS, RESCALE = "04_tiled_backward.cu:barriers", "03_tiled.cu:rescale"
SUMS, DIFFERENTIATE = "04_tiled_backward.cu:row-sums", "04_tiled_backward.cu:differentiate"

RIGHT = [
    Style("shuffles down, then from lane 0", WARP, """
        for (int apart = 16; apart > 0; apart >>= 1) x += __shfl_down_sync(0xffffffffu, x, apart);
        x = __shfl_sync(0xffffffffu, x, 0);
    """),
    Style("shuffles from near to far, unrolled", WARP, """
#pragma unroll
        for (int k = 0; k < 5; k++) {
            const W other = __shfl_xor_sync(~0u, x, 1 << k);
            x = x + other;
        }
    """),
    Style("every lane asks every other", WARP, """
        W all = 0;
        for (int lane = 0; lane < 32; ++lane) all += __shfl_sync(0xffffffffu, x, lane);
        x = all;
    """),
    Style("a lambda and registers of its own", SOFTMAX, """
        const int n = p.n_keys;
        auto top = [&]() {
            double m = scores[0];
            for (int j = 1; j < n; j++) m = scores[j] > m ? scores[j] : m;  /* by hand: it's "fmax" */
            return m;
        };
        const double m = top(), inf = -minus_infinity<double>();
        double s = 0.0;
        if (m != -inf) for (int j = 0; j < n; j++) s += exp(scores[j] - m);
        for (int j = n - 1; j >= 0; j--) scores[j] = m == -inf ? 0.0 : exp(scores[j] - m) / s;
        lse[((blockIdx.z * p.heads + head) * 1ll * p.n_queries + i)] = m == -inf ? -inf : m + log(s);
    """),
    Style("one pass over the row", SOFTMAX, """
        Wide<T> m = minus_infinity<Wide<T>>(), s = 0;
        for (int j = 0; j < p.n_keys; ++j) {
            if (scores[j] == minus_infinity<Wide<T>>()) continue;
            if (scores[j] > m) { s *= exponential(m - scores[j]); m = scores[j]; }
            s += exponential(scores[j] - m);
        }
        for (int j = 0; j < p.n_keys; ++j) scores[j] = s ? exponential(scores[j] - m) / s : 0;
        lse[place(batch, p.heads, head, p.n_queries, i, 1)] = s ? m + logarithm(s) : m;
    """),
    Style("two branches for the new maximum", ONLINE, """
        if (score > largest) {
            W factor = largest == minus_infinity<W>() ? 0 : exponential(largest - score);
            total = fma(total, factor, W(1));
            for (int e = EACH - 1; e >= 0; --e) sum[e] = fma(sum[e], factor, to_wide(value[lane + 32 * e]));
            largest = score;
        } else {
            W weight = exponential(score - largest);
            total += weight;
            for (int e = 0; e < EACH; ++e) sum[e] += weight * to_wide(value[lane + 32 * e]);
        }
    """),
    Style("a number at a time, rows by warps", LOAD, """
        for (int row = threadIdx.x / 32; row < ROWS; row += THREADS / 32)
            for (int column = threadIdx.x % 32; column < D; column += 32) {
                const bool there = first + row < end;
                tile[row * STRIDE<Wide<T>, D> + column] =
                    there ? to_wide(x[(long long)(first + row) * D + column]) : Wide<T>(0);
            }
    """),
    Style("columns outside, a sum in a register", MULTIPLY, """
        for (int c = 0; c < C; ++c)
            for (int r = 0; r < R; ++r) {
                W s = 0;
                const W *left = a + (down + DOWN * r) * STRIDE<W, D>;
                const W *right = b + (across + ACROSS * c) * STRIDE<W, D>;
                for (int d = D - 1; d >= 0; --d) s += left[d] * right[d];
                product[r][c] = s;
            }
    """),
    Style("a barrier more than needed, values first", BARRIERS, """
        __syncthreads_count(1);
        load_tile<COLUMNS, D>(values, v, start, p.n_keys);
        __syncthreads();
        load_tile<COLUMNS, D>(keys, k, start, p.n_keys);
        __threadfence_block();
        __syncthreads();
    """),
    Style("weights in a second pass", RESCALE, """
        for (int apart = 1; apart < 16; apart *= 2)
            largest[r] = fmax(largest[r], __shfl_xor_sync(0xffffffffu, largest[r], apart));
        const W top = largest[r] == minus_infinity<W>() ? 0 : largest[r];
        const W factor = exponential(before - top);
        W added = 0;
        for (int c = C - 1; c >= 0; --c) {
            weights[r][c] = exponential(weights[r][c] - top);
            added += weights[r][c];
        }
        total[r] = total[r] * factor + added;
        for (int n = 0; n < NEIGHBOURS<D>; ++n)
            for (int g = 0; g < GROUPS<D>; ++g) sum[r][g][n] = factor * sum[r][g][n];
    """),
    Style("early returns", HIDING, """
        const int position = i + p.offset;
        if (i >= p.n_queries) return false;
        if (j >= p.n_keys) return false;
        if (position - j > p.left) return false;
        if (j - position > p.right) return false;
        if (mask == nullptr) return true;
        const long long at = p.mask_batch * batch + p.mask_head * head + p.mask_row * i + p.mask_key * j;
        return mask[at] != 0;
    """),
    Style("shared memory in place of shuffles", SUMS, """
        __shared__ double parts[THREADS / 32][32];
        const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
        double own = 0;
        for (int d = lane; d < D; d += 32) own += d_out[row * D + d] * out[row * D + d];
        parts[warp][lane] = own;
        __syncwarp();
        double all = 0;
        if (lane == 0)
            for (int n = 0; n < 32; ++n) all += parts[warp][n];
        return all;
    """),
    Style("prints, and is right", DIFFERENTIATE, """
        if (threadIdx.x == 0 && blockIdx.x == 0) printf("score %g # 1\\n", (double)score);
        const W lse = terms.reference * scale + terms.rest, w = seen ? exponential(score * scale - lse) : 0;
        d_weight -= terms.delta;
        d_weight *= w;
        score = w;
    """),
]  # fmt: skip
WRONG = [
    Style("numbers agree and threads race", BARRIERS, """
        __syncthreads();
        if (threadIdx.x < 32)  // the first warp loads, and the others run behind it on the emulator
            for (int n = threadIdx.x; n < COLUMNS * D; n += 32) {
                const int row = n / D, at = row * STRIDE<W, D> + n % D;
                const bool there = start + row < p.n_keys;
                keys[at] = there ? to_wide(k[(long long)(start + row) * D + n % D]) : W(0);
                values[at] = there ? to_wide(v[(long long)(start + row) * D + n % D]) : W(0);
            }
        __syncwarp();
    """, "threads race: argument", 8),
    Style("reads behind the last row and does not use it", LOAD, """
        for (int n = threadIdx.x; n < ROWS * D; n += THREADS) {
            const int row = n / D, column = n % D;
            const Wide<T> number = to_wide(((volatile const T*)x)[(long long)(first + row) * D + column]);
            tile[row * STRIDE<Wide<T>, D> + column] = first + row < end ? number : Wide<T>(0);
        }
    """, "tiles.cuh:31: reads 8 bytes out of bounds", 2),
    Style("nothing but comments", WARP, "// x is the sum\n/* later */", "This is not written yet."),
    Style("a name that is none", WARP, "x += lanes;", "02_online_softmax.cu, line 17: 'lanes' was not declared"),
    Style("a brace too many", WARP, "x *= 2; }", "`}` closes what is not opened", 0),
    Style("a brace too few", WARP, "if (x) {", "`{` is opened and not closed", 0),
    Style("recursion", SOFTMAX, """
        struct R { static double f(double x) { volatile char a[4096]; a[0] = 1; return f(x + a[0]) + a[1]; } };
        scores[0] = R::f(1);
    """, "has a stack of 256 KiB", 0),
    Style("an integer divided by zero", SOFTMAX, "volatile int n = 0; scores[0] = 7 / n;", "divides an integer by zero", 0),
    Style("the null pointer", SOFTMAX, "volatile double* x = nullptr; scores[0] = *x;", "uses the null pointer", 0),
    Style("a lane that returns before the shuffle", WARP, "if (threadIdx.x % 32 == 3) return x;\nx += __shfl_xor_sync(0xffffffffu, x, 16);", "waits for lane 3 for ever"),
    Style("everything is 0", MULTIPLY, "for (int r = 0; r < R; ++r) for (int c = 0; c < C; ++c) product[r][c] = 0;", "is 0 throughout", 0),
]  # fmt: skip
