"""Marian's directories at work: the tokens of the library's `generate`, and its text on the command line."""

import json
import sys
from fnmatch import fnmatch

import huggingface_hub
import pytest
import torch
import transformers

import step01_numpy
from step01_numpy.common.commands.command_line import main
from step01_numpy.common.configuration.model import ModelConfig
from step01_numpy.common.decoding.constraints import Constraints
from step01_numpy.common.decoding.sampling import Sampling
from step01_numpy.common.inference.translation import Translator
from step01_numpy.common.pretrained import known_fields, tokenizer_files
from step01_numpy.common.pretrained.config import Description, read_generation
from step01_numpy.common.pretrained.directory import load_model
from step01_numpy.common.pretrained.generation import search_defaults
from step01_numpy.common.training.backend import Backend
from tests.pretrained import hugging_face as hf
from tests.tiny import write_corpus

LINES = ["They arrived late.", "She sees the house.", "", "The house was sold in August by the agreement."]
IDS = {"decoder_start_token_id": 47, "pad_token_id": 47, "eos_token_id": 0, "forced_eos_token_id": 0}
SETTINGS = {
    "greedy": {"num_beams": 1},
    "beams": {"num_beams": 3},
    "beams, stopped early": {"num_beams": 4, "length_penalty": 0.5, "early_stopping": True},
    "long": {"num_beams": 2, "length_penalty": 2.0, "max_length": 20},
    "repeating nothing": {"no_repeat_ngram_size": 2, "repetition_penalty": 1.3, "max_new_tokens": 9},
    "beginning so": {"num_beams": 2, "forced_bos_token_id": 7, "min_length": 6, "suppress_tokens": [3, 4]},
}
BAD = {"bad_words_ids": [[47]], "renormalize_logits": True, "max_length": 12}


@pytest.fixture
def backend(stage):
    return Backend(stage.package, step01_numpy if stage.models else None)


def saved(directory, **settings):
    model = hf.marian()
    with torch.no_grad():
        model.final_logits_bias[0, 0] += 3  # some sentences shall end before they are cut
    model.generation_config = transformers.GenerationConfig(**IDS | BAD | settings)
    hf.save(model, directory)
    return model


def generated(model, opened, lines, **options):
    """Return the library's tokens, less those that begin and end a translation."""
    found = []
    for line in lines:
        source = torch.tensor([opened.tokenizer.encode(line)])
        tokens = model.generate(source, **options)[0, 1:].tolist() if line else []
        found.append(tokens[: tokens.index(0)] if 0 in tokens else tokens)
    return found


@pytest.mark.grid
@pytest.mark.parametrize("name", SETTINGS)
def test_the_library_s_tokens(backend, tmp_path, name):
    model = saved(tmp_path, **SETTINGS[name])
    opened = load_model(tmp_path, backend)
    work = Translator(backend, opened)
    lines = [line for line in LINES if line]
    found = work.search([opened.tokenizer.encode(line) for line in lines])
    assert found == generated(model, opened, lines)
    assert len({len(tokens) for tokens in found}) > 1


@pytest.mark.parametrize("beam", [1, 3])
def test_forbidden_tokens(tmp_path, beam):
    backend = Backend(step01_numpy)
    freely = generated(saved(tmp_path, num_beams=beam), load_model(tmp_path, backend), LINES[:1])[0]
    model = saved(tmp_path, num_beams=beam, bad_words_ids=[[47], [freely[0]], [freely[1]]])
    opened = load_model(tmp_path, backend)
    found = Translator(backend, opened).search([opened.tokenizer.encode(LINES[0])])
    assert found == generated(model, opened, LINES[:1])
    assert not {*freely[:2]} & {*found[0]}


def test_what_the_file_says_can_be_overruled(tmp_path):
    model, backend = saved(tmp_path, num_beams=4), Backend(step01_numpy)
    opened = load_model(tmp_path, backend)
    found = Translator(backend, opened, beam=1).search([opened.tokenizer.encode(LINES[0])])
    assert found == generated(model, opened, LINES[:1], num_beams=1)


