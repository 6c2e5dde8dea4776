"""Scale on paper: against published counts, models that others wrote, and the weights of our own."""

import json
from importlib import import_module

import numpy as np
import pytest
import torch
import transformers
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from step01_numpy.common.commands.command_line import main
from step01_numpy.common.configuration.model import ModelConfig
from step01_numpy.common.scale.costs import cached_numbers, groups, kept_numbers, total
from step01_numpy.common.scale.known_models import KNOWN_MODELS
from step01_numpy.common.scale.table import si
from step01_numpy.common.training.backend import Backend
from step01_numpy.common.training.checkpoints import save
from tests.tiny import tiny_checkpoint

PUBLISHED = {
    "llama-3.1-8b": 8_030_261_248,
    "llama-3.1-70b": 70_553_706_496,
    "llama-3.1-405b": 405_853_388_800,
    "mistral-nemo": 12_247_782_400,
    "qwen2.5-7b": 7_615_616_512,
    "qwen3-8b": 8_190_735_360,
    "gemma-2-9b": 9_241_705_984,
    "gemma-3-1b": 999_885_952,
    "gpt2": 124_439_808,
    "gpt2-xl": 1_557_611_200,
    "bert-base": 110_106_428 - 590_592 - 1_538,  # without pooler and next-sentence classifier
    "bert-large": 336_226_108 - 1_049_600 - 2_050,
    "transformer-base": 63_082_496,  # of 37,000 tokens; "65 million" in the paper
    "transformer-big": 214_245_376,  # "213 million"
}
CONTEXT = 24


class TransformerOf2017(nn.Module):
    """`torch.nn`'s layers without the final norms that nn.Transformer adds."""

    def __init__(self, c):
        super().__init__()
        options = {"batch_first": True}
        self.embedding = nn.Embedding(c.vocab_size, c.d_model)
        encoder = [
            nn.TransformerEncoderLayer(c.d_model, c.n_heads, c.d_ff, **options) for _ in range(c.n_layers)
        ]
        decoder = [
            nn.TransformerDecoderLayer(c.d_model, c.n_heads, c.d_ff, **options) for _ in range(c.n_layers)
        ]
        self.encoder, self.decoder = nn.ModuleList(encoder), nn.ModuleList(decoder)

    def forward(self, tokens):
        memory = x = self.embedding(tokens)
        for block in self.encoder:
            memory = block(memory)
        for block in self.decoder:
            x = block(x, memory)
        return x @ self.embedding.weight.T


