"""`check_attention`: two plain functions, and what is said of those that are wrong."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import step01_numpy
from step01_numpy.common.parity import check_attention
from step01_numpy.common.parity.functions import arguments
from tests.parity import attention_by_hand as by_hand
from tests.parity.test_parity import named

OFFERED = [
    f"attention, {x}" for x in ("plain", "masked", "nothing visible", "causal, L = S", "causal, L < S")
]
OFFERED += [f"attention, {x}" for x in ("causal, L > S", "grouped heads", "D_v ≠ D")]
NOT_OFFERED = [f"attention, {x}" for x in ("offset", "window", "bias", "scale", "softcap", "bias, softcap")]


def test_an_attention_of_45_lines_passes():
    assert len(Path(by_hand.__file__).read_text().splitlines()) <= 45
    rows = check_attention(by_hand.attention, by_hand.attention_backward)
    for part in ("forward", "gradient"):
        assert named(rows, "equal", part) == OFFERED
        assert named(rows, "not offered", part) == NOT_OFFERED
    assert rows.passed
    assert str(rows).splitlines()[-1] == "all 8 comparisons are within tolerance, 6 are not offered"
    assert "attention takes no offset, window, bias, scale, softcap" in str(rows)


def test_the_forward_alone_passes():
    rows = check_attention(by_hand.attention)
    assert named(rows, "equal", "forward") == OFFERED
    assert len(named(rows, "not offered", "gradient")) == len(rows)
    assert rows[0].gradient.text == "no backward was given"
    assert rows.passed


def test_ours_passes_with_every_option():
    for forward, backward in (
        (step01_numpy.scaled_dot_product_attention, step01_numpy.attention_backward),
        (step01_numpy.flash_attention, step01_numpy.flash_attention_backward),
    ):
        rows = check_attention(forward, backward)
        assert (
            len(rows) == len(named(rows, "equal", "forward")) == len(named(rows, "equal", "gradient")) == 14
        )


# ---- what backwards may look like --------------------------------------------------------------------------


def plain(q, k, v):
    return by_hand.attention(q, k, v)[0]


def recomputing(d_out, q, k, v):
    return by_hand.attention_backward(d_out, q, k, v, *by_hand.attention(q, k, v))


def recomputing_with_options(d_out, q, k, v, mask=None, causal=False):
    return by_hand.attention_backward(d_out, q, k, v, *by_hand.attention(q, k, v, mask, causal))


def with_a_cache(queries, keys, values, mask=None, causal=False):
    out, weights = by_hand.attention(queries, keys, values, mask, causal)
    return out, {"q": queries, "k": keys, "v": values, "out": out, "weights": weights}


class Remembering:
    def forward(self, q, k, v, mask=None, causal=False):
        out, self.saved = with_a_cache(q, k, v, mask, causal)
        return out

    def backward(self, d_out):
        return by_hand.attention_backward(d_out, **self.saved)


def logits_saved(q, k, v, mask=None, causal=False):
    return step01_numpy.flash_attention(q, k, v, mask, causal=causal)


remembering = Remembering()
WITH_OPTIONS = {
    "weights behind": (
        by_hand.attention,
        lambda grad, a, b, c, p: by_hand.attention_backward(grad, a, b, c, p @ by_hand.repeat(c, a), p),
    ),
    "names in another order": (
        by_hand.attention,
        lambda d, weights, v, k, q: by_hand.attention_backward(d, q, k, v, None, weights),
    ),
    "a cache of its own": (with_a_cache, lambda d_out, cache: by_hand.attention_backward(d_out, **cache)),
    "after the forward": (remembering.forward, remembering.backward),
    "options": (by_hand.attention, recomputing_with_options),
    "options after a forward of out alone": (
        lambda q, k, v, mask=None, causal=False: by_hand.attention(q, k, v, mask, causal)[0],
        recomputing_with_options,
    ),
    "lse": (logits_saved, step01_numpy.flash_attention_backward),
}


@pytest.mark.parametrize("what", WITH_OPTIONS)
def test_backwards_that_are_understood(what):
    rows = check_attention(*WITH_OPTIONS[what])
    assert named(rows, "equal", "forward") == named(rows, "equal", "gradient") == OFFERED
    assert rows.passed


def test_a_backward_that_nothing_tells_of_the_mask_does_not_offer_it():
    rows = check_attention(by_hand.attention, recomputing)
    assert named(rows, "equal", "forward") == OFFERED
    assert named(rows, "equal", "gradient") == [
        "attention, plain",
        "attention, grouped heads",
        "attention, D_v ≠ D",
    ]
    assert named(rows, "not offered", "gradient")[0] == "attention, masked"
    assert rows.passed
    assert check_attention(plain, recomputing).passed


def test_weights_do_not_tell_a_backward_the_scale():
    def forward(q, k, v, scale=None):
        return by_hand.attention(q if scale is None else q * scale * 2, k, v)

    rows = check_attention(forward, by_hand.attention_backward)
    scaled = next(row for row in rows if row.operation == "attention, scale")
    assert (scaled.forward.status, scaled.gradient.status) == ("equal", "not offered")
    assert scaled.gradient.text == "attention_backward takes no scale"


def test_options_that_are_insisted_on_are_given():
    def forward(q, k, v, mask, causal):
        return by_hand.attention(q, k, v, mask & True, causal and True)

    rows = check_attention(forward, by_hand.attention_backward)
    assert named(rows, "equal", "forward") == OFFERED
    assert rows.passed


def test_a_backward_that_cannot_be_told():
    with pytest.raises(
        ValueError, match=r"strange takes a, b behind d_out; expected nothing, saved, \(q, k, v\)"
    ):
        check_attention(plain, strange)
    with pytest.raises(ValueError, match="arrays is 'cupy'"):
        check_attention(plain, arrays="cupy")


def strange(d_out, a, b):
    """Take two things that have no name."""


def test_arguments():
    assert arguments(lambda d, q, k, v: None) == {"q": "q", "k": "k", "v": "v"}
    assert arguments(lambda d, x, y, z, s: None) == {"x": "q", "y": "k", "z": "v", "s": "saved"}
    assert arguments(lambda d, q, k, v, *, out=None, mask=None: None) == {
        x: x for x in ("q", "k", "v", "out")
    }


# ---- PyTorch's tensors -------------------------------------------------------------------------------------


def with_torch(q, k, v, mask=None, scale=None):
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    scores = q @ k.mT * scale
    scores = scores if mask is None else scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(-1).nan_to_num() @ v


def test_tensors_and_autograd():
    rows = check_attention(with_torch, "autograd")
    equal = ["plain", "masked", "scale", "D_v ≠ D"]
    assert {f"attention, {x}" for x in equal} <= set(named(rows, "equal", "forward"))
    assert named(rows, "not offered", "forward")[-1] == "attention, grouped heads"
    assert "with_torch raised RuntimeError: The size of tensor a (6) must match" in " ".join(
        str(rows).split()
    )
    forward = check_attention(with_torch, arrays="torch", only=["attention, plain"])
    assert forward.passed


# ---- what is wrong is told apart ---------------------------------------------------------------------------


def test_softmax_without_its_row_sum_marks_the_gradients_alone(monkeypatch):
    monkeypatch.setattr(by_hand, "softmax_backward", lambda d_weights, weights: weights * d_weights)
    rows = check_attention(by_hand.attention, by_hand.attention_backward)
    assert named(rows, "equal", "forward") == named(rows, "differs", "gradient") == OFFERED
    assert rows[0].gradient.array in ("d_q", "d_k")
    assert not rows.passed


def test_a_wrong_forward_marks_the_forward_alone():
    rows = check_attention(lambda q, k, v: by_hand.attention(q, 2 * k, v), by_hand.attention_backward)
    assert len(named(rows, "differs", "forward")) == 3
    assert named(rows, "differs", "gradient") == []
    assert not rows.passed


def test_tiled_heads_fail_grouped_heads_alone(monkeypatch):
    monkeypatch.setattr(by_hand, "repeat", lambda x, q: np.tile(x, (1, q.shape[1] // x.shape[1], 1, 1)))
    rows = check_attention(by_hand.attention, by_hand.attention_backward)
    assert (
        named(rows, "differs", "forward")
        == named(rows, "differs", "gradient")
        == ["attention, grouped heads"]
    )
    assert not rows.passed


@pytest.mark.parametrize("wrong", [lambda n: n + int(np.sign(n)), lambda n: n - int(np.sign(n)), lambda n: 0])
def test_a_wrong_causal_mask_fails_where_lengths_differ(monkeypatch, wrong):
    def visible(q, k, mask, causal):
        n_queries, n_keys = q.shape[-2], k.shape[-2]
        ones = np.ones((n_queries, n_keys), bool)
        seen = ones if mask is None else mask
        return seen & np.tril(ones, wrong(n_keys - n_queries)) if causal else seen

    monkeypatch.setattr(by_hand, "visible", visible)
    rows = check_attention(by_hand.attention, by_hand.attention_backward)
    assert named(rows, "differs", "forward") == ["attention, causal, L < S", "attention, causal, L > S"]
    assert not rows.passed


def test_a_row_that_sees_nothing_is_a_case_of_its_own(monkeypatch):
    monkeypatch.setattr(by_hand, "softmax", lambda x: np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True))
    with np.errstate(invalid="ignore"):
        rows = check_attention(lambda q, k, v, mask=None: by_hand.attention(q, k, v, mask))
    assert named(rows, "differs", "forward") == ["attention, nothing visible"]
    found = next(row.forward for row in rows if not row.passed)
    assert found.text == "out[0, 0, 1, 0] is nan; expected 0"


def test_an_exception_is_that_rows_text():
    def forward(q, k, v, mask=None):
        if mask is not None:
            raise IndexError("too many indices")
        return by_hand.attention(q, k, v)

    rows = check_attention(forward, by_hand.attention_backward)
    assert named(rows, "raised", "forward") == ["attention, masked", "attention, nothing visible"]
    assert rows[1].forward.text == "raised IndexError: too many indices"
    assert rows[1].gradient.status == "equal"
    assert not rows.passed


def test_a_backward_of_too_few_arrays():
    def backward(d_out, q, k, v, out, weights):
        return by_hand.attention_backward(d_out, q, k, v, out, weights)[:2]

    rows = check_attention(plain, backward)
    assert rows[0].gradient.text == "no d_v came"
    rows = check_attention(plain, lambda d_out, q, k, v: q)
    assert rows[0].gradient.text == "raised TypeError: ndarray came back; expected (d_q, d_k, d_v)"


def test_what_it_is_called():
    assert check_attention(plain)[0].stage == "plain"
    assert (
        check_attention(partial(by_hand.attention, mask=None), only=["attention, plain"])[0].stage
        == "partial"
    )
