// A student's loads: the first warp brings the tiles, and a barrier for that warp alone stands behind them.
        // begin task: barriers
        __syncthreads();
        if (threadIdx.x < 32)
            for (int n = threadIdx.x; n < COLUMNS * D; n += 32) {
                int row = n / D, at = row * STRIDE<W, D> + n % D;
                bool there = start + row < p.n_keys;
                keys[at] = there ? to_wide(k[(long long)(start + row) * D + n % D]) : W(0);
                values[at] = there ? to_wide(v[(long long)(start + row) * D + n % D]) : W(0);
            }
        __syncwarp();
        // end task