LATER = {"mistral": "MistralForCausalLM", "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}
LATER |= {"gemma-2": "Gemma2ForCausalLM", "gemma-3": "Gemma3ForCausalLM"}


def others(name):
    """Build the model of this name as others wrote it, on the device that has no memory."""
    c = KNOWN_MODELS[name].config
    shape = {"num_hidden_layers": c.n_layers, "num_attention_heads": c.n_heads, "hidden_size": c.d_model}
    shape |= {"intermediate_size": c.d_ff, "vocab_size": c.vocab_size, "attn_implementation": "eager"}
    with torch.device("meta"):
        if name.startswith("llama"):
            config = transformers.LlamaConfig(num_key_value_heads=8, tie_word_embeddings=False, **shape)
            return transformers.LlamaForCausalLM(config)
        for start, kind in LATER.items():
            if name.startswith(start):
                heads = {"num_key_value_heads": c.n_kv_heads, "head_dim": c.head_size}
                model = getattr(transformers, kind)
                return model(model.config_class(tie_word_embeddings=c.tied, **heads, **shape))
        if name.startswith("gpt2"):
            size = {"n_embd": c.d_model, "n_layer": c.n_layers, "n_head": c.n_heads}
            return transformers.GPT2LMHeadModel(transformers.GPT2Config(attn_implementation="eager", **size))
        if name.startswith("bert"):
            return transformers.BertForMaskedLM(transformers.BertConfig(**shape))
        return TransformerOf2017(c)


@pytest.mark.parametrize("name", KNOWN_MODELS)
def test_published_counts(name):
    assert total(groups(KNOWN_MODELS[name].config, 1)).parameters == PUBLISHED[name]


IN_PROOF = [
    pytest.param(x, marks=pytest.mark.proof) if x.startswith(tuple(LATER)) else x for x in KNOWN_MODELS
]


@pytest.mark.parametrize("name", IN_PROOF)
def test_parameters_equal_those_of_models_that_others_wrote(name):
    expected = sum(x.numel() for x in others(name).parameters())
    assert total(groups(KNOWN_MODELS[name].config, 1)).parameters == expected


@pytest.mark.parametrize("name", ["llama-3.1-8b", "gpt2", "bert-base", "transformer-base"])
def test_flop_equal_those_that_pytorch_counts(name):
    """PyTorch counts hidden scores too: for it, each token attends to all."""
    model = others(name)
    with FlopCounterMode(display=False) as counter, torch.device("meta"):
        model(torch.zeros(1, CONTEXT, dtype=torch.int64))
    assert CONTEXT * total(groups(KNOWN_MODELS[name].config, CONTEXT)).flop == counter.get_total_flops()


# ---- our own models ---------------------------------------------------------------------------------------

SHAPE = {"vocab_size": 11, "d_model": 12, "n_heads": 3, "d_ff": 7, "n_layers": 2, "max_positions": 9}
BERT = {"architecture": "encoder", "norm_first": False, "embedding_norm": True, "n_segments": 2}
BERT |= {"positions": "learned", "head": "transformed", "head_bias": True}
LLAMA = {"architecture": "decoder", "norm": "rms", "positions": "rotary", "gated": True, "bias": False}
OURS = {
    "of 2017": {"norm_first": False},
    "pre-norm, grouped": {"n_kv_heads": 1},
    "Marian": {"norm_first": False, "positions": "sinusoidal_halves", "head_bias": True},
    "BERT": BERT,
    "BERT with an untied head": BERT | {"tied": False},
    "BERT without a head": BERT | {"head": "none", "head_bias": False},
    "GPT-2": {"architecture": "decoder", "positions": "learned"},
    "Llama": LLAMA | {"n_kv_heads": 1, "tied": False},
    "Mistral": LLAMA | {"window": 4},
    "Qwen 2": LLAMA | {"qkv_bias": True, "window": 4, "full_layers": (1,)},
    "Qwen 3": LLAMA | {"head_norm": True, "d_head": 6, "n_kv_heads": 1},
    "Gemma 2": LLAMA | {"norm_after": True, "logit_softcap": 3.0, "window": 4, "full_layers": (1,)},
    "Mistral Nemo": LLAMA | {"n_kv_heads": 1, "n_heads": 2, "d_head": 8},
}


def build(name, package):
    config, backend = ModelConfig(**SHAPE | OURS[name]), Backend(import_module(package))
    return config, backend, backend.model(config, rng=np.random.default_rng(0)).eval()


@pytest.mark.parametrize("package", ["step01_numpy", "step02_torch"])
@pytest.mark.parametrize("name", OURS)
def test_parameters_equal_those_of_our_models(package, name):
    config, backend, model = build(name, package)
    assert total(groups(config, 1)).parameters == sum(x.size for x in backend.state(model).values())


@pytest.mark.parametrize("name", ["of 2017", "pre-norm, grouped", "GPT-2", "Llama", "Mistral Nemo"])
def test_cached_numbers_equal_those_of_our_models(name):
    """A text of 5 tokens; in an encoder-decoder also 7 of the source, cached for cross-attention."""
    config, _, model = build(name, "step01_numpy")
    two = config.architecture == "encoder_decoder"
    tokens, source = np.ones((1, 5), np.int64), np.ones((1, 7), np.int64)
    cache = model.start(source if two else tokens)
    if two:
        model.decode(tokens, cache)
    held = [x for pair in cache.blocks for x in pair if x.keys is not None]
    assert sum(x.keys.size + x.values.size for x in held) == cached_numbers(config) * (5 + 7 if two else 5)


# ---- the keys in sight, the table, the command ------------------------------------------------------------


def test_flop_grow_with_the_context_until_the_window_hides_it():
    config = ModelConfig(**SHAPE, architecture="decoder")
    flop = [total(groups(config, n)).flop for n in (1, 2, 9)]
    assert flop[2] - flop[1] == 7 * (flop[1] - flop[0]) == 7 * 2 * (2 * 2 * 12)
    config = ModelConfig(**SHAPE, architecture="decoder", window=4)
    assert total(groups(config, 9)) == total(groups(config, 4)) != total(groups(config, 3))


def test_blocks_with_and_without_a_window_are_counted_apart(describe, tmp_path):
    mixed, full, windowed = (
        ModelConfig(**SHAPE, architecture="decoder", **options)
        for options in ({"window": 4, "full_layers": (1,)}, {}, {"window": 4})
    )
    one, two, three = (total(groups(c, 9)) for c in (mixed, full, windowed))
    assert one + one == two + three
    assert [kept_numbers(c, 9) for c in (mixed, full, windowed)] == [24 * (4 + 9), 24 * 18, 24 * 8]
    names = [group.name for group in groups(mixed, 9)]
    assert names[1:3] == ["windowed block", "full block"]
    (tmp_path / "c.json").write_text(json.dumps(mixed.to_dict()))
    code, out, _ = describe("--config", tmp_path / "c.json")
    assert code == 0
    assert "which attends to 4 or 9 tokens" in out
    assert "a window of 4 tokens in 1 of 2 blocks: no more than those are kept there" in out


def test_cached_numbers():
    """Per token: 2 · 126 · 8 · 128 of Llama's 405B, the figure behind its 516 kB in bf16."""
    assert cached_numbers(KNOWN_MODELS["llama-3.1-405b"].config) == 2 * 126 * 8 * 128
    assert cached_numbers(KNOWN_MODELS["bert-base"].config) == 0


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 "),
        (999, "999 "),
        (1000, "1.00 k"),
        (999_499, "999 k"),
        (999_501, "1.00 M"),
        (405 * 10**9, "405 G"),
    ],
)
def test_three_digits_and_a_prefix(number, text):
    assert si(number) == text


