"""Fields of a model's files: each is in one of three lists, and so is each of the library's classes."""

import dataclasses
import json

import pytest
import transformers

from step01_numpy.common.pretrained.config import known_to, read_config
from step01_numpy.common.pretrained.families import TABLE
from step01_numpy.common.pretrained.known_fields import FILES, GENERATION
from tests.pretrained.test_config import BERT, GPT2, LLAMA, MARIAN, MISTRAL

MODELS = [BERT, GPT2, LLAMA, MISTRAL | {"num_key_value_heads": 2}, MARIAN]


def unlisted(names, known):
    return sorted(name for name in names if name not in known)


@pytest.mark.parametrize("model_type", TABLE)
def test_the_library_s_configuration_has_no_other_field(model_type):
    config = transformers.AutoConfig.for_model(model_type)
    names = {x.name for x in dataclasses.fields(config)} | set(config.to_dict()) | set(config.attribute_map)
    assert len(names) > 25
    assert unlisted(names, known_to(TABLE[model_type])) == []


def test_the_library_s_generation_has_no_other_field():
    config = transformers.GenerationConfig()
    names = set(vars(config)) | set(config._get_default_generation_params())
    assert len(names) > 60
    assert unlisted(names, GENERATION) == []


@pytest.mark.parametrize("model_type", TABLE)
def test_no_field_is_in_two_lists_of_config(model_type):
    """Of a family: what is refused for one value is neither read nor ignored."""
    family = TABLE[model_type]
    assert not family.used & family.ignored
    assert not family.used & set(family.honoured)
    assert not family.ignored & set(family.honoured)


@pytest.mark.parametrize("name", FILES)
def test_no_field_is_in_two_lists(name):
    known = FILES[name]
    assert not known.used & known.ignored
    assert not (known.used | known.ignored) & set(known.honoured)


@pytest.mark.parametrize("theirs", MODELS, ids=lambda x: x["model_type"])
def test_what_is_used_is_read_or_agrees(tmp_path, theirs):
    """Each field that a family says it reads changes what comes out, or is refused, for some value."""
    family = TABLE[theirs["model_type"]]
    theirs = theirs | {
        "architectures": [x for x, head in family.heads.items() if head["head"] != "none"][-1:]
    }
    for name in family.used:
        before, found = outcome(tmp_path, theirs), set()
        for value in (7, 1, 0.25, 16, True, False, "relu", "silu", {"rope_theta": 77.0}):
            found.add(outcome(tmp_path, theirs | {name: value}))
        assert found - {before}, name


def outcome(directory, theirs):
    (directory / "config.json").write_text(json.dumps(theirs))
    try:
        return repr(read_config(directory).config)
    except ValueError as error:
        return str(error)
