"""config.json: what it says is what our configuration says, or it is refused by the field's name."""

import json

import pytest
import transformers

from step01_numpy.common.pretrained.config import fields, read_config
from step01_numpy.common.pretrained.families import TABLE

SMALL = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
BERT = {"model_type": "bert", **SMALL, "intermediate_size": 64}
GPT2 = {"model_type": "gpt2", "vocab_size": 50, "n_embd": 32, "n_layer": 3, "n_head": 4}
LLAMA = {"model_type": "llama", **SMALL, "intermediate_size": 64}
MISTRAL = LLAMA | {"model_type": "mistral"}
QWEN2 = LLAMA | {"model_type": "qwen2"}
QWEN3 = LLAMA | {"model_type": "qwen3"}
GEMMA2 = LLAMA | {"model_type": "gemma2"}
GEMMA3 = LLAMA | {"model_type": "gemma3_text"}
SLIDING = {"use_sliding_window": True, "sliding_window": 5}
FULL, WINDOWED = "full_attention", "sliding_attention"
SIZES = {"encoder_layers": 3, "decoder_layers": 3, "encoder_attention_heads": 4, "decoder_attention_heads": 4}
SIZES |= {"encoder_ffn_dim": 64, "decoder_ffn_dim": 64}
MARIAN = {"model_type": "marian", "vocab_size": 50, "d_model": 32, **SIZES, "pad_token_id": 49}
COMMON = {"vocab_size": 50, "d_model": 32, "n_heads": 4, "n_layers": 3}
LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
LLAMA3 |= {"original_max_position_embeddings": 64}
EXPECTED = {
    "bert": {
        **COMMON,
        "d_ff": 64,
        "dropout": 0.1,
        "norm_first": False,
        "norm": "layer",
        "norm_eps": 1e-12,
        "activation": "gelu",
        "positions": "learned",
        "max_positions": 512,
        "scale_embedding": False,
        "embedding_norm": True,
        "n_segments": 2,
        "architecture": "encoder",
        "tied": True,
        "head": "none",
    },
    "gpt2": {
        **COMMON,
        "d_ff": 128,
        "dropout": 0.1,
        "norm_first": True,
        "norm": "layer",
        "norm_eps": 1e-5,
        "activation": "gelu_tanh",
        "positions": "learned",
        "max_positions": 1024,
        "scale_embedding": False,
        "architecture": "decoder",
        "tied": True,
        "head": "linear",
    },
    "llama": {
        **COMMON,
        "n_kv_heads": None,
        "d_head": None,
        "d_ff": 64,
        "dropout": 0.0,
        "norm_first": True,
        "norm": "rms",
        "norm_eps": 1e-6,
        "activation": "silu",
        "gated": True,
        "bias": False,
        "positions": "rotary",
        "max_positions": 2048,
        "rotary_base": 10000.0,
        "rotary_scaling": None,
        "scale_embedding": False,
        "architecture": "decoder",
        "tied": False,
        "head": "linear",
    },
    "marian": {
        **COMMON,
        "d_ff": 64,
        "dropout": 0.1,
        "norm_first": False,
        "norm": "layer",
        "norm_eps": 1e-5,
        "activation": "gelu",
        "positions": "sinusoidal_halves",
        "max_positions": 1024,
        "scale_embedding": False,
        "architecture": "encoder_decoder",
        "tied": True,
        "head": "linear",
        "head_bias": True,
        "pad": 49,
    },
}
EXPECTED["qwen2"] = EXPECTED["llama"] | {"n_kv_heads": 32, "max_positions": 32768, "qkv_bias": True}
EXPECTED["qwen2"] |= {"window": None, "full_layers": ()}
EXPECTED["qwen3"] = {name: x for name, x in EXPECTED["qwen2"].items() if name != "qkv_bias"}
EXPECTED["qwen3"] |= {"d_head": 128, "head_norm": True}
EXPECTED["gemma2"] = EXPECTED["llama"] | {"n_kv_heads": 4, "d_head": 256, "max_positions": 8192}
EXPECTED["gemma2"] |= {"activation": "gelu_tanh", "scale_embedding": True, "norm_after": True, "tied": True}
EXPECTED["gemma2"] |= {"attention_scale": 1 / 16, "attention_softcap": 50.0, "logit_softcap": 30.0}
EXPECTED["gemma2"] |= {"window": 4096, "full_layers": (1,)}
EXPECTED["gemma3_text"] = {name: x for name, x in EXPECTED["gemma2"].items() if name != "attention_softcap"}
EXPECTED["gemma3_text"] |= {"logit_softcap": None, "max_positions": 131072, "head_norm": True}
EXPECTED["gemma3_text"] |= {"rotary_base": 1e6, "rotary_base_windowed": 1e4, "full_layers": ()}
EXPECTED["mistral"] = EXPECTED["llama"] | {"n_kv_heads": 8, "window": 4096, "max_positions": 131072}


