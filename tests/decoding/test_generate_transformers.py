"""Whole models, loaded from their directories, generate what the library transformers generates."""

import json

import numpy as np
import pytest
import torch
import transformers

import step01_numpy
from step01_numpy.common.commands.command_line import main
from step01_numpy.common.configuration.model import ModelConfig
from step01_numpy.common.decoding.continuation import follow, gather
from step01_numpy.common.decoding.sampling import Sampler, Sampling
from step01_numpy.common.decoding.search import beam_search, greedy
from step01_numpy.common.inference.writer import Writer
from step01_numpy.common.pretrained.config import Description
from step01_numpy.common.pretrained.directory import load_model
from step01_numpy.common.pretrained.generation import search_defaults
from step01_numpy.common.training.backend import Backend
from tests.decoding.test_search_transformers import LENGTHS, LIMIT, cut, padded
from tests.pretrained.tiny_tokenizers import sentence_pieces, words

VOCAB, ENDS = 40, (7, 9, 11, 12, 20, 21)
SIZES = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 40}
LLAMA = {**SIZES, "num_key_value_heads": 2, "max_position_embeddings": 48, "pad_token_id": 0}
SCALING = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0}
SCALING |= {"high_freq_factor": 4.0, "original_max_position_embeddings": 16}
MARIAN = {"d_model": 24, "encoder_layers": 2, "decoder_layers": 2, "encoder_ffn_dim": 40}
MARIAN |= {"decoder_ffn_dim": 40, "encoder_attention_heads": 4, "decoder_attention_heads": 4}
GPT2 = {"n_embd": 24, "n_layer": 2, "n_head": 4, "n_positions": 48}
QWEN2 = {"use_sliding_window": True, "sliding_window": 3, "max_window_layers": 1}
GEMMA2 = LLAMA | {"head_dim": 8, "query_pre_attn_scalar": 4, "sliding_window": 3}
GEMMA2 |= {"attn_logit_softcapping": 3.0, "final_logit_softcapping": 5.0}
GEMMA3 = LLAMA | {"head_dim": 8, "query_pre_attn_scalar": 4, "sliding_window": 3}
GEMMA3 |= {"layer_types": ["sliding_attention", "full_attention"]}
FAMILIES = {  # class, configuration, and what random embeddings and other weights are multiplied by
    "gpt2": ("GPT2LMHeadModel", GPT2, 5.0, 15.0),
    "llama": ("LlamaForCausalLM", LLAMA, 8.0, 8.0),
    "llama3": ("LlamaForCausalLM", LLAMA | {"rope_parameters": SCALING}, 8.0, 8.0),
    "mistral": ("MistralForCausalLM", LLAMA | {"sliding_window": 3, "head_dim": 10}, 8.0, 8.0),
    "qwen2": ("Qwen2ForCausalLM", LLAMA | QWEN2, 8.0, 8.0),
    "qwen3": ("Qwen3ForCausalLM", LLAMA | {"head_dim": 8}, 8.0, 8.0),
    "gemma2": ("Gemma2ForCausalLM", GEMMA2, 20.0, 8.0),
    "gemma3": ("Gemma3ForCausalLM", GEMMA3, 20.0, 8.0),
    "marian": ("MarianMTModel", MARIAN | {"max_position_embeddings": 48}, 40.0, 15.0),
}


PROOF = {"qwen2", "qwen3"}  # their parts are Llama's and Gemma's
PARAMS = [pytest.param(x, marks=pytest.mark.proof) if x in PROOF else x for x in FAMILIES]


@pytest.fixture(scope="module", params=PARAMS)
def family(request, tmp_path_factory):
    """A directory with a model of random weights, and the library's model."""
    return build(request.param, tmp_path_factory.mktemp(request.param))


def build(name, directory):
    kind, options, *sharpness = FAMILIES[name]
    if name == "marian":
        size, eos = sentence_pieces(directory), 0
        options = options | {"pad_token_id": size - 1, "decoder_start_token_id": size - 1}
    else:
        size, eos = words(directory, VOCAB), list(ENDS)
    model_class = getattr(transformers, kind)
    config = model_class.config_class(vocab_size=size, eos_token_id=eos, bos_token_id=1, **options)
    torch.manual_seed(5)
    model = model_class(config).eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if parameter.ndim > 1 and "embed_positions" not in key:
                parameter.mul_(sharpness[not any(part in key for part in ("wte", "embed_tokens", "shared"))])
    if name == "marian":  # as the published ones; the bias is for rows that end at different lengths
        model.final_logits_bias[0, eos] = 6.0
        rules = {"bad_words_ids": [[size - 1]], "renormalize_logits": True, "forced_eos_token_id": eos}
        model.generation_config.update(**rules)
    model.generation_config.pad_token_id = size - 1 if name == "marian" else 0
    model.save_pretrained(directory)
    return name, directory, model


