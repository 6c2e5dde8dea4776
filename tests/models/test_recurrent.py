"""The GRU: equal to PyTorch's forward and backward, both ways, and standing still at padding."""

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tests.tolerances import assert_all_equal64, assert_earned, assert_equal64

B, L, D_IN, D = 3, 5, 7, 4
LENGTHS = [5, 3, 1]
MASK = np.arange(L) < np.array(LENGTHS)[:, None]


def step_gradients(stage, d_new, inputs, state, weight, bias):
    """Return the gradients of one step with respect to all four."""
    step, d_new, args = stage.get("gru_step"), stage.array(d_new), stage.array((inputs, state, weight, bias))
    if not stage.has("gru_step_backward"):
        leaves = [x.requires_grad_() for x in args]
        step(*leaves).backward(d_new)
        return stage.numpy(tuple(x.grad for x in leaves))
    _, saved = step(*args)
    d_inputs, d_hidden, d_state = stage.get("gru_step_backward")(d_new, *saved, args[2])
    d_weight, d_bias = stage.get("weight_backward")(d_hidden[None], args[1][None])
    return stage.numpy((d_inputs, d_state, d_weight, d_bias))


def test_a_step_equals_torchs_cell(stage, rng):
    """With W = 1 and b = 0, PyTorch's cell is given the gates' inputs as ours is."""
    inputs, state = rng.normal(size=(B, 3 * D)), rng.normal(size=(B, D))
    weight, bias, d_new = rng.normal(size=(3 * D, D)), rng.normal(size=3 * D), rng.normal(size=(B, D))
    cell = torch.nn.GRUCell(3 * D, D).double()
    with torch.no_grad():
        for p, x in zip(cell.parameters(), (np.eye(3 * D), weight, 0 * bias, bias), strict=True):
            p.copy_(torch.tensor(x))
    leaves = [torch.tensor(x).requires_grad_() for x in (inputs, state)]
    expected = cell(*leaves)
    expected.backward(torch.tensor(d_new))
    found = stage.call("gru_step", inputs, state, weight, bias)
    assert_equal64(found[0] if isinstance(found, tuple) else found, expected.detach().numpy())
    gradients = [x.grad.numpy() for x in (*leaves, cell.weight_hh, cell.bias_hh)]
    assert_all_equal64(step_gradients(stage, d_new, inputs, state, weight, bias), gradients)


def torchs(model, state, dtype=torch.float64):
    """Return PyTorch's GRU with our weights, and from our names to its parameters."""
    ends = {"left_to_right.": "", "right_to_left.": "_reverse"} if len(state) == 8 else {"": ""}
    names = {
        "w_x.weight": "weight_ih",
        "w_h.weight": "weight_hh",
        "w_x.bias": "bias_ih",
        "w_h.bias": "bias_hh",
    }
    oracle = torch.nn.GRU(model[0], model[1], batch_first=True, bidirectional=len(ends) == 2).to(dtype)
    where = {a + b: getattr(oracle, f"{names[b]}_l0{ends[a]}") for a in ends for b in names}
    with torch.no_grad():
        for name, weight in where.items():
            weight.copy_(torch.tensor(state[name]))
    return oracle, where


def oracle_run(oracle, x, d_out, lengths=None, dtype=torch.float64):
    """Return PyTorch's states, packed where lengths are given, its last states, and d_x."""
    x = torch.tensor(x).to(dtype).requires_grad_()
    if lengths is None:
        out, last = oracle(x)
    else:
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        out, last = oracle(packed)
        out, _ = pad_packed_sequence(out, batch_first=True)
    out.backward(torch.tensor(d_out).to(dtype))
    return out.detach().numpy(), last.detach().numpy(), x.grad.numpy()


@pytest.mark.parametrize("reverse", [False, True])
def test_a_sequence_equals_torchs(stage, rng, reverse):
    model = stage.layer("GRU", D_IN, D, reverse=reverse, rng=rng)
    x, d_out = rng.normal(size=(B, L, D_IN)), rng.normal(size=(B, L, D))
    oracle, where = torchs((D_IN, D), model.state())
    turn = slice(None, None, -1 if reverse else 1)
    out, _, d_x = oracle_run(oracle, x[:, turn].copy(), d_out[:, turn].copy())
    assert_equal64(model.forward(x), out[:, turn])
    expected = {name: p.grad.numpy() for name, p in where.items()} | {"0": d_x[:, turn]}
    assert_all_equal64(model.gradients(d_out, x), expected)


