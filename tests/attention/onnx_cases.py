"""
ONNX's own node tests, and adapters that reach its operators through a stage's public functions.

ONNX's operators say in attributes and optional inputs what the stages say in their arguments; each adapter
translates, and returns what the operator returns, by the operator's names.
"""

from dataclasses import dataclass
from importlib import import_module

import numpy as np
from onnx import TensorProto, helper
from onnx.backend.test.case import node


@dataclass(frozen=True)
class Case:
    """One node test: an operator's attributes and inputs, and the outputs that ONNX expects of it."""

    name: str
    opset: int
    attributes: dict
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]

    def attribute(self, name, default=None):
        """Return an attribute; ONNX's 0 means "not given" wherever this is asked."""
        return self.attributes.get(name) or default


def load_cases(operator: str) -> list[Case]:
    """
    Return the operator's node tests.

    onnx makes them when the operator's module is imported, seeding NumPy's generator before each. (Its own
    `collect_testcases` answers for one operator in a process only.)
    """
    import_module(f"onnx.backend.test.case.node.{operator.lower()}")
    single = (test for test in node._NodeTestCases if len(test.model.graph.node) == 1)  # others are expanded
    return [_case(test) for test in single if test.model.graph.node[0].op_type == operator]


def _case(test) -> Case:
    operation, (inputs, outputs) = test.model.graph.node[0], test.data_sets[0]
    return Case(
        test.name,
        test.model.opset_import[0].version,
        {a.name: helper.get_attribute_value(a) for a in operation.attribute},
        dict(zip(filter(None, operation.input), inputs, strict=True)),
        dict(zip(filter(None, operation.output), outputs, strict=True)),
    )


def attention(stage, function: str, case: Case) -> dict[str, np.ndarray]:
    """Run `Attention`. Mode 3 of `qk_matmul_output` needs the weights, which flash attention has not."""
    q, k, v = (_split(stage, case, name) for name in "QKV")
    k, v = _append_to_past(stage, case, k, v)
    arrays, options = _working_precision(case, q, k, v), _options(stage, case, q, k)
    out, saved = stage.call(function, *arrays, **options)
    out = out.astype(q.dtype)
    y = stage.call("merge_heads", out) if case.inputs["Q"].ndim == 3 else out
    results = {"Y": y, "present_key": k, "present_value": v}
    if function == "scaled_dot_product_attention" and "qk_matmul_output" in case.outputs:
        mode = case.attribute("qk_matmul_output_mode", 0)
        scores = saved if mode == 3 else _scores(stage, mode, *arrays[:2], **options)
        results["qk_matmul_output"] = scores.astype(q.dtype)
    return results


def _split(stage, case, name):
    """Return an input as (B, H, L, D); ONNX may also give it as (B, L, H·D)."""
    x, heads = case.inputs[name], "q_num_heads" if name == "Q" else "kv_num_heads"
    return stage.call("split_heads", x, case.attributes[heads]) if x.ndim == 3 else x


def _append_to_past(stage, case, k, v):
    """Return the keys and values behind those of the past, which a `KVCache` holds."""
    if "past_key" not in case.inputs:
        return k, v
    cache = stage.package.KVCache()
    cache.append(*stage.array((case.inputs["past_key"], case.inputs["past_value"])))
    return stage.numpy(cache.append(*stage.array((k, v))))


def _working_precision(case, *arrays):
    """Let float64 softmax be float64 throughout; float32 is what 16-bit inputs are computed in anyhow."""
    double = case.attribute("softmax_precision") == TensorProto.DOUBLE
    return tuple(x.astype(np.float64) if double else x for x in arrays)


def _options(stage, case, q, k) -> dict:
    """Translate the attributes and what hides keys into the arguments of a stage's attention."""
    mask, bias = _given_mask(case, k.shape[-2])
    options = {"scale": case.attribute("scale"), "softcap": case.attribute("softcap"), "bias": bias}
    if "nonpad_kv_seqlen" in case.inputs:
        ragged = _ragged_mask(stage, case, q.shape[-2], k.shape[-2])
        return options | {"mask": ragged if mask is None else mask & ragged}
    past = case.inputs.get("past_key")
    offset = 0 if past is None else past.shape[-2]
    return options | {"mask": mask, "causal": _causal(case), "window": _window(case), "offset": offset}


