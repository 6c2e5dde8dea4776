"""Small random models of the library transformers, saved as it saves them: the oracle for what we load."""

import numpy as np
import torch
import transformers

from tests.pretrained import tiny_tokenizers

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 40}
SIZES |= {"vocab_size": 50, "max_position_embeddings": 24}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
LLAMA3 |= {"original_max_position_embeddings": 16}


def randomise(model, seed=0):
    """Draw every weight anew, norms and biases too: a fresh model's ones and zeros would hide mistakes."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, x in [*model.named_parameters(), *model.named_buffers()]:
            if name.endswith(
                ("embed_positions.weight", "position_ids", "token_type_ids", "inv_freq", "embed_scale")
            ):
                continue
            is_scale = name.endswith("weight") and ("norm" in name.lower() or ".ln_" in name)
            x.copy_(is_scale + 0.2 * torch.randn(x.shape, generator=generator))
    return model.eval()


def bert(kind="BertModel", **options):
    config = transformers.BertConfig(**SIZES | {"layer_norm_eps": 1e-3} | options)
    return randomise(getattr(transformers, kind)(config))


def gpt2(kind="GPT2LMHeadModel", **options):
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 24, "vocab_size": 300}
    config = transformers.GPT2Config(**sizes | {"bos_token_id": 0, "eos_token_id": 0} | options)
    return randomise(getattr(transformers, kind)(config))


def llama(kind="LlamaForCausalLM", **options):
    config = transformers.LlamaConfig(**SIZES | {"rms_norm_eps": 1e-3} | options)
    return randomise(getattr(transformers, kind)(config))


def mistral(**options):
    options = {"num_key_value_heads": 2, "sliding_window": 3} | options
    return randomise(transformers.MistralForCausalLM(transformers.MistralConfig(**SIZES | options)))


def qwen2(kind="Qwen2ForCausalLM", **options):
    config = transformers.Qwen2Config(**SIZES | {"num_key_value_heads": 2} | options)
    return randomise(getattr(transformers, kind)(config))


def qwen3(kind="Qwen3ForCausalLM", **options):
    options = {"num_key_value_heads": 2, "head_dim": 10, "rms_norm_eps": 1e-3} | options
    return randomise(getattr(transformers, kind)(transformers.Qwen3Config(**SIZES | options)))


GEMMA = {"num_key_value_heads": 2, "head_dim": 10, "query_pre_attn_scalar": 24, "sliding_window": 3}
GEMMA |= {"rms_norm_eps": 1e-3}


def gemma2(kind="Gemma2ForCausalLM", **options):
    caps = {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0}
    config = transformers.Gemma2Config(**SIZES | GEMMA | caps | options)
    return randomise(getattr(transformers, kind)(config))


def gemma3(kind="Gemma3ForCausalLM", **options):
    options = {"layer_types": ["sliding_attention", "full_attention"]} | options
    config = transformers.Gemma3TextConfig(**SIZES | GEMMA | options)
    return randomise(getattr(transformers, kind)(config))


def marian(**options):
    sizes = {f"{side}_{name}": n for side in ("encoder", "decoder") for name, n in MARIAN_SIZES.items()}
    ids = {"pad_token_id": 47, "decoder_start_token_id": 47, "eos_token_id": 0, "forced_eos_token_id": 0}
    config = transformers.MarianConfig(
        d_model=32, vocab_size=48, max_position_embeddings=64, **sizes, **ids | options
    )
    return randomise(transformers.MarianMTModel(config))


MARIAN_SIZES = {"layers": 2, "attention_heads": 4, "ffn_dim": 40}


def save(model, directory, **options):
    """Write a model and a tokenizer that fits it."""
    model.save_pretrained(directory, **options)
    kind = model.config.model_type
    if kind == "bert":
        tiny_tokenizers.word_pieces(directory)
    elif kind == "gpt2":
        tiny_tokenizers.byte_pairs(directory)
    elif kind == "marian":
        tiny_tokenizers.sentence_pieces(directory)
    else:
        tiny_tokenizers.words(directory, model.config.vocab_size)
    return directory


def padded(rng, vocab_size, left):
    """Return tokens and mask, (3, 7), of texts with 7, 4 and 1 tokens."""
    tokens, lengths = rng.integers(3, vocab_size - 2, (3, 7)), np.array([[7], [4], [1]])
    mask = np.arange(7) >= 7 - lengths if left else np.arange(7) < lengths
    return np.where(mask, tokens, 0), mask


def reference(model, tokens, mask, **inputs):
    """Return the library's logits, or hidden rows where the model has no head, in the dtype it has."""
    with torch.no_grad():
        return _forward(model, tokens, mask, **inputs).float().numpy()


def _forward(model, tokens, mask, **inputs):
    positions = np.maximum(mask.cumsum(axis=1) - 1, 0)
    given = {"input_ids": tokens, "attention_mask": mask, "position_ids": positions, **inputs}
    out = model(**{name: torch.from_numpy(np.array(x)).long() for name, x in given.items()})
    names = ("logits", "prediction_logits", "last_hidden_state")
    return next(out[name] for name in names if name in out)


def put_gradients_in_place_of_weights(model, tokens, mask, d_out):
    """Let each weight be its gradient of Σ d_out · logits: saved and opened, they have our names."""
    (_forward(model, tokens, mask) * torch.from_numpy(d_out)).sum().backward()
    with torch.no_grad():
        for name, x in model.named_parameters():
            from_one = model.config.model_type.startswith("gemma") and "norm" in name
            x.copy_(x.grad - int(from_one))


def translations(model, source, target):
    """Return the library's logits of an encoder-decoder."""
    source, target = torch.from_numpy(source), torch.from_numpy(target)
    with torch.no_grad():
        mask = source != model.config.pad_token_id
        return model(input_ids=source, attention_mask=mask, decoder_input_ids=target).logits.numpy()
