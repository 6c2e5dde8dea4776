"""The cache that joins, and the engine's that grows in place: what they keep is the same to the last bit."""

import numpy as np
import pytest

import step01_numpy as stage
from step01_numpy.engine.growing import GrowingCache
from tests.device_array import DeviceArray
from tests.models.test_language_model import DECODERS, LEFT, TOKENS, configuration
from tests.tolerances import assert_equal64

PIECES = [(1,), (1, 1, 1, 1, 1), (3, 1, 2, 4, 1), (2, 7)]


def seen(make, limit, prompt, pieces, rows, array=np.array):
    """Return all that is seen of a cache: a prompt, then pieces, rows that change places before the third."""
    rng, cache, batch, found = np.random.default_rng(5), stage.KVCache(limit), 2, []
    for step, n in enumerate((prompt, *pieces)):
        if step == 1:
            cache = make(cache)
        if step == 3:
            cache.reorder(array(rows))
            batch = len(rows)
        if n:
            found += cache.append(*(array(rng.normal(size=(batch, 3, n, size))) for size in (4, 6)))
            found += cache.keys, cache.values, array(cache.length)
            found = [array(getattr(x, "host", x)) for x in found]  # copies: a buffer is written on
    return found


@pytest.mark.parametrize("array", [np.array, lambda x: DeviceArray(np.array(x))])
@pytest.mark.parametrize("rows", [[0, 1], [1, 1], [1], [0, 0, 1]])
@pytest.mark.parametrize("limit", [None, 0, 1, 2, 5])
@pytest.mark.parametrize("prompt", [0, 1, 4])
@pytest.mark.parametrize("pieces", PIECES)
def test_both_keep_the_same(pieces, prompt, limit, rows, array):
    expected = seen(lambda cache: cache, limit, prompt, pieces, rows)
    found = seen(GrowingCache, limit, prompt, pieces, rows, array)
    assert len(found) == len(expected) > 0
    for x, y in zip(found, expected, strict=True):
        x = getattr(x, "host", x)
        assert x.shape == y.shape
        assert (x == y).all()


def test_an_empty_cache_has_no_keys():
    for cache in (stage.KVCache(3), GrowingCache(stage.KVCache(3))):
        cache.reorder(np.array([0, 0]))
        assert (cache.keys, cache.values, cache.length, cache.limit) == (None, None, 0, 3)


@pytest.mark.parametrize("limit", [None, 3])
def test_old_rows_are_moved_seldom(limit):
    cache, buffers, x = GrowingCache(stage.KVCache(limit)), [], np.ones((1, 1, 1, 2))
    for _ in range(256):
        keys, _ = cache.append(x, x)
        buffers += [] if buffers and keys.base is buffers[-1] else [keys.base]
    assert len(buffers) <= (8 if limit is None else 64)  # log₂ 256; 256 / (limit + 1)


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("variant", DECODERS)
@pytest.mark.parametrize("masked", [False, True])
def test_a_model_says_the_same_with_both(variant, masked):
    model = stage.LanguageModel(configuration(variant), rng=np.random.default_rng(0)).double().eval()
    inputs = (TOKENS[:, :4], LEFT[:, :4]) if masked else (TOKENS[:, :4],)
    plain, growing = model.start(*inputs), stage.start(model, *inputs)
    for cache, kind in ((plain, stage.KVCache), (growing, GrowingCache)):
        assert all(isinstance(x, kind) for pair in cache.blocks for x in pair)
    for tokens in TOKENS[:, 4:].T:
        assert_equal64(stage.step(model, tokens, growing), stage.step(model, tokens, plain))
