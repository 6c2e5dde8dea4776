"""The families of Hugging Face's models that ours can be, keyed by the `model_type` of config.json."""

from step01_numpy.common.pretrained.fields import (
    Family,
    activation,
    at,
    equal,
    head_size,
    inverse_root,
    joint_vocabulary,
    nullable,
    part,
    reads,
)
from step01_numpy.common.pretrained.position_fields import (
    gemma2_windows,
    gemma3_windows,
    gemma_rotary,
    qwen_windows,
    rotary,
)

LINEAR, NO_HEAD = {"head": "linear"}, {"head": "none", "tied": True}
BERT = Family(
    fields={
        "vocab_size": at("vocab_size"),
        "d_model": at("hidden_size"),
        "n_heads": at("num_attention_heads"),
        "d_ff": at("intermediate_size"),
        "n_layers": at("num_hidden_layers"),
        "dropout": at("hidden_dropout_prob", default=0.1),
        "activation": activation("hidden_act", "gelu"),
        "norm_eps": at("layer_norm_eps", default=1e-12),
        "max_positions": at("max_position_embeddings", default=512),
        "n_segments": at("type_vocab_size", default=2),
        "tied": at("tie_word_embeddings", default=True),
    },
    constants={
        "architecture": "encoder",
        "norm_first": False,
        "norm": "layer",
        "positions": "learned",
        "scale_embedding": False,
        "embedding_norm": True,
    },
    heads={
        None: NO_HEAD,
        "BertModel": NO_HEAD,
        "BertForMaskedLM": {"head": "transformed", "head_bias": True},
        "BertForPreTraining": {"head": "transformed", "head_bias": True},
    },
    honoured={
        "position_embedding_type": ("absolute", None),
        "is_decoder": (False,),
        "add_cross_attention": (False,),
    },
    ignored=frozenset(("directionality", "pooler_*", "is_causal")),
)
GPT2 = Family(
    fields={
        "vocab_size": at("vocab_size"),
        "d_model": at("n_embd", "hidden_size"),
        "n_heads": at("n_head", "num_attention_heads"),
        "d_ff": reads("n_inner")(lambda c: c.get("n_inner") or 4 * at("n_embd", "hidden_size")(c)),
        "n_layers": at("n_layer", "num_hidden_layers"),
        "dropout": at("resid_pdrop", default=0.1),
        "activation": activation("activation_function", "gelu_new"),
        "norm_eps": at("layer_norm_epsilon", default=1e-5),
        "max_positions": at("n_positions", "max_position_embeddings", "n_ctx", default=1024),
        "tied": at("tie_word_embeddings", default=True),
    },
    constants={
        "architecture": "decoder",
        "norm_first": True,
        "norm": "layer",
        "positions": "learned",
        "scale_embedding": False,
    },
    heads={None: LINEAR, "GPT2LMHeadModel": LINEAR, "GPT2Model": NO_HEAD},
    honoured={
        "scale_attn_weights": (True,),
        "scale_attn_by_inverse_layer_idx": (False,),
        "add_cross_attention": (False,),
        "is_causal": (True,),
    },
    ignored=frozenset(("summary_*", "reorder_and_upcast_attn", "is_decoder")),
)
LLAMA = Family(
    fields={
        "vocab_size": at("vocab_size"),
        "d_model": at("hidden_size"),
        "n_heads": at("num_attention_heads"),
        "n_kv_heads": at("num_key_value_heads", default=None),
        "d_head": head_size(),
        "d_ff": at("intermediate_size"),
        "n_layers": at("num_hidden_layers"),
        "activation": activation("hidden_act", "silu"),
        "norm_eps": at("rms_norm_eps", default=1e-6),
        "max_positions": at("max_position_embeddings", default=2048),
        "rotary_base": part("base", rotary),
        "rotary_scaling": part("scaling", rotary),
        "bias": equal("attention_bias", "mlp_bias", default=False),
        "tied": at("tie_word_embeddings", default=False),
    },
    constants={
        "architecture": "decoder",
        "dropout": 0.0,
        "norm_first": True,
        "norm": "rms",
        "gated": True,
        "positions": "rotary",
        "scale_embedding": False,
    },
    heads={None: LINEAR, "LlamaForCausalLM": LINEAR, "LlamaModel": NO_HEAD},
    honoured={"is_causal": (True,)},
    ignored=frozenset(("pretraining_tp", "is_decoder")),
)
MISTRAL = Family(
    fields=LLAMA.fields
    | {
        "n_kv_heads": nullable("num_key_value_heads", 8),  # null: as many as heads
        "max_positions": at("max_position_embeddings", default=131072),
        "window": nullable("sliding_window", 4096),  # null: none
    },
    constants=LLAMA.constants,
    heads={None: LINEAR, "MistralForCausalLM": LINEAR, "MistralModel": NO_HEAD},
    honoured={"layer_types": (None,), "is_causal": (True,)},
    ignored=frozenset(("is_decoder",)),
)
QWEN2 = Family(
    fields={name: x for name, x in LLAMA.fields.items() if name != "bias"}
    | {
        "n_kv_heads": nullable("num_key_value_heads", 32),  # null: as many as heads
        "max_positions": at("max_position_embeddings", default=32768),
        "window": part("window", qwen_windows),
        "full_layers": part("full_layers", qwen_windows),
    },
    constants=LLAMA.constants | {"bias": False, "qkv_bias": True},
    heads={None: LINEAR, "Qwen2ForCausalLM": LINEAR, "Qwen2Model": NO_HEAD},
    honoured={"is_causal": (True,)},
)
QWEN3 = QWEN2._replace(
    fields=QWEN2.fields | {"d_head": head_size(128)},
    constants=LLAMA.constants | {"bias": False, "head_norm": True},
    heads={None: LINEAR, "Qwen3ForCausalLM": LINEAR, "Qwen3Model": NO_HEAD},
    honoured={"attention_bias": (False,), "is_causal": (True,)},
)
GEMMA2 = Family(
    fields={name: x for name, x in LLAMA.fields.items() if name != "bias"}
    | {
        "n_kv_heads": at("num_key_value_heads", default=4),
        "d_head": head_size(256),
        "activation": activation("hidden_activation", "gelu_pytorch_tanh"),
        "max_positions": at("max_position_embeddings", default=8192),
        "tied": at("tie_word_embeddings", default=True),
        "attention_scale": inverse_root("query_pre_attn_scalar", 256),
        "attention_softcap": nullable("attn_logit_softcapping", 50.0),  # null: none
        "logit_softcap": nullable("final_logit_softcapping", 30.0),
        "window": part("window", gemma2_windows),
        "full_layers": part("full_layers", gemma2_windows),
    },
    constants=LLAMA.constants | {"bias": False, "norm_after": True, "scale_embedding": True},
    heads={None: LINEAR, "Gemma2ForCausalLM": LINEAR, "Gemma2Model": NO_HEAD},
    honoured={
        "attention_bias": (False,),
        "use_bidirectional_attention": (None, False),
        "is_causal": (True,),
    },
)
GEMMA3 = Family(
    fields={name: x for name, x in GEMMA2.fields.items() if name != "attention_softcap"}
    | {
        "max_positions": at("max_position_embeddings", default=131072),
        "rotary_base": part("base", gemma_rotary),
        "rotary_scaling": part("scaling", gemma_rotary),
        "rotary_base_windowed": part("windowed", gemma_rotary),
        "logit_softcap": nullable("final_logit_softcapping", None),
        "window": part("window", gemma3_windows),
        "full_layers": part("full_layers", gemma3_windows),
    },
    constants=GEMMA2.constants | {"head_norm": True},
    heads={None: LINEAR, "Gemma3ForCausalLM": LINEAR, "Gemma3TextModel": NO_HEAD},
    honoured=GEMMA2.honoured | {"attn_logit_softcapping": (None,)},  # which the library does not look at
    ignored=frozenset(("_sliding_window_pattern",)),  # what its layer_types came from
)
MARIAN = Family(
    fields={
        "vocab_size": joint_vocabulary,
        "d_model": at("d_model", "hidden_size"),
        "n_heads": equal("encoder_attention_heads", "decoder_attention_heads", also="num_attention_heads"),
        "d_ff": equal("encoder_ffn_dim", "decoder_ffn_dim"),
        "n_layers": equal("encoder_layers", "decoder_layers", also="num_hidden_layers"),
        "dropout": at("dropout", default=0.1),
        "activation": activation("activation_function", "gelu"),
        "max_positions": at("max_position_embeddings", default=1024),
        "scale_embedding": at("scale_embedding", default=False),
        "tied": at("tie_word_embeddings", default=True),
        "pad": at("pad_token_id"),
    },
    constants={
        "architecture": "encoder_decoder",
        "norm_first": False,
        "norm": "layer",
        "norm_eps": 1e-5,
        "positions": "sinusoidal_halves",
        "head_bias": True,
    },
    heads={None: LINEAR, "MarianMTModel": LINEAR},
    honoured={
        "share_encoder_decoder_embeddings": (True,),
        "normalize_before": (False,),
        "normalize_embedding": (False,),
        "add_final_layer_norm": (False,),
        "static_position_embeddings": (True,),
        "is_decoder": (False,),
        "is_encoder_decoder": (True,),
        "is_causal": (True,),
    },
    ignored=frozenset(("add_bias_logits", "extra_pos_embeddings", "force_bos_token_to_be_generated")),
)
TABLE = {
    "bert": BERT,
    "gpt2": GPT2,
    "llama": LLAMA,
    "mistral": MISTRAL,
    "qwen2": QWEN2,
    "qwen3": QWEN3,
    "gemma2": GEMMA2,
    "gemma3_text": GEMMA3,
    "marian": MARIAN,
}
