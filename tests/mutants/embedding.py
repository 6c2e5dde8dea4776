"""Mutants of pooling, of embedding lines, and of the scale on paper."""

# ruff: noqa: E501  (one mutant a line)

from tests.mutants.mutant import Mutant


def pooling(name, function, old, new, test, stage="step01_numpy"):
    return Mutant(name, f"{stage}.pooling:{function}", old, new, f"tests/models/test_pooling.py::{test}")


def scale(name, function, old, new, test):
    return Mutant(
        name, f"step01_numpy.common.scale.costs:{function}", old, new, f"tests/models/test_scale.py::{test}"
    )


def lines(name, function, old, new, test):
    return Mutant(name, f"step01_numpy.common.inference.embedding:{function}", old, new, f"tests/{test}")


def phi(name, function, old, new, test):
    target = f"step01_numpy.common.support.normal_distribution:{function}"
    return Mutant(name, target, old, new, f"tests/models/test_normal_distribution.py::{test}")


EMBEDDING = [
    pooling("padding averaged too", "_n_real", "mask.sum(axis=1, keepdims=True)", "(mask | True).sum(axis=1, keepdims=True)", "test_mean_pool_equals_torchs"),
    pooling("padding times 0, not left out", "mean_pool", "np.where(mask[..., None], widen(hidden), 0)", "widen(hidden) * mask[..., None]", "test_padding_does_not_count_whatever_it_holds"),
    pooling("the sum of the rows, not the mean", "mean_pool", " / _n_real(mask, real)", "", "test_mean_pool_equals_torchs"),
    pooling("padding gets a gradient", "mean_pool_backward", "np.where(mask[..., None], share[:, None, :], 0)", "share[:, None, :] + 0 * mask[..., None]", "test_mean_pool_equals_torchs"),
    pooling("rows summed in 16 bits", "mean_pool", "widen(hidden)", "hidden", "test_lower_precision"),
    pooling("divided by the square of the length", "_length", "np.sqrt((x * x).sum(axis=-1, keepdims=True))", "(x * x).sum(axis=-1, keepdims=True)", "test_normalise_equals_torchs"),
    pooling("stretching a row gets a gradient", "normalise_backward", "d_out - out * along", "d_out", "test_normalise_equals_torchs"),
    pooling("a short row gets a long one's gradient", "normalise_backward", "length > _SHORTEST", "length > 0", "test_a_row_too_short_for_a_direction"),
    pooling("padding averaged too in step02", "mean_pool", "widen(hidden).masked_fill(~mask[..., None], 0)", "widen(hidden)", "test_mean_pool_equals_torchs", "step02_torch"),
    pooling("the first row, real or not", "first_pool", "mask.argmax(axis=1)", "0 * mask.argmax(axis=1)", "test_the_first_real_token_is_taken"),
    pooling("padding may be the largest", "max_pool", "np.where(mask[..., None], hidden, -np.inf)", "hidden", "test_other_ways_equal_torchs"),
    pooling("all rows have the largest's gradient", "max_pool_backward", "is_largest & mask[..., None]", "mask[..., None]", "test_other_ways_equal_torchs"),
    pooling("padding may be the largest in step02", "max_pool", "hidden.masked_fill(~mask[..., None], -torch.inf)", "hidden", "test_other_ways_equal_torchs", "step02_torch"),
    scale("keys of all heads, not of groups", "kv_width", "(c.n_kv_heads or c.n_heads)", "c.n_heads", "test_published_counts"),
    scale("a tied head counted twice", "logits", "if c.tied", "if False", "test_published_counts"),
    scale("a gate without its matrix", "feed_forward", "2 if c.gated else 1", "1", "test_published_counts"),
    scale("RMSNorm with a bias", "norm", 'c.norm == "layer"', "True", "test_published_counts"),
    scale("a multiplication counted without its addition", "linear", "2 * d_in", "d_in", "test_flop_equal_those_that_pytorch_counts"),
    scale("only q kᵀ, not weights v", "attention", "2 * (2 *", "1 * (2 *", "test_flop_equal_those_that_pytorch_counts"),
    scale("keys cached, values not", "cached_numbers", "2 * kv_width(c)", "kv_width(c)", "test_cached_numbers"),
    lines("vectors in the order of the lengths", "Embedder.embed", "vectors[chunk]", "vectors[i : i + len(chunk)]", "decoding/test_embedding.py::test_vectors_come_back_in_order"),
    lines("batches as the lines come", "Embedder.embed", "len(encoded[i])", "0", "decoding/test_embedding.py::test_batches_are_of_like_length"),
    lines("an end cut off", "Embedder._cut", "end = self._empty[n_before:]", "end = []", "decoding/test_embedding.py::test_what_is_too_long_is_cut_before_its_end"),
    lines("the tokens' limit not read", "Embedder.__init__", "None if pooling is None else pooling.max_tokens", "None", "decoding/test_embedding.py::test_what_the_directory_says_of_pooling"),
    lines("a text without tokens counts its padding", "Embedder._vectors", "[[len(sequence)] for", "[[max(len(sequence), 1)] for", "decoding/test_embedding.py::test_a_text_without_any_token_has_a_vector_of_zeros"),
    lines("documents' lengths count", "cosines", "np.linalg.norm(documents, axis=-1) * ", "", "decoding/test_embedding.py::test_cosines_and_their_ranking"),
    lines("the farthest first", "ranking", "-scores", "scores", "commands/test_embed_commands.py::test_search_ranks_by_cosine"),
    phi("the last coefficient of Φ left out", "_distribution", "COEFFICIENTS[-2:0:-1]", "COEFFICIENTS[-3:0:-1]", "test_it_is_good_to_a_float32"),
    phi("the left tail from a difference", "_distribution", "x < TAIL", "x < -20", "test_the_left_tail_has_digits"),
    phi("a continued fraction without its numerators", "_tail", "a + n / fraction", "a + 1 / fraction", "test_the_left_tail_has_digits"),
    phi("the last block left out", "normal_distribution", "range(0, x.size, BLOCK)", "range(0, x.size - BLOCK + 1, BLOCK)", "test_any_shape_and_layout"),
]  # fmt: skip