@pytest.fixture
def describe(capsys):
    """Run the command: exit code, stdout, stderr."""

    def run(*arguments):
        code = main(import_module("step01_numpy"), ["describe", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


@pytest.mark.parametrize("name", KNOWN_MODELS)
def test_the_table_and_the_numbers(describe, name):
    code, out, err = describe("--config", name)
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line}
    assert (code, err) == (0, "")
    assert rows["total"][2] == f"{PUBLISHED[name]:,}"
    assert max(len(line) for line in out.splitlines() if not line.startswith(("source", "note"))) <= 120
    code, out, _ = describe("--config", name, "--context", 5, "--json")
    report = json.loads(out)
    assert code == 0
    assert ModelConfig.from_dict(report["config"]) == KNOWN_MODELS[name].config
    assert report["total"]["parameters"] == PUBLISHED[name]
    assert report["total"]["bytes"] == {"float32": 4 * PUBLISHED[name], "bf16": 2 * PUBLISHED[name]}
    parts = [(x["count"], part) for x in report["groups"] for part in x["parts"].values()]
    for figure in ("parameters", "flop_per_token"):
        assert report["total"][figure] == sum(count * part[figure] for count, part in parts)
    assert report["total"]["flop_per_token"] == total(groups(KNOWN_MODELS[name].config, 5)).flop


def test_a_file_of_ones_own_and_a_model(describe, tmp_path):
    (tmp_path / "my.json").write_text(json.dumps({"vocab_size": 10, "d_model": 8, "n_heads": 2}))
    out = describe("--config", tmp_path / "my.json")[1]
    expected = total(groups(ModelConfig(10, d_model=8, n_heads=2), 1)).parameters
    assert f"{expected:,}" in out
    save(tmp_path / "model", tiny_checkpoint())
    out = describe("--model", tmp_path / "model", "--json")[1]
    assert json.loads(out)["total"]["parameters"] == sum(x.size for x in tiny_checkpoint().state.values())


def test_what_describe_refuses(describe, tmp_path):
    (tmp_path / "field").write_text('{"vocab_size": 10, "d_modell": 8}')
    (tmp_path / "text").write_text("Bonjour.")
    for arguments, message in [
        (("--config", "llama-4"), "config is 'llama-4'; expected a JSON file, or one of llama-3.1-8b, "),
        (("--config", tmp_path), "expected a JSON file, or one of"),
        (("--config", tmp_path / "field"), "field: ModelConfig has no field 'd_modell'"),
        (("--config", tmp_path / "text"), "text: Expecting value"),
        (("--config", "gpt2", "--context", 1025), "context is 1025; max_positions is 1024"),
        (("--config", "gpt2", "--context", 0), "'0' is given; expected an integer of at least 1"),
        (("--model", tmp_path / "none"), "none does not exist"),
        (("--config", "gpt2", "--model", "x"), "not allowed with argument"),
        ((), "one of the arguments --config --model --compare is required"),
    ]:
        code, out, err = describe(*arguments)
        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert message in err
