"""`generate`: the command, and texts that are the same in every stage."""

import io
import json
from importlib import import_module

import numpy as np
import pytest

import step01_numpy
from step01_numpy.common.commands.command_line import main
from step01_numpy.common.configuration.model import ModelConfig
from step01_numpy.common.decoding.sampling import Sampling
from step01_numpy.common.inference.writer import Writer
from step01_numpy.common.pretrained.directory import load_model
from step01_numpy.common.text.tokenizer import Tokenizer
from step01_numpy.common.training.backend import Backend
from step01_numpy.common.training.checkpoints import Checkpoint, save
from tests.tiny import PAIRS, tiny_checkpoint

TEXTS = [text for pair in PAIRS for text in pair]
PROMPTS = ["The house", "", "They arrived late. She", "L'accord a été", "e"]
VARIANTS = {
    "gpt2": {"positions": "learned", "scale_embedding": False},
    "llama": {"positions": "rotary", "norm": "rms", "gated": True, "n_kv_heads": 2, "bias": False},
    "mistral": {"positions": "rotary", "norm": "rms", "window": 3, "n_kv_heads": 1},
}
WAYS = {
    "greedy": {},
    "sampled": {"rules": Sampling(temperature=1.3, top_k=20, top_p=0.9, repetition_penalty=1.2), "seed": 3},
    "beams": {"beam": 3},
}


def checkpoint(path, variant):
    """A language model of random weights, scaled up so that it is sure of what it says."""
    tokenizer = Tokenizer.train(TEXTS, 90)
    sizes = {"d_model": 16, "n_heads": 4, "d_ff": 24, "n_layers": 2, "max_positions": 40}
    config = ModelConfig(
        tokenizer.vocab_size, **sizes, architecture="decoder", tied=False, **VARIANTS[variant]
    )
    backend = Backend(step01_numpy)
    state = backend.state(backend.model(config, rng=np.random.default_rng(2)))
    save(path, Checkpoint({k: (3 * x).astype(np.float32) for k, x in state.items()}, config, tokenizer))
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    directory = tmp_path_factory.mktemp("models")
    return {name: checkpoint(directory / f"{name}.safetensors", name) for name in VARIANTS}


def writer(path, package, **options):
    stage = import_module(package)
    backend = Backend(stage, None if hasattr(stage, "Transformer") else step01_numpy)
    return Writer(backend, load_model(path, backend), max_tokens=15, **options)


@pytest.mark.grid(pairs=True)
@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("way", WAYS)
def test_every_stage_writes_the_same(stage, models, variant, way):
    """In one batch of unequal prompts, and each prompt alone."""
    expected = list(writer(models[variant], "step01_numpy", **WAYS[way]).write(PROMPTS))
    assert len({x.text for x in expected}) > 3
    work = writer(models[variant], stage.name, **WAYS[way])
    assert list(work.write(PROMPTS)) == expected
    for prompt, found in list(zip(PROMPTS, expected, strict=True))[:3]:
        if way == "beams":
            assert list(work.write([prompt])) == [found]
        else:
            assert "".join(work.stream(prompt)) == found.text


# ---- the command ------------------------------------------------------------------------------------------


@pytest.fixture
def run(capsys, models, unchecked):
    """Run `generate` in this process: exit code, stdout, stderr."""

    def run_command(*arguments, model="gpt2"):
        path = str(models.get(model, model))
        code = main(step01_numpy, ["generate", "--model", path, *[str(x) for x in arguments]])
        return code, *capsys.readouterr()

    return run_command


@pytest.fixture
def refused(run):
    def run_command(*arguments, **options):
        code, out, err = run(*arguments, **options)
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        return err

    return run_command


def expected_texts(models, prompts, **options):
    return [
        prompt + writer_text
        for prompt, writer_text in zip(prompts, written(models, prompts, **options), strict=True)
    ]


def written(models, prompts, **options):
    return [x.text for x in writer(models["gpt2"], "step01_numpy", **options).write(prompts)]


def test_prompts_are_printed_with_what_follows(run, models):
    code, out, err = run("--max-tokens", 15, *PROMPTS)
    assert (code, err) == (0, "")
    assert out == "".join(text + "\n" for text in expected_texts(models, PROMPTS))