def _given_mask(case, n_keys):
    """Return `attn_mask` as (boolean mask, None) or (None, bias); ONNX hides the keys behind a short one."""
    mask = case.inputs.get("attn_mask")
    if mask is None:
        return None, None
    boolean = mask.dtype == bool
    padding = [(0, 0)] * (mask.ndim - 1) + [(0, n_keys - mask.shape[-1])]
    mask = np.pad(mask, padding, constant_values=False if boolean else -np.inf)
    return (mask, None) if boolean else (None, mask)


def _ragged_mask(stage, case, n_queries, n_keys):
    """Each sequence has its own number of keys, of which its queries are the last: (B, 1, L, S)."""
    left, right = _window(case)
    right = 0 if _causal(case) else right

    def band(length):
        own = stage.call("sliding_window_mask", n_queries, length, left, right)
        return np.pad(own, [(0, 0), (0, n_keys - length)])  # behind its keys there is nothing to see

    return np.stack([band(int(n)) for n in case.inputs["nonpad_kv_seqlen"]])[:, None]


def _causal(case):
    return bool(case.attribute("is_causal"))


def _window(case):
    """Return (left, right); ONNX's -1 is no bound."""
    sizes = (case.attributes.get(f"{side}_window_size", -1) for side in ("left", "right"))
    return tuple(None if size == -1 else size for size in sizes)


def _scores(stage, mode, q, k, *, mask, bias, scale, softcap, **visible):
    """Return the scores at the point that a mode below 3 names: 0 raw, 1 capped, 2 with everything hidden."""
    scores = stage.call("attention_scores", q, stage.call("repeat_heads", k, q), scale)
    if mode == 0:
        return scores
    scores = stage.call("cap", scores, softcap)
    if mode == 1:
        return scores
    scores = scores if bias is None else scores + bias
    return stage.call("hide", scores, stage.call("combine_masks", *scores.shape[-2:], mask, **visible))


def rotary_embedding(stage, function: str, case: Case) -> dict[str, np.ndarray]:
    """
    Run `RotaryEmbedding`.

    Its caches are as wide as the stage's cos and sin, which thus say what `rotary_embedding_dim` says.
    """
    x, cos, sin = (case.inputs[name] for name in ("input", "cos_cache", "sin_cache"))
    if "position_ids" in case.inputs:
        cos, sin = cos[case.inputs["position_ids"]], sin[case.inputs["position_ids"]]  # (B, L, d_rotary / 2)
    flat = x.ndim == 3
    x = stage.call("split_heads", x, case.attributes["num_heads"]) if flat else x
    interleaved = bool(case.attribute("interleaved"))
    out = stage.call(function, x, cos[:, None], sin[:, None], interleaved=interleaved)
    return {"output": stage.call("merge_heads", out) if flat else out}


def layer_normalization(stage, function: str, case: Case) -> dict[str, np.ndarray]:
    """Run `LayerNormalization`. The stages do not return its moments."""
    return {"Y": _normalised(stage, function, case, "X", "W", "B")}


def rms_normalization(stage, function: str, case: Case) -> dict[str, np.ndarray]:
    """Run `RMSNormalization`."""
    return {"Y": _normalised(stage, function, case, "X", "W")}


def _normalised(stage, function, case, *names):
    """Normalise; the axes from `axis` on become one."""
    x, *weights = (case.inputs[name] for name in names)
    rows = x.shape[: case.attributes.get("axis", -1) % x.ndim]
    arrays = x.reshape(*rows, -1), *(w.reshape(-1) for w in weights)
    return stage.call(function, *arrays, eps=case.attributes.get("epsilon", 1e-5)).reshape(x.shape)