def backend_of(stage):
    return Backend(stage.package, None if hasattr(stage.package, "Transformer") else step01_numpy)


def generated(model, tokens, real, start, **options):
    found = model.generate(
        torch.tensor(tokens), attention_mask=torch.tensor(real.astype(int)), do_sample=False,
        max_new_tokens=LIMIT, **options,
    )  # fmt: skip
    ends = np.atleast_1d(model.generation_config.eos_token_id)
    return [cut(row.tolist(), ends) for row in found[:, start:]]


@pytest.mark.grid(pairs=True)
@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("beam", [1, 4])
def test_tokens_are_the_librarys(stage, family, beam):
    """Prompts of unequal length in one batch, padded; the shortest is one token; Mistral's window is 3."""
    name, directory, reference = family
    backend = backend_of(stage)
    pretrained = load_model(directory, backend)
    markers, rows, translates = pretrained.tokenizer.markers, len(LENGTHS), name == "marian"
    tokens, real = padded(left=not translates, pad=markers.pad)
    expected = generated(reference, tokens, real, 1 if translates else tokens.shape[1], num_beams=beam)
    if translates:
        decoding, first = backend.start(pretrained.model, tokens), markers.first
    else:
        decoding, first = backend.start(pretrained.model, tokens[:, :-1], real[:, :-1]), tokens[:, -1]
    texts = [[int(x)] for x in np.broadcast_to(first, rows)]  # of these rules none looks further back
    defaults = pretrained.search._asdict()
    adjust = defaults["constraints"].over(texts, max_length=LIMIT, eos=markers.eos)
    options = {"max_length": LIMIT, "first": first, "eos": markers.eos, "adjust": adjust}
    if beam == 1:
        found = greedy(decoding.step, rows, **options)
    else:
        options |= {key: defaults[key] for key in ("length_penalty", "early_stopping")}
        found = [x.tokens for x in beam_search(decoding.step, decoding.reorder, rows, beam, **options)]
    assert found == expected
    assert len({tuple(x) for x in expected}) > 4
    assert len(set(map(len, expected))) > 1


@pytest.mark.grid
@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("family", ["gpt2", "llama", "llama3", "mistral"], indirect=True)
def test_a_repetition_penalty_is_the_librarys(stage, family):
    """Prompts count as said, their padding does not."""
    _, directory, reference = family
    backend = backend_of(stage)
    pretrained = load_model(directory, backend)
    tokens, real = padded(left=True, pad=0)
    tokens[:, ::3] = np.where(real[:, ::3], tokens[:, 1:2], 0)  # tokens that come again
    expected = generated(reference, tokens, real, tokens.shape[1], repetition_penalty=1.7)
    assert expected != generated(reference, tokens, real, tokens.shape[1])
    texts = [row[here].tolist() for row, here in zip(tokens, real, strict=True)]
    decoding = backend.start(pretrained.model, tokens[:, :-1], real[:, :-1])
    choose = Sampler(Sampling(repetition_penalty=1.7), [], texts)
    steps = follow(decoding.step, choose, len(texts), max_length=LIMIT, first=tokens[:, -1], eos=ENDS)
    assert gather(steps, len(texts)) == expected


@pytest.mark.grid(pairs=True)
@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("family", ["gpt2", "llama"], indirect=True)
@pytest.mark.parametrize("beam", [1, 3])
def test_prompts_are_written_on_as_the_library_does(stage, family, beam):
    """From text to tokens, in a batch, against each prompt alone in the library, which pads nothing then."""
    _, directory, reference = family
    backend, prompts = backend_of(stage), ["w8 w13 w30", "w5", "", "w38 w39 w5 w6 w10 w31"]
    found = list(Writer(backend, load_model(directory, backend), max_tokens=LIMIT, beam=beam).write(prompts))
    for prompt, continuation in zip(prompts, found, strict=True):
        tokens = np.array([[1, *(int(word[1:]) for word in prompt.split())]])  # <s> comes first
        (expected,) = generated(reference, tokens, tokens > 0, tokens.shape[1], num_beams=beam)
        assert continuation.tokens == expected
        assert continuation.ended == (len(expected) < LIMIT)
        assert continuation.text.split() == [f"w{token}" for token in expected if token > 2]


