"""Writing: prompts of unequal length in one batch, each continued as if it were alone."""

from types import SimpleNamespace

import numpy as np
import pytest

from step01_numpy.common.decoding.constraints import Constraints
from step01_numpy.common.decoding.sampling import Sampling
from step01_numpy.common.inference.writer import MAX_TOKENS, ROWS, Continuation, Writer, pad_left
from step01_numpy.common.pretrained.generation import SearchDefaults

LETTERS = "^$abcdefgh é"
FIRST, EOS, NEVER, PAD = 0, 1, 4, 3
RULES = {
    "greedy": {},
    "sampled": {"rules": Sampling(temperature=1.2, top_k=6, repetition_penalty=1.2), "seed": 7},
    "beams": {"beam": 3},
}


class Letters:
    """A tokenizer of letters."""

    markers = SimpleNamespace(pad=PAD, first=FIRST, eos=(EOS,), mask=None)

    def encode_batch(self, texts):
        return [[FIRST] + [LETTERS.index(x) for x in text] for text in texts]

    def decode(self, ids):
        assert not {FIRST, EOS} & set(ids)  # special tokens are no text
        return "".join(LETTERS[i] for i in ids)


class FakeBackend:
    """Next logits that depend on all real tokens so far, whatever stands beside them."""

    def prepare(self, model):
        return model

    def start(self, model, tokens, mask):
        assert (tokens[~mask] == PAD).all()
        self.texts = [tuple(row[real].tolist()) for row, real in zip(tokens, mask, strict=True)]
        self.fed = 0
        return self

    def step(self, tokens):
        self.texts = [(*text, int(t)) for text, t in zip(self.texts, tokens, strict=True)]
        self.fed += 1
        logits = [np.random.default_rng(list(text)).normal(size=len(LETTERS)) for text in self.texts]
        return np.stack(logits).astype(np.float32)

    def reorder(self, rows):
        self.texts = [self.texts[row] for row in rows]


def writer(max_positions=60, architecture="decoder", first=FIRST, said={}, **options):  # noqa: B006
    config = SimpleNamespace(architecture=architecture, max_positions=max_positions, vocab_size=1000)
    tokenizer = Letters()
    tokenizer.markers = SimpleNamespace(**vars(Letters.markers) | {"first": first})
    search = SearchDefaults(constraints=Constraints(never=(FIRST, NEVER), renormalise=True), **said)
    opened = SimpleNamespace(model=None, config=config, tokenizer=tokenizer, search=search)
    return Writer(FakeBackend(), opened, **options)


@pytest.mark.parametrize("rules", RULES)
def test_prompts_in_a_batch_are_continued_as_if_alone(rules):
    prompts = ["abc", "", "hdea h", "abc a", "bé"]
    found = list(writer(max_tokens=9, **RULES[rules]).write(prompts))
    assert [x.prompt for x in found] == prompts
    assert len({x.text for x in found}) == len(found)
    assert {x.ended for x in found} == {True, False}
    for prompt, together in zip(prompts, found, strict=True):
        assert list(writer(max_tokens=9, **RULES[rules]).write([prompt])) == [together]


@pytest.mark.parametrize("rules", ["greedy", "sampled"])
def test_a_stream_is_what_is_written(rules):
    for prompt in ("abc", "", "hdea h"):
        work = writer(max_tokens=9, **RULES[rules])
        (found,) = work.write([prompt])
        stream = writer(max_tokens=9, **RULES[rules]).stream(prompt)
        assert "".join(stream) == found.text == "".join(LETTERS[t] for t in found.tokens)


def test_a_stream_comes_token_by_token():
    work = writer(max_tokens=9)
    stream = work.stream("abc")
    for n in (1, 2, 3):
        next(stream)
        assert work.backend.fed == n


@pytest.mark.parametrize("rules", RULES)
def test_more_prompts_than_a_batch_holds(rules):
    """Their draws too are those of one batch: the same prompt again gets another continuation."""
    prompts = ["ab"] * (ROWS + 3)
    found = [x.text for x in writer(max_tokens=12, **RULES[rules]).write(prompts)]
    assert len(found) == len(prompts)
    assert len(set(found)) == 1 if rules != "sampled" else len(set(found)) > ROWS


@pytest.mark.parametrize("rules", RULES)
def test_what_is_never_generated(rules):
    texts = [x.text for x in writer(max_tokens=20, **RULES[rules]).write(["a", "b", "c", "d"])]
    assert LETTERS[NEVER] not in "".join(texts)


def test_how_much_follows():
    for max_positions, expected in ((60, 55), (500, MAX_TOKENS)):  # the longest prompt has 5 tokens
        work = writer(max_positions=max_positions)
        assert work.room(work.encode(["abcd", "a"])) == [expected] * 2
    assert writer(max_positions=60, max_tokens=55).encode(["abcd"])
    with pytest.raises(ValueError, match=r"prompt 2 has 5 tokens, and 56 shall follow; expected at most 60"):
        writer(max_positions=60, max_tokens=56).encode(["a", "abcd"])
    with pytest.raises(ValueError, match="prompt 1 has 6 tokens, and 1 shall follow; expected at most 6 in"):
        writer(max_positions=6).encode(["abcde"])


def test_an_empty_prompt_needs_a_token_to_begin_with():
    work = writer(first=None)
    work.tokenizer.encode_batch = lambda texts: [[] for _ in texts]
    with pytest.raises(ValueError, match="prompt 1 is empty; expected text to continue"):
        work.encode([""])
    work = writer()
    work.tokenizer.encode_batch = lambda texts: [[] for _ in texts]
    assert work.encode([""]) == [[FIRST]]


def test_no_prompt_gives_nothing():
    assert list(writer().write([])) == []


@pytest.mark.parametrize("architecture", ["encoder", "encoder_decoder"])
def test_a_model_that_writes_no_text(architecture):
    with pytest.raises(ValueError, match=f"architecture is '{architecture}'; expected 'decoder'"):
        writer(architecture=architecture)


def test_padding_on_the_left():
    tokens, mask = pad_left([[5, 6], [], [7, 8, 9]], 1)
    assert tokens.tolist() == [[1, 5, 6], [1, 1, 1], [7, 8, 9]]
    assert mask.tolist() == [[False, True, True], [False] * 3, [True] * 3]


def test_a_continuation_names_its_parts():
    assert Continuation._fields == ("prompt", "text", "tokens", "ended")  # the keys of --json
