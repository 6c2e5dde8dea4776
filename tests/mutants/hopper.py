"""Mutants of rung 6: what goes wrong with barriers that count bytes, descriptors, and products on their way."""

# ruff: noqa: E501  (one mutant a line)

from tests.mutants.mutant import Mutant

FORWARD, TILES = "06_hopper.cu", "warp_group_tiles.cuh"
SIZES, ORDERS = "test_every_size_and_dtype[float16-128]", "test_nobody_waits_for_too_little"


def rung6(name, file, old, new, test=SIZES):
    return Mutant(name, file, old, new, f"tests/kernels/test_hopper.py::{test}")


def watched(name, file, old, new):
    test = "test_every_access_is_inside[1-1-32-options0-6-float16]"
    return Mutant(name, file, old, new, f"tests/kernels/test_emulator_rungs.py::{test}")


def asked(name, target, old, new, test):
    return Mutant(
        name, f"step03_gpu.kernels.{target}", old, new, f"tests/kernels/test_hopper_on_gpu.py::{test}"
    )


HOPPER = [
    rung6("keys read before their phase", FORWARD, "wait_phase(here.full(next_keys), parity(next_keys));", ""),
    rung6("values read before their phase", FORWARD, "wait_phase(here.full(values), parity(values));", ""),
    rung6("queries read before their phase", FORWARD, "wait_phase(here.queries_full(), 0);", ""),
    rung6("a slot filled before it is empty", FORWARD, "wait_phase(here.empty(n), parity(n) ^ 1);", "", ORDERS),
    rung6("a slot left before its product was waited for", FORWARD, "wait_products<0>();\n        release(values), release(next_keys);", "release(values), release(next_keys);\n        wait_products<0>();", ORDERS),
    rung6("products not waited for", FORWARD, "wait_products<0>();\n        release(values)", "release(values)"),
    rung6("no fence before the products", FORWARD, "pin(scores[0]), pin(sum);\n        fence_products();", ""),
    rung6("a group not closed", FORWARD, "commit_products();\n        if (lane() == 0)", "if (lane() == 0)"),
    rung6("barriers that copies cannot see", FORWARD, "fence_async_proxy();", ""),
    rung6("the bytes of one panel announced", FORWARD, "arrive_expecting(full, TILE_BYTES<D>)", "arrive_expecting(full, PANEL)"),
    rung6("the phase of a slot's first tile", FORWARD, "return n / SLOTS & 1;", "return 0;", ORDERS),
    rung6("a turn handed to oneself", FORWARD, "here.turn(1 - group)", "here.turn(group)", ORDERS),
    rung6("a tile of the wrong head", FORWARD, "batch * p.kv_heads + kv_head(p, head)", "batch * p.kv_heads + head"),
    rung6("nothing hidden in a tile by boxes", FORWARD, "hide<false>(scores, p, mask, batch, head, own, begin + pair * KEYS);", ""),
    rung6("sum not rescaled between products", FORWARD, "sum[n][i] *= rescale[i / 2]", "sum[n][i] *= 1", "test_scores_that_outgrow_the_reference"),
    rung6("large scores scaled before their difference, by groups", FORWARD, "(scores[n][i] - zero) * unit", "fmaf(scores[n][i], unit, -(zero * unit))", "test_scores_beyond_what_2_to_their_power_can_hold"),
    rung6("a descriptor with the wrong swizzle", TILES, "SWIZZLE_128 = 1;", "SWIZZLE_128 = 2;"),
    rung6("a descriptor with the wrong stride", TILES, "STRIDE = 8 * ROW_BYTES / 16", "STRIDE = 16 * ROW_BYTES / 16"),
    rung6("a descriptor with the wrong leading offset", TILES, "LEADING = PANEL / 16", "LEADING = PANEL / 32"),
    rung6("a descriptor that starts a step too far", TILES, "d % 4 * 32", "d % 4 * 64"),
    rung6("halves of a fragment swapped", TILES, "a[n / 2][n % 2 * 2 + half]", "a[n / 2][half * 2 + n % 2]"),
    rung6("the first product added to what was there", TILES, "describe(b + further), d > 0)", "describe(b + further), 1)"),
    rung6("tiles aligned to a row alone", FORWARD, "__align__(1024) float4", "__align__(128) float4"),
    watched("the lse of a row behind the last", FORWARD, "lane() % 4 == 0 && row < p.n_queries", "lane() % 4 == 0 && row <= p.n_queries"),
    asked("Hopper's kernel on any later GPU", "hopper:lacking", "(found := q.device.compute_capability) == COMPUTE_CAPABILITY", "int(found := q.device.compute_capability) >= int(COMPUTE_CAPABILITY)", "test_other_gpus_are_told_what_is_needed"),
    asked("an unmeasured rung taken by itself", "rungs:choose", "RUNGS[n].by_itself and", "", "test_it_waits_to_be_asked_for"),
    asked("a map by bytes", "tensor_map:tensor_map", "(row, length * row)", "(x.shape[-1], length * x.shape[-1])", "test_maps_say_what_the_driver_wants_to_know"),
    Mutant("a tail that is the next head", "step03_gpu.kernels.tensor_map:tensor_map", "(size, length, batch * heads)", "(size, length + 1, batch * heads)", "tests/kernels/test_hopper.py::test_a_tail_is_not_the_next_head"),
]  # fmt: skip