def test_prompts_from_standard_input(run, models, monkeypatch):
    data = "\ufeffThe house\r\nL'accord a été\n".encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
    expected = expected_texts(models, ["The house", "L'accord a été"])
    assert run("--max-tokens", 15) == (0, "".join(text + "\n" for text in expected), "")


def test_one_prompt_is_streamed(run, models, monkeypatch):
    """Text is on its way before the next token is asked for."""
    (expected,) = expected_texts(models, ["The house"])
    seen, stream = [], Writer.stream

    def watched(self, prompt):
        yield from (seen.append(text) or text for text in stream(self, prompt))

    monkeypatch.setattr(Writer, "stream", watched)
    assert run("--max-tokens", 15, "The house") == (0, expected + "\n", "")
    assert "The house" + "".join(seen) == expected
    assert len(seen) > 3


def test_options_reach_the_sampling(run, models):
    options = ("--temperature", 1.3, "--top-k", 20, "--top-p", 0.9, "--repetition-penalty", 1.2, "--seed", 3)
    expected = expected_texts(models, PROMPTS, **WAYS["sampled"])
    assert run("--max-tokens", 15, *options, *PROMPTS)[1] == "".join(text + "\n" for text in expected)
    (alone,) = expected_texts(models, PROMPTS[:1], **WAYS["sampled"])
    assert run("--max-tokens", 15, *options, PROMPTS[0])[1] == alone + "\n"


def test_beams(run, models):
    expected = expected_texts(models, PROMPTS[:1], beam=3)
    assert run("--max-tokens", 15, "--beam", 3, PROMPTS[0])[1] == expected[0] + "\n"


def test_json_gives_a_line_for_each_prompt(run, models):
    code, out, _ = run("--max-tokens", 15, "--json", *PROMPTS[:2])
    found = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    expected = writer(models["gpt2"], "step01_numpy").write(PROMPTS[:2])
    assert found == [x._asdict() for x in expected]
    assert set(found[0]) == {"prompt", "text", "tokens", "ended"}


@pytest.mark.parametrize("as_json", [False, True])
def test_a_prompt_too_long_does_not_take_others_with_it(run, models, as_json):
    long, options = "She sees the house. " * 9, ["--max-tokens", 15] + ["--json"] * as_json
    code, out, err = run(*options, PROMPTS[0], long, PROMPTS[2])
    expected = list(writer(models["gpt2"], "step01_numpy").write([PROMPTS[0], PROMPTS[2]]))
    assert code == 2
    if as_json:
        nothing = {"prompt": long, "text": None, "tokens": [], "ended": False}
        lines = [expected[0]._asdict(), nothing, expected[1]._asdict()]
        assert [json.loads(line) for line in out.splitlines()] == lines
    else:
        assert out == "".join(f"{line}\n" for line in expected_texts(models, [PROMPTS[0]])) + "\n" + "".join(
            f"{line}\n" for line in expected_texts(models, [PROMPTS[2]])
        )
    assert err.count("\n") == 1
    assert "error: prompt 2 has " in err
    assert "expected at most 40 in all, the model's max_positions" in err
    assert err.endswith(f"; {'null' if as_json else 'an empty line'} stands in its place\n")


def test_a_long_prompt_is_refused(refused):
    assert "and 39 shall follow" in refused("--max-tokens", 39, "The house")


def test_a_translator_is_refused(refused, tmp_path):
    save(tmp_path / "translator.safetensors", tiny_checkpoint())
    message = refused("The house", model=tmp_path / "translator.safetensors")
    assert "architecture is 'encoder_decoder'; expected 'decoder'" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--top-k", 3), "--top-k is given without --temperature; nothing is drawn at random"),
        (("--top-p", 0.5), "--top-p is given without --temperature"),
        (("--seed", 1), "--seed is given without --temperature"),
        (
            ("--beam", 2, "--temperature", 1),
            "--temperature is given with --beam, which takes the most probable",
        ),
        (("--beam", 2, "--repetition-penalty", 2), "--repetition-penalty is given with --beam"),
        (("--temperature", 1, "--top-p", 1.5), "top_p is 1.5; expected a number above 0 and at most 1"),
        (("--temperature", -1), "expected a number of at least 0"),
        (("--max-tokens", 0), "expected an integer of at least 1"),
        (("--seed", -1, "--temperature", 1), "expected an integer of at least 0"),
    ],
)
def test_options_that_do_not_fit(refused, options, message):
    assert message in refused(*options, "The house")