def test_how_the_authors_search(tmp_path):
    saved(tmp_path, num_beams=3, length_penalty=0.7, max_length=20, early_stopping=True)
    opened = load_model(tmp_path, Backend(step01_numpy))
    rules = Constraints(never_after=(((), 47),), last=(0,), renormalise=True)
    assert opened.search == (3, 0.7, True, None, 20, Sampling(), rules)
    assert opened.tokenizer.markers == (47, 47, (0,), None)


def test_one_file_alone_says_how_to_search(tmp_path):
    """Where there is generation_config.json the library passes over config.json, beams and all."""
    model, backend = saved(tmp_path), Backend(step01_numpy)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"num_beams": 3, "no_repeat_ngram_size": 2}))
    opened = load_model(tmp_path, backend)
    assert (opened.search.beam, opened.search.constraints.no_repeat_ngram) == (1, 0)
    again = type(model).from_pretrained(tmp_path)
    source = [opened.tokenizer.encode(LINES[0])]
    assert Translator(backend, opened).search(source) == generated(again, opened, LINES[:1])
    (tmp_path / "generation_config.json").unlink()
    opened = load_model(tmp_path, backend)
    assert (opened.search.beam, opened.search.constraints.no_repeat_ngram) == (3, 2)


@pytest.mark.parametrize("beam", [1, 2])
def test_a_short_line_beside_a_long_one(tmp_path, beam):
    """What generation pads with is another token than the model's padding: the model hides its own."""
    model, backend = saved(tmp_path, num_beams=beam, pad_token_id=9), Backend(step01_numpy)
    opened = load_model(tmp_path, backend)
    assert (opened.config.pad, opened.tokenizer.markers.pad) == (47, 9)
    sources = [opened.tokenizer.encode(line) for line in (LINES[1], LINES[3])]
    work = Translator(backend, opened)
    found = work.search(sources)
    assert found == [work.search([source])[0] for source in sources]
    assert found == generated(model, opened, [LINES[1], LINES[3]])


@pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")
def test_the_command(capsys, tmp_path):
    model = saved(tmp_path, num_beams=3)
    opened = load_model(tmp_path, Backend(step01_numpy))
    library = transformers.MarianTokenizer.from_pretrained(tmp_path, source_lang="en", target_lang="fr")
    expected = [library.decode(ids, skip_special_tokens=True) for ids in generated(model, opened, LINES)]
    capsys.readouterr()
    assert main(step01_numpy, ["translate", "--model", str(tmp_path), *LINES]) == 0
    assert capsys.readouterr().out.split("\n")[:-1] == expected


def test_evaluate(capsys, tmp_path):
    saved(tmp_path, num_beams=2)
    command = ["evaluate", "--model", str(tmp_path), "--data", str(write_corpus(tmp_path, repeat=1))]
    assert main(step01_numpy, [*command, "--split", "train", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["beam"], result["sentences"]) == (2, 4)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("num_beams", 0, "num_beams is 0; expected an integer of at least 1"),
        ("num_beams", "x", "num_beams is 'x'; expected an integer of at least 1"),
        ("max_length", [3], r"max_length is \[3\]; expected an integer of at least 1"),
        ("no_repeat_ngram_size", 1.5, "no_repeat_ngram_size is 1.5; expected an integer of at least 0"),
        ("length_penalty", "x", "length_penalty is 'x'; expected a finite number"),
        ("early_stopping", 1, "early_stopping is 1; expected one of False, True, never"),
        ("bad_words_ids", 3, "bad_words_ids is 3; expected lists of ids"),
        ("bad_words_ids", [[]], r"bad_words_ids is \[\[\]\]; expected lists of ids"),
        ("bad_words_ids", [["x"]], "bad_words_ids is 'x'; expected a token, 0 to 47"),
        ("suppress_tokens", [48], "suppress_tokens is 48; expected a token, 0 to 47"),
        ("forced_bos_token_id", -1, "forced_bos_token_id is -1; expected a token, 0 to 47"),
        (
            "do_sample",
            True,
            "do_sample is true, num_beams 1; expected .* language model only: set do_sample to fals",
        ),
        ("guidance_scale", 2.0, "generation_config.json: guidance_scale is 2.0; expected null or 1"),
        ("min_p", 0.1, "min_p is 0.1; expected null or 0"),
        ("num_beam_groups", 2, "num_beam_groups is 2; expected null or 1"),
        ("encoder_no_repeat_ngram_size", 3, "encoder_no_repeat_ngram_size is 3; expected null or 0"),
        ("stop_strings", ["x"], "stop_strings is .*; expected null"),
        ("new_idea", None, "new_idea is a field that is not known here, and might change the results"),
    ],
)
def test_settings_at_fault(tmp_path, name, value, message):
    description = {"config": ModelConfig(vocab_size=48), "model_type": "marian"}
    (tmp_path / "generation_config.json").write_text(json.dumps({name: value}))
    with pytest.raises(ValueError, match=message):
        search_defaults(
            Description(generation=read_generation(tmp_path, {}, description["config"]), **description)
        )