@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_both_directions_equal_torchs_with_packed_padding(stage, rng, lengths):
    """At padding PyTorch's packed states are 0 and get no gradient; elsewhere all is equal."""
    model = stage.layer("BidirectionalGRU", D_IN, 2 * D, rng=rng)
    x, d_out = rng.normal(size=(B, L, D_IN)), rng.normal(size=(B, L, 2 * D))
    real = np.ones((B, L, 1)) if lengths is None else MASK[:, :, None]
    masks = [] if lengths is None else [MASK]
    oracle, where = torchs((D_IN, D), model.state())
    out, last, d_x = oracle_run(oracle, x, d_out * real, lengths)
    found = model.forward(x, *masks)
    assert_equal64(found * real, out)
    assert_equal64(stage.call("summary", found), np.concatenate(list(last), axis=-1))
    expected = {name: p.grad.numpy() for name, p in where.items()} | {"0": d_x}
    assert_all_equal64(model.gradients(d_out * real, x, *masks), expected)


def test_at_padding_the_state_stands_still_and_hands_on_what_it_is_given(stage, rng):
    model = stage.layer("GRU", D_IN, D, rng=rng)
    x, d_out = rng.normal(size=(B, L, D_IN)), rng.normal(size=(B, L, D))
    states = model.forward(x, MASK)
    for row, length in enumerate(LENGTHS):
        assert (states[row, length:] == states[row, length - 1]).all()
    found = model.gradients(d_out, x, MASK)
    assert (found["0"][~MASK] == 0).all()
    moved = d_out * MASK[:, :, None]
    for row, length in enumerate(LENGTHS):
        moved[row, length - 1] = d_out[row, length - 1 :].sum(axis=0)
    assert_all_equal64(found, model.gradients(moved, x, MASK))


def test_what_stands_at_padding_is_not_seen(stage, rng):
    model = stage.layer("BidirectionalGRU", D_IN, 2 * D, rng=rng)
    x = rng.normal(size=(B, L, D_IN))
    other = np.where(MASK[:, :, None], x, 1e3)
    assert (model.forward(x, MASK) == model.forward(other, MASK)).all()


def test_summary_is_each_directions_last_state(stage, rng):
    annotations = rng.normal(size=(B, L, 2 * D))
    expected = [[*row[-1, :D], *row[0, D:]] for row in annotations]
    assert_equal64(stage.call("summary", annotations), np.array(expected))


def test_float32_is_as_good_as_torchs(stage, rng):
    model = stage.layer("GRU", D_IN, D, rng=rng, dtype="float32")
    x, d_out = (rng.normal(size=(B, L, d)).astype(np.float32) for d in (D_IN, D))
    runs = []
    for dtype in (torch.float64, torch.float32):
        oracle, where = torchs((D_IN, D), model.state(), dtype)
        out, _, d_x = oracle_run(oracle, x, d_out, dtype=dtype)
        runs.append((out, {"0": d_x} | {name: p.grad.numpy() for name, p in where.items()}))
    (reference, gradients), (peer, peers) = runs
    out, found = model.forward(x), model.gradients(d_out, x)
    assert {out.dtype.name, *(g.dtype.name for g in found.values())} == {"float32"}
    assert_earned(out, peer, reference, "float32", 2)
    for name, expected in gradients.items():
        assert_earned(found[name], peers[name], expected, "float32", 3, name)


@pytest.mark.ours  # the messages are our words
@pytest.mark.usefixtures("unchecked")
def test_bad_input_is_named(stage, rng):
    model = stage.layer("GRU", D_IN, D, rng=rng)
    with pytest.raises(ValueError, match=r"x has shape \(5, 7\); expected 3 axes"):
        model.forward(rng.normal(size=(L, D_IN)))
    with pytest.raises(ValueError, match=r"x has shape .*; expected \(\.\.\., 7\)"):
        model.forward(rng.normal(size=(B, L, D_IN + 1)))
    with pytest.raises(ValueError, match=r"mask has shape \(3, 4\); expected \(3, 5\)"):
        model.forward(rng.normal(size=(B, L, D_IN)), MASK[:, :-1])
    with pytest.raises(ValueError, match="d_hidden is 0"):
        stage.layer("GRU", D_IN, 0)
    with pytest.raises(ValueError, match="2, which does not divide d_hidden 5"):
        stage.layer("BidirectionalGRU", D_IN, 5)