@pytest.mark.parametrize(
    "theirs",
    [BERT, GPT2, LLAMA, MISTRAL, QWEN2, QWEN3, GEMMA2, GEMMA3, MARIAN],
    ids=lambda x: x["model_type"],
)
def test_what_a_file_does_not_say_is_the_library_s_default(theirs):
    assert fields(theirs) == EXPECTED[theirs["model_type"]]
    library = transformers.AutoConfig.for_model(**theirs).to_dict()
    found, expected = fields(library), dict(EXPECTED[theirs["model_type"]])
    if "n_kv_heads" in expected:  # which the library writes out
        expected["n_kv_heads"] = found["n_kv_heads"] = expected["n_kv_heads"] or 4
    assert found == expected


def test_every_family_is_tested():
    assert set(TABLE) == set(EXPECTED)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (BERT | {"architectures": ["BertForMaskedLM"]}, {"head": "transformed", "head_bias": True}),
        (BERT | {"architectures": ["BertForPreTraining"], "tie_word_embeddings": False}, {"tied": False}),
        (
            BERT | {"architectures": ["BertModel"], "tie_word_embeddings": False},
            {"head": "none", "tied": True},
        ),
        (BERT | {"layer_norm_eps": 1e-5, "hidden_act": "relu"}, {"norm_eps": 1e-5, "activation": "relu"}),
        (BERT | {"hidden_act": "gelu_new"}, {"activation": "gelu_tanh"}),
        (BERT | {"type_vocab_size": 1, "max_position_embeddings": 9}, {"n_segments": 1, "max_positions": 9}),
        (GPT2 | {"n_inner": 7, "n_positions": 12}, {"d_ff": 7, "max_positions": 12}),
        (GPT2 | {"n_inner": None, "n_ctx": 13}, {"d_ff": 128, "max_positions": 13}),
        (GPT2 | {"activation_function": "gelu"}, {"activation": "gelu"}),
        (GPT2 | {"layer_norm_epsilon": 1e-3, "resid_pdrop": 0.0}, {"norm_eps": 1e-3, "dropout": 0.0}),
        (LLAMA | {"num_key_value_heads": 2}, {"n_kv_heads": 2}),
        (LLAMA | {"rms_norm_eps": 1e-3, "head_dim": 8}, {"norm_eps": 1e-3, "d_head": None}),
        (LLAMA | {"head_dim": 16}, {"d_head": 16}),
        (MISTRAL | {"head_dim": 10, "num_attention_heads": 3}, {"d_head": 10, "n_heads": 3}),
        (LLAMA | {"tie_word_embeddings": True}, {"tied": True}),
        (LLAMA | {"attention_bias": True, "mlp_bias": True}, {"bias": True}),
        (LLAMA | {"rope_theta": 5e5}, {"rotary_base": 5e5, "rotary_scaling": None}),
        (LLAMA | {"rope_theta": 5e5, "rope_scaling": None}, {"rotary_base": 5e5, "rotary_scaling": None}),
        (
            LLAMA | {"rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3", **LLAMA3}},
            {"rotary_base": 5e5, "rotary_scaling": (8.0, 1.0, 4.0, 64)},
        ),
        (
            LLAMA | {"rope_theta": 5e5, "rope_scaling": {"type": "llama3", **LLAMA3}},
            {"rotary_base": 5e5, "rotary_scaling": (8.0, 1.0, 4.0, 64)},
        ),
        (
            LLAMA | {"rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5, **LLAMA3}},
            {"rotary_base": 5e5, "rotary_scaling": (8.0, 1.0, 4.0, 64)},
        ),
        (
            LLAMA | {"rope_parameters": {"rope_theta": 7.0}, "rope_scaling": {"type": "llama3", **LLAMA3}},
            {"rotary_base": 10000.0, "rotary_scaling": (8.0, 1.0, 4.0, 64)},
        ),
        (MISTRAL | {"sliding_window": None}, {"window": None}),
        (MISTRAL | {"sliding_window": 3}, {"window": 3}),
        (MISTRAL | {"num_key_value_heads": None}, {"n_kv_heads": None}),
        (QWEN2 | {"sliding_window": 5, "max_window_layers": 0}, {"window": None, "full_layers": ()}),
        (QWEN2 | SLIDING, {"window": None, "full_layers": ()}),
        (QWEN2 | SLIDING | {"max_window_layers": 2}, {"window": 5, "full_layers": (0, 1)}),
        (QWEN2 | SLIDING | {"max_window_layers": 0}, {"window": 5, "full_layers": ()}),
        (QWEN2 | SLIDING | {"layer_types": [WINDOWED, FULL, WINDOWED]}, {"window": 5, "full_layers": (1,)}),
        (QWEN3 | SLIDING | {"max_window_layers": 1}, {"window": 5, "full_layers": (0,)}),
        (QWEN3 | {"head_dim": 8}, {"d_head": None}),
        (
            GEMMA2 | {"attn_logit_softcapping": None, "sliding_window": None, "layer_types": [FULL] * 3},
            {"attention_softcap": None, "logit_softcap": 30.0, "window": None},
        ),
        (
            GEMMA2 | {"final_logit_softcapping": None, "query_pre_attn_scalar": 144},
            {"logit_softcap": None, "attention_softcap": 50.0, "attention_scale": 1 / 12},
        ),
        (GEMMA3 | {"sliding_window_pattern": 3}, {"window": 4096, "full_layers": (2,)}),
        (
            GEMMA3 | {"rope_theta": 5e5, "rope_local_base_freq": 50.0},
            {"rotary_base": 5e5, "rotary_base_windowed": 50.0, "rotary_scaling": None},
        ),
        (
            GEMMA3 | {"rope_scaling": {"rope_type": "linear", "factor": 8.0}},
            {"rotary_base": 1e6, "rotary_base_windowed": 1e4, "rotary_scaling": (8.0, 1, 2, 1)},
        ),
        (
            GEMMA3 | {"rope_parameters": {FULL: {"rope_theta": 7.0}}},
            {"rotary_base": 7.0, "rotary_base_windowed": 1e4},
        ),
        (QWEN2 | {"layer_types": [FULL] * 3}, {"window": None, "full_layers": ()}),
        (MARIAN | {"activation_function": "swish"}, {"activation": "silu"}),
        (MARIAN | {"scale_embedding": True, "dropout": 0.3}, {"scale_embedding": True, "dropout": 0.3}),
    ],
)
def test_what_a_file_says(theirs, ours):
    assert fields(theirs).items() >= ours.items()
    if "rotary_scaling" in ours:
        kinds = transformers.AutoConfig.for_model(**theirs).rope_parameters
        library = kinds.get(FULL, kinds)  # Gemma 3 has two
        assert library["rope_theta"] == ours["rotary_base"]
        assert (library.get("rope_type", "default") == "default") == (ours["rotary_scaling"] is None)