SAID = {
    "beams": {"num_beams": 3, "length_penalty": 0.2, "early_stopping": True, "max_new_tokens": 9},
    "a length": {"max_length": 11, "min_length": 9, "no_repeat_ngram_size": 2},
    "rules": {
        "repetition_penalty": 1.7,
        "suppress_tokens": [8, 13],
        "min_new_tokens": 3,
        "max_new_tokens": 9,
    },
    "beams and rules": {
        "num_beams": 2,
        "repetition_penalty": 1.4,
        "no_repeat_ngram_size": 1,
        "max_new_tokens": 8,
    },
}


@pytest.mark.grid
@pytest.mark.parametrize("family", ["llama"], indirect=True)
@pytest.mark.parametrize("name", SAID)
def test_what_the_authors_say(family, tmp_path, name):
    """Prompts in one batch, as the library writes on each of them alone, by generation_config.json."""
    _, directory, reference = family
    for path in directory.iterdir():
        (tmp_path / path.name).symlink_to(path)
    said = tmp_path / "generation_config.json"
    content = json.loads(said.read_text()) | SAID[name]
    said.unlink()
    said.write_text(json.dumps(content))
    backend, prompts = Backend(step01_numpy), ["w8 w13 w30", "w5", "", "w38 w39 w5 w6 w10 w31"]
    writer = Writer(backend, load_model(tmp_path, backend))
    ends = np.atleast_1d(reference.generation_config.eos_token_id)
    for prompt, continuation in zip(prompts, writer.write(prompts), strict=True):
        tokens = torch.tensor([[1, *(int(word[1:]) for word in prompt.split())]])
        (row,) = reference.generate(tokens, attention_mask=torch.ones_like(tokens), **SAID[name])
        assert continuation.tokens == cut(row[tokens.shape[1] :].tolist(), ends)


def test_how_the_authors_draw():
    """Where tokens are drawn, the library draws from 50, unless the file says from how many."""
    for said, expected in (
        ({"do_sample": True}, Sampling(temperature=1.0, top_k=50)),
        ({"do_sample": True, "temperature": 0.6, "top_p": 0.9}, Sampling(0.6, 50, 0.9)),
        ({"do_sample": True, "top_k": 0, "repetition_penalty": 1.1}, Sampling(1.0, repetition_penalty=1.1)),
        ({"temperature": 0.6, "top_p": 0.9, "top_k": 20}, Sampling(0.0, 20, 0.9)),
    ):
        assert search_defaults(Description("gpt2", DECODER, said)).rules == expected
    for said in ({"do_sample": True, "num_beams": 2}, {"do_sample": True, "temperature": 0.0}):
        with pytest.raises(ValueError, match=r"do_sample is true, num_beams 2|temperature is 0.0; expected"):
            search_defaults(Description("gpt2", DECODER, said))


DECODER = ModelConfig(vocab_size=40, architecture="decoder")


def test_a_prompt_as_long_as_all_may_be(tmp_path):
    build("gpt2", tmp_path)
    path = tmp_path / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"max_length": 3}))
    backend = Backend(step01_numpy)
    opened = load_model(tmp_path, backend)
    assert [len(x.tokens) <= 1 for x in Writer(backend, opened).write(["w8"])] == [True]
    with pytest.raises(
        ValueError, match="prompt 1 has 3 tokens, and the model's max_length, which counts them, is 3"
    ):
        Writer(backend, opened).encode(["w8 w9"])
    assert Writer(backend, opened, max_tokens=5).room([[1, 8, 9]]) == [5]


def test_the_user_may_say_otherwise(tmp_path, capsys):
    """The command takes what the authors say, and over it what the user says."""
    build("gpt2", tmp_path)
    path = tmp_path / "generation_config.json"
    content = json.loads(path.read_text()) | {"max_new_tokens": 7}

    def written(said, *options):
        path.write_text(json.dumps(content | said))
        code = main(step01_numpy, ["generate", "--model", str(tmp_path), "w8 w13", *options])
        out = capsys.readouterr()
        return out.out if code == 0 else out.err

    greedily, drawn = written({}), {"do_sample": True, "temperature": 3.0}
    assert greedily != written({"num_beams": 3}) == written({}, "--beam", "3")
    assert greedily != written(drawn) == written({}, "--temperature", "3.0", "--top-k", "50")
    assert greedily == written(drawn, "--temperature", "0") == written({"num_beams": 3}, "--beam", "1")
    assert greedily == written({"top_k": 1}, "--temperature", "3.0")
    assert "--temperature is given with the model's authors' search by 3 beams" in written(
        {"num_beams": 3}, "--temperature", "3.0"
    )
    assert "--top-k is given without --temperature" in written({}, "--top-k", "3")
