"""
The fields of the files that a model's directory brings: what each of them does here.

A field is used; or it is known to change no result of ours; or it is refused by its name, unless its value is
one that our models can honour. So is one that stands in no list. What config.json shapes a model by is in
`families`.
"""

import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple


class Known(NamedTuple):
    """
    The three lists of one kind of file.

    Attributes
    ----------
    used, ignored : set of str
        Names, or patterns of names; what is ignored changes no result of ours.
    honoured : dict
        Field -> the values that our models can do; one that is absent is the first of them.
    """

    used: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()
    honoured: dict[str, tuple] = {}  # noqa: RUF012  (never changed)

    def __or__(self, other: "Known") -> "Known":
        """Join two tables; what the second says of a field counts."""
        return Known(self.used | other.used, self.ignored | other.ignored, self.honoured | other.honoured)

    def __contains__(self, name: str) -> bool:
        """Tell whether a field stands in one of the lists."""
        listed = self.used | self.ignored
        return name in self.honoured or name in listed or any(fnmatchcase(name, x) for x in listed)

    def check(self, path: Path, content: dict) -> dict:
        """
        Return the content of a file, all of whose fields are known.

        Raises
        ------
        ValueError
            Naming the field that is not, or whose value would change the result.
        """
        for name, values in self.honoured.items():
            if name in content and not any(_same(content[name], value) for value in values):
                expected = " or ".join(json.dumps(value) for value in values)
                raise ValueError(f"{path}: {name} is {json.dumps(content[name])}; expected {expected}")
        unknown = [name for name in content if name not in self]
        if unknown:
            raise ValueError(
                f"{path}: {unknown[0]} is a field that is not known here, and might change the results; if "
                "it does not, take it out of the file"
            )
        return content


def _same(a, b):
    """Compare as JSON does: true is no number."""
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