def test_a_line_that_is_too_long(capsys, tmp_path):
    saved(tmp_path)
    assert main(step01_numpy, ["translate", "--model", str(tmp_path), "They arrived. " * 19]) == 2
    assert "tokens, <eos> included; expected at most 64, the model's max_pos" in capsys.readouterr().err


@pytest.mark.parametrize("make", [hf.bert, hf.gpt2])
def test_models_that_do_not_translate(capsys, tmp_path, make):
    hf.save(make(), tmp_path)
    assert main(step01_numpy, ["translate", "--model", str(tmp_path), "x"]) == 2
    assert "expected one that translates" in capsys.readouterr().err


def test_a_model_that_says_not_where_to_begin(tmp_path):
    saved(tmp_path)
    backend = Backend(step01_numpy)
    opened = load_model(tmp_path, backend)
    opened.tokenizer.markers = opened.tokenizer.markers._replace(first=None)
    with pytest.raises(ValueError, match="model has no decoder_start_token_id"):
        Translator(backend, opened)


# ---- names of the Hub ------------------------------------------------------------------------------------


def test_a_name_of_the_hub(capsys, monkeypatch, tmp_path):
    asked = []

    def snapshot_download(name, *, allow_patterns):
        asked.append((name, allow_patterns))
        return str(tmp_path)

    saved(tmp_path)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert main(step01_numpy, ["translate", "--model", "Helsinki-NLP/opus-mt-en-fr", LINES[0]]) == 0
    (name, patterns), *others = asked
    assert (name, others) == ("Helsinki-NLP/opus-mt-en-fr", [])
    assert not [x for x in patterns if x.endswith((".bin", ".pt", ".pkl", ".py", ".msgpack", ".h5", "*"))]
    tokenizers = {name for choices in tokenizer_files.FILES.values() for x in choices for name in x.names}
    known = {name.replace("*", "1") for name in known_fields.FILES}
    weights = {"model.safetensors", "model-00001-of-00002.safetensors", "model.safetensors.index.json"}
    files = {*tokenizers, *known, *weights, "added_tokens.json"}
    for file in (*files, *(f"0_Transformer/{name}" for name in files if "/" not in name)):
        assert any(fnmatch(file, pattern) for pattern in patterns), file


def test_without_a_network(capsys):
    assert main(step01_numpy, ["translate", "--model", "nobody-at-all/no-model", "x"]) == 2  # HF_HUB_OFFLINE
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "nobody-at-all/no-model does not exist here, and the Hub did not give it" in error
    assert "download config.json, generation_config.json, model*.safetensors" in error
    assert (
        "from https://huggingface.co/nobody-at-all/no-model into a directory, and give that as --model"
        in error
    )


def test_without_the_extra(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert main(step01_numpy, ["translate", "--model", "nobody-at-all/no-model", "x"]) == 2
    error = capsys.readouterr().err
    assert 'pip install "attention-step-by-step[hub]"; or download config.json' in error


PATHS = ["nothing", "no/such/path", "/no/such", "./nothing", "../no/thing", "a b/c"]


@pytest.mark.parametrize("name", [*PATHS, "build/missing.safetensors", "models/gpt.bin", "tests/nothing"])
def test_paths_are_no_names(capsys, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").mkdir()  # what lies in a folder that is here would lie here
    assert main(step01_numpy, ["translate", "--model", name, "x"]) == 2
    assert "does not exist; expected a checkpoint, or the directory of a model" in capsys.readouterr().err