REFUSED = [
    (
        {"model_type": "t5"},
        r"model_type is 't5'; supported are bert, .*, gemma3_text, marian",
    ),
    ({}, "model_type is None; supported are bert"),
    (
        BERT | {"architectures": ["BertForQuestionAnswering"]},
        r"architectures is \['BertForQ.*expected one of",
    ),
    (BERT | {"position_embedding_type": "relative_key"}, '"relative_key"; expected "absolute"'),
    (BERT | {"is_decoder": True}, "is_decoder is true; expected false"),
    (BERT | {"add_cross_attention": True}, "add_cross_attention is true; expected false"),
    (BERT | {"hidden_act": "tanh"}, "hidden_act is 'tanh'; expected one of relu, gelu"),
    (BERT | {"auto_map": {"AutoModel": "modeling.Mine"}}, "auto_map is .*; expected null"),
    (BERT | {"quantization_config": {"bits": 4}}, 'quantization_config is {"bits": 4}; expected null'),
    (BERT | {"hidden_size": None}, "it lacks hidden_size"),
    (LLAMA | {"is_causal": False}, "is_causal is false; expected true"),
    (MISTRAL | {"is_causal": False}, "is_causal is false; expected true"),
    (GPT2 | {"is_causal": False}, "is_causal is false; expected true"),
    (MARIAN | {"is_causal": False}, "is_causal is false; expected true"),
    (LLAMA | {"is_causal": 1}, "is_causal is 1; expected true"),
    (LLAMA | {"is_encoder_decoder": True}, "is_encoder_decoder is true; expected false"),
    (LLAMA | {"per_layer_config": {"0": {}}}, "per_layer_config is .*; expected null"),
    (
        LLAMA | {"attention_sinks": None},
        "attention_sinks is a field that is not known here, and might change",
    ),
    (GPT2 | {"hidden_size": 64}, "n_embd and hidden_size are 32 and 64; expected them equal"),
    (GPT2 | {"n_positions": 9, "n_ctx": 8}, "n_positions and n_ctx are 9 and 8; expected them equal"),
    (MARIAN | {"num_hidden_layers": 6}, "and num_hidden_layers are 3 and 3 and 6; expected them equal"),
    (LLAMA | {"rope_scaling": {"type": "default", "mrope_section": [1]}}, "have the field mrope_section"),
    (GPT2 | {"scale_attn_weights": False}, "scale_attn_weights is false; expected true"),
    (GPT2 | {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx is true"),
    (LLAMA | {"num_attention_heads": 5}, "n_heads is 5, which does not divide d_model 32"),
    (LLAMA | {"attention_bias": True}, "attention_bias and mlp_bias are True and False; expected them equal"),
    (
        LLAMA | {"rope_scaling": {"type": "dynamic", "factor": 2.0}},
        "rope_type is 'dynamic'; expected 'default', 'linear'",
    ),
    (LLAMA | {"rope_parameters": {"rope_type": "yarn"}}, "rope_type is 'yarn'"),
    (
        LLAMA | {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}},
        "lacks low_freq_factor, high_freq_fac",
    ),
    (LLAMA | {"rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.5}}, "partial_rotary_factor"),
    (LLAMA | {"rope_parameters": {"full_attention": {"rope_type": "default"}}}, "full_attention"),
    (QWEN2 | {"layer_types": [FULL, WINDOWED, FULL]}, "expected a sliding_window, which is null"),
    (QWEN3 | {"attention_bias": True}, "attention_bias is true; expected false"),
    (
        GEMMA2 | {"use_bidirectional_attention": True},
        "use_bidirectional_attention is true; expected null or fa",
    ),
    (
        GEMMA3 | {"sliding_window_pattern": 0},
        "sliding_window_pattern is 0; expected an integer",
    ),
    (GEMMA2 | {"sliding_window": None}, "expected a sliding_window, which is null"),
    (GEMMA3 | {"attn_logit_softcapping": 50.0}, "attn_logit_softcapping is 50.0; expected null"),
    (
        GEMMA3 | {"rope_parameters": {"rope_theta": 1e6}},
        "rope_parameters has rope_theta; expected",
    ),
    (
        GEMMA3 | {"rope_parameters": {WINDOWED: {"rope_type": "linear", "factor": 2.0}}},
        "a window scale",
    ),
    (QWEN2 | {"layer_types": [FULL] * 2}, "expected 3 of full_attention, sliding_attention"),
    (QWEN2 | {"layer_types": [FULL, FULL, "chunked_attention"]}, "layer_types is .*chunked"),
    (QWEN2 | SLIDING | {"num_hidden_layers": 10**9}, "num_hidden_layers is 1000000000; the most that can"),
    (MISTRAL | {"layer_types": ["full_attention"] * 3}, "layer_types is .*; expected null"),
    (MARIAN | {"decoder_layers": 2}, "encoder_layers and decoder_layers are 3 and 2; expected them equal"),
    (
        MARIAN | {"decoder_attention_heads": 2},
        "encoder_attention_heads and decoder_attention_heads are 4 and 2",
    ),
    (MARIAN | {"share_encoder_decoder_embeddings": False}, "share_encoder_decoder_embeddings is false"),
    (MARIAN | {"decoder_vocab_size": 60}, "decoder_vocab_size"),
    (MARIAN | {"normalize_before": True}, "normalize_before is true; expected false"),
]


@pytest.mark.parametrize(("theirs", "message"), REFUSED)
def test_what_we_cannot_honour(tmp_path, theirs, message):
    (tmp_path / "config.json").write_text(json.dumps(theirs))
    with pytest.raises(ValueError, match=rf"config.json: .*{message}"):
        read_config(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{", "config.json is no JSON"),
        (b"\xff", "is no JSON .*utf-8"),
        (b"[]", "holds a list; expected an obj"),
    ],
)
def test_no_configuration(tmp_path, text, message):
    with pytest.raises(FileNotFoundError, match=r"has no config.json; expected the directory of a model"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_bytes(text)
    with pytest.raises(ValueError, match=message):
        read_config(tmp_path)