GENERATION = Known(
    used=_names("""
        bos_token_id eos_token_id pad_token_id decoder_start_token_id
        max_length max_new_tokens min_length min_new_tokens
        num_beams length_penalty early_stopping renormalize_logits
        do_sample temperature top_k top_p repetition_penalty no_repeat_ngram_size
        bad_words_ids suppress_tokens begin_suppress_tokens forced_bos_token_id forced_eos_token_id
    """),
    ignored=_names("""
        transformers_version _from_model_config use_cache cache_implementation cache_config max_cache_len
        output_attentions output_hidden_states output_scores output_logits return_dict_in_generate
        use_mtp is_assistant assistant_* num_assistant_tokens num_assistant_tokens_schedule target_lookbehind
        prompt_lookup_num_tokens max_matching_ngram_size speculation_type
        compile_config disable_compile continuous_batching_config low_memory prefill_chunk_size
        remove_invalid_values chat_format
    """),  # how the same tokens are computed
    honoured={
        "max_time": (None,),
        "stop_strings": (None, []),
        "min_p": (None, 0),
        "top_h": (None,),
        "typical_p": (None, 1),
        "epsilon_cutoff": (None, 0),
        "eta_cutoff": (None, 0),
        "encoder_repetition_penalty": (None, 1),
        "encoder_no_repeat_ngram_size": (None, 0),
        "exponential_decay_length_penalty": (None,),
        "sequence_bias": (None,),
        "token_healing": (None, False),
        "guidance_scale": (None, 1),
        "watermarking_config": (None,),
        "num_return_sequences": (None, 1),
        "penalty_alpha": (None, 0),
        "dola_layers": (None,),
        "diversity_penalty": (None, 0),
        "num_beam_groups": (None, 1),
        "constraints": (None,),
        "force_words_ids": (None,),
        "custom_generate": (None,),
    },
)
CONFIG = Known(  # of every family, which adds its own
    used=_names("model_type architectures tokenizer_class"),
    ignored=_names("""
        transformers_version _name_or_path name_or_path _commit_hash _num_labels unsloth_fixed unsloth_version
        torch_dtype dtype use_bfloat16 torchscript return_dict use_return_dict use_cache output_attentions
        output_hidden_states output_past tie_last_hidden_states chunk_size_feed_forward gradient_checkpointing
        _attn_implementation* attn_implementation experts_implementation use_flash_attention
        id2label label2id num_labels problem_type finetuning_task task_specific_params
        initializer_range init_std *_dropout *_dropout_prob *_pdrop *_layerdrop
        sep_token_id cls_token_id mask_token_id
    """),  # of training, of other tasks, of how and where the library computes
    honoured={
        "auto_map": (None,),  # code of its own
        "quantization_config": (None,),  # weights that are no floats
        "per_layer_config": (None,),
        "pruned_heads": ({}, None),
        "cross_attention_hidden_size": (None,),
        "tie_encoder_decoder": (False, None),
        "is_encoder_decoder": (False,),
        "prefix": (None, ""),
    },
)
SPECIAL_TOKENS = Known(used=_names("*_token additional_special_tokens extra_special_tokens"))
TOKENIZER = SPECIAL_TOKENS | Known(
    used=_names("""
        tokenizer_class model_max_length added_tokens_decoder do_lower_case strip_accents
        tokenize_chinese_chars add_prefix_space add_bos_token add_eos_token clean_up_tokenization_spaces
    """),
    ignored=_names("""
        name_or_path special_tokens_map_file tokenizer_file vocab_file merges_file source_spm target_spm vocab
        target_vocab_file is_local local_files_only use_fast backend init_inputs processor_class max_len
        chat_template response_template chat_control_tokens use_default_system_prompt model_input_names
        padding_side padding pad_to_multiple_of pad_token_type_id max_length truncation truncation_strategy
        stride return_token_type_ids trim_offsets legacy spaces_between_special_tokens source_lang target_lang
        sp_model_file
    """),
    honoured={
        "auto_map": (None,),
        "truncation_side": ("right",),
        "split_special_tokens": (False, None),
        "errors": ("replace",),
        "do_basic_tokenize": (True,),
        "never_split": (None, []),
        "clean_text": (True,),
        "wordpieces_prefix": ("##",),
        "from_slow": (False, None),
        "fix_mistral_regex": (None, False),
        "sp_model_kwargs": ({}, None),
        "separate_vocabs": (False,),
        "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output": (False,),
    },
)
TOKENIZER_JSON = Known(
    used=_names("added_tokens normalizer pre_tokenizer post_processor decoder model"),
    ignored=_names("version truncation padding"),
)
MODULE = Known(used=_names("path type"), ignored=_names("idx name"), honoured={"kwargs": ([], None)})
SENTENCES = Known(
    used=_names("prompts default_prompt_name similarity_fn_name"),
    ignored=_names("__version__"),
    honoured={"model_type": ("SentenceTransformer",), "truncate_dim": (None,)},
)
TEXT_ALONE = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}
SENTENCE_MODEL = Known(
    used=_names("max_seq_length do_lower_case"),
    ignored=_names("unpad_inputs"),
    honoured={
        "transformer_task": ("feature-extraction",),
        "modality_config": (TEXT_ALONE, None),
        "module_output_name": ("token_embeddings", None),
        "tokenizer_name_or_path": (None,),
        "processing_kwargs": ({}, None),
        "query_length": (None,),
        "document_length": (None,),
        "query_expansion": (None,),
    }
    | dict.fromkeys(
        ("model_args", "model_kwargs", "tokenizer_args", "processor_kwargs", "config_args", "config_kwargs"),
        ({}, None),
    ),
)
POOLING = Known(
    used=_names("pooling_mode pooling_mode_* include_prompt"),
    ignored=_names("word_embedding_dimension embedding_dimension"),
)
FILES = {  # the family's own table is added to config.json's; of the others, patterns
    "config.json": CONFIG,
    "generation_config.json": GENERATION,
    "tokenizer_config.json": TOKENIZER,
    "tokenizer.json": TOKENIZER_JSON,
    "special_tokens_map.json": SPECIAL_TOKENS,
    "modules.json": MODULE,
    "config_sentence_transformers.json": SENTENCES,
    "sentence_*_config.json": SENTENCE_MODEL,
    "*_Pooling/config.json": POOLING,
}
