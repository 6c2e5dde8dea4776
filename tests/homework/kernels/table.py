"""The tasks over kernels, one row each: a line of `tests/homework/table.py` puts them among the others."""

# ruff: noqa: E501  (what is to be written, a paragraph a line)

from functools import partial

from tests.homework.kernels import cases
from tests.homework.kernels.task import KernelTask

NAIVE, ONLINE, TILED = (f"kernels/{x}.cu" for x in ("01_naive", "02_online_softmax", "03_tiled"))
BACKWARD, SHARED, TILES = "kernels/04_tiled_backward.cu", "kernels/attention.cuh", "kernels/tiles.cuh"
LESSON = "docs/kernels.md"
task = partial(KernelTask, stage=3, lesson=LESSON)

KERNELS = [
    task(
        "naive-scores",
        targets=(f"{NAIVE}:naive-scores",),
        cases=cases.scores,
        points=2,
        uses=("hiding",),
        unit="01_naive.cu",
        names=("scores<double, 64>",),
        write=(
            "Thread (i, j) of a head writes one number of `matrix`: the scaled score of query i and key j, or minus infinity where the query may not see the key. `place` says where a row begins, `kv_head` which keys a head uses, `visible` what is seen.",
        ),
    ),
    task(
        "softmax-row",
        targets=(f"{NAIVE}:softmax-row",),
        cases=cases.softmax,
        points=2,
        unit="01_naive.cu",
        names=("softmax<double>",),
        write=(
            "A thread has one row of scores, `scores[0]` to `scores[p.n_keys - 1]`. Weights take their place, and the row's log-sum-exp goes to `lse`. A row that sees nothing, all minus infinity, gets weights 0 and the log-sum-exp minus infinity.",
        ),
    ),
    task(
        "hiding",
        targets=(f"{SHARED}:hiding",),
        also=(f"{SHARED}:all-visible", f"{SHARED}:any-visible"),
        cases=cases.visible,
        points=2,
        unit="hiding.cu",
        names=("visible_pairs",),
        stub="return false;",
        write=(
            "Say whether query i may see key j: neither lies beyond the end, key j is within the window around i as `Problem` states it, and the mask, where there is one, is True there. Its strides are in `Problem` too.",
        ),
    ),
    task(
        "warp-sum",
        targets=(f"{ONLINE}:warp-sum", f"{TILED}:row-largest", f"{TILED}:row-sum"),
        cases=cases.reductions,
        points=1,
        unit="reductions.cu",
        names=("warp_sums<double>", "row_largest<double>", "row_totals<double>"),
        write=(
            "All 32 lanes of a warp call it, each with an `x` of its own. Afterwards each has the sum of all in `x`. By shuffles, without shared memory.",
            "The 16 threads that share a row are half a warp, lanes 0 to 15 or 16 to 31. Afterwards each has the largest `x` of its half.",
            "The same with the sum.",
        ),
    ),
    task(
        "online-softmax",
        targets=(f"{ONLINE}:online-softmax",),
        cases=cases.online,
        points=2,
        uses=("warp-sum", "hiding"),
        unit="02_online_softmax.cu",
        names=("online_softmax<double, 64>",),
        write=(
            "Every lane has the `score` of the key at hand. Bring the running maximum `largest`, the running sum of weights `total` and the lane's part `sum` of the weighted values up to date: all are relative to the largest score so far.",
        ),
    ),
    task(
        "load-tile",
        targets=(f"{TILES}:load-tile",),
        also=(f"{TILES}:start-tile",),
        stand_in="load_tile<ROWS, D>(tile, x, first, end);",
        cases=cases.tiles,
        points=2,
        unit="tiles.cu",
        names=("tiles<32, 64, double>",),
        write=(
            "The block's 128 threads together copy rows `first` to `first + ROWS - 1` of x into the tile, widened. Rows from `end` on are not there: their places in the tile become 0. Rows of the tile lie `STRIDE<Wide<T>, D>` numbers apart. No barrier: the caller has it.",
        ),
    ),
    task(
        "multiply-rows",
        targets=(f"{TILES}:multiply-rows",),
        cases=cases.products,
        points=2,
        unit="tiles.cu",
        names=tuple(f"products<{R}, {C}, {D}, double>" for R, C, D in cases.FACTORS),
        write=(
            "Thread (down, across) computes R x C products of rows: `product[r][c]` of row `down + DOWN * r` of a and row `across + ACROSS * c` of b. Rows lie `STRIDE<W, D>` numbers apart. What was in `product` before does not count.",
        ),
    ),
    task(
        "barriers",
        targets=(f"{BACKWARD}:barriers",),
        cases=cases.walk,
        points=2,
        uses=("load-tile", "multiply-rows", "hiding", "kernel-gradients"),
        also=(f"{BACKWARD}:sum-loads", f"{BACKWARD}:key-loads"),
        unit="04_tiled_backward.cu",
        names=("query_gradients<double, 64>",),
        write=(
            "Bring the next tile of keys and of values, from row `start` on, into `keys` and `values`, so that no thread reads what is not there yet, and none overwrites what another still reads.",
        ),
    ),
    task(
        "rescale",
        targets=(f"{TILED}:rescale",),
        cases=cases.rescale,
        points=2,
        uses=("multiply-rows", "hiding", "warp-sum"),
        unit="03_tiled.cu",
        names=("tiled<double, 96>",),
        write=(
            "`weights[r]` has the thread's scores of row r, `largest[r]` the largest that it has seen of that row, and `before` the largest of the whole row in the tiles before. 16 threads share a row. Make weights of the scores, and bring `largest[r]`, `total[r]` (of the thread's own columns) and `sum[r]` up to date.",
        ),
    ),
    task(
        "kernel-gradients",
        targets=(f"{BACKWARD}:row-sums", f"{BACKWARD}:differentiate"),
        cases=cases.gradients,
        points=2,
        unit="gradients.cu",
        names=("row_sums<double, 64>", "differences<double>"),
        write=(
            "A warp has one row: `d_out` and `out` still point to the arrays' beginnings, `row` is the row's number. Return the row's sum of their products; what lane 0 returns counts.",
            "`score` is q·k, not scaled yet, and `d_weight` the gradient of its weight. Make them the weight and the gradient of the scaled score; `terms` is of the row: its log-sum-exp is `terms.reference * scale + terms.rest`, in two parts because one number has no room for the digits of a large one; take the reference off the score before you scale it. `terms.delta` is the row's sum from `row_sum`. What is hidden has weight 0.",
        ),
    ),
]
