"""Greedy and beam search against `generate` of the library transformers, over the same model's logits."""

import functools

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, MarianConfig, MarianMTModel

from step01_numpy.common.decoding.constraints import Constraints
from step01_numpy.common.decoding.search import beam_search, greedy

VOCAB, EOS, PAD, LIMIT = 40, 7, 0, 12
ENDS = (EOS, 9, 11, 12, 20, 21)
SHARPNESS = {
    "gpt2": 5.0,
    "marian": 12.0,
}  # times the weights: the models shall be sure enough to end rows, and not too sure
LENGTHS = np.array([5, 2, 7, 4, 6, 3, 5, 1])


@functools.cache
def gpt2():
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=VOCAB, n_embd=16, n_layer=1, n_head=2, n_positions=32, bos_token_id=1, eos_token_id=EOS
    )
    return sharpened(GPT2LMHeadModel(config))


@functools.cache
def marian():
    torch.manual_seed(3)
    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16}
    heads = {"decoder_ffn_dim": 16, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    special = {"pad_token_id": VOCAB - 1, "decoder_start_token_id": VOCAB - 1, "eos_token_id": EOS}
    config = MarianConfig(vocab_size=VOCAB, **sizes, **heads, **special, max_position_embeddings=32)
    model = sharpened(MarianMTModel(config))
    model.final_logits_bias[0, EOS] = 2.0  # so that rows end, and at different lengths
    return model


def sharpened(model):
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 and "embed_positions" not in name:
                parameter.mul_(SHARPNESS[model.config.model_type])
    return model.eval()


def padded(left, pad, seed=3):
    rng, most = np.random.default_rng(seed), LENGTHS.max()
    real = np.arange(most) < LENGTHS[:, None]
    real = real[:, ::-1] if left else real
    return np.where(real, rng.integers(8, VOCAB - 1, real.shape), pad), real


class Reference:
    """The next token's logits of the library's model, read anew from all tokens at each step."""

    def __init__(self, model, prompts=None, source=None):
        self.model = model
        self.prompts, self.source, self.fed = prompts, source, np.zeros((len(LENGTHS), 0), np.int64)

    def step(self, tokens):
        self.fed = np.concatenate([self.fed, tokens[:, None]], axis=1)
        inputs = self._source() if self.source else self._prompt()
        with torch.no_grad():
            return self.model(**inputs).logits[:, -1].numpy()

    def _source(self):
        tokens, real = map(torch.tensor, self.source)
        return {
            "input_ids": tokens,
            "attention_mask": real.long(),
            "decoder_input_ids": torch.tensor(self.fed),
        }

    def _prompt(self):
        tokens = np.concatenate([self.prompts[0], self.fed], axis=1)
        real = np.concatenate([self.prompts[1], np.ones(self.fed.shape, bool)], axis=1)
        positions = np.maximum(np.cumsum(real, axis=1) - 1, 0)
        arrays = {"input_ids": tokens, "attention_mask": real.astype(int), "position_ids": positions}
        return {name: torch.tensor(x) for name, x in arrays.items()}

    def reorder(self, rows):
        self.fed = self.fed[rows]
        pair = "source" if self.source else "prompts"
        setattr(self, pair, tuple(x[rows] for x in getattr(self, pair)))


def ours(reference, beam, first, eos, constraints=Constraints(), texts=None, **options):  # noqa: B008  (frozen)
    texts = [[int(x)] for x in np.broadcast_to(first, len(LENGTHS))] if texts is None else texts
    options |= {"adjust": constraints.over(texts, max_length=LIMIT, eos=eos), "first": first, "eos": eos}
    if beam == 1:
        return greedy(reference.step, len(LENGTHS), max_length=LIMIT, **options)
    found = beam_search(reference.step, reference.reorder, len(LENGTHS), beam, max_length=LIMIT, **options)
    return [x.tokens for x in found]


def theirs(model, tokens, real, beam, eos, start, **options):
    found = model.generate(
        torch.tensor(tokens), attention_mask=torch.tensor(real.astype(int)), num_beams=beam, do_sample=False,
        max_new_tokens=LIMIT, eos_token_id=list(np.atleast_1d(eos)), **options,
    )  # fmt: skip
    return [cut(row.tolist(), np.atleast_1d(eos)) for row in found[:, start:]]


def cut(tokens, eos):
    ends = [i for i, token in enumerate(tokens) if token in eos]
    return tokens[: ends[0]] if ends else tokens


@pytest.mark.grid(pairs=True)
@pytest.mark.parametrize("beam", [1, 2, 4])
@pytest.mark.parametrize("early_stopping", [False, True, "never"])
@pytest.mark.parametrize(("eos", "penalty"), [(EOS, 1.0), (ENDS, 1.0), (ENDS, 0.0), (ENDS, 3.0), (EOS, -1.0)])
def test_language_model(beam, early_stopping, eos, penalty):
    """Left-padded prompts of unequal length, one token the shortest."""
    tokens, real = padded(left=True, pad=PAD)
    options = {"length_penalty": penalty, "early_stopping": early_stopping} if beam > 1 else {}
    expected = theirs(gpt2(), tokens, real, beam, eos, tokens.shape[1], pad_token_id=PAD, **options)
    reference = Reference(gpt2(), prompts=(tokens[:, :-1], real[:, :-1]))
    assert ours(reference, beam, tokens[:, -1], eos, **options) == expected


@pytest.mark.parametrize("beam", [1, 2, 4])
@pytest.mark.parametrize("penalty", [1.0, -1.0])
@pytest.mark.parametrize("force_eos", [True, False])
def test_translation_model(beam, penalty, force_eos):
    """It starts with the padding token and may not choose it, as the published translators."""
    model = marian()
    pad = model.config.pad_token_id
    tokens, real = padded(left=False, pad=pad)
    options = {"length_penalty": penalty} if beam > 1 else {}
    extra = {"bad_words_ids": [[pad]], "renormalize_logits": True, "pad_token_id": pad}
    extra |= {"forced_eos_token_id": EOS if force_eos else None}
    expected = theirs(model, tokens, real, beam, EOS, 1, **options, **extra)
    rules = Constraints(never_after=(((), pad),), last=(EOS,) if force_eos else (), renormalise=True)
    found = ours(Reference(model, source=(tokens, real)), beam, pad, EOS, rules, **options)
    assert found == expected


FEW = tuple(range(8, 38))
RULES = {  # theirs, and ours
    "repetitions": ({"repetition_penalty": 1.6}, {"repetition_penalty": 1.6}),
    "pairs": ({"no_repeat_ngram_size": 2}, {"no_repeat_ngram": 2}),
    "tokens": ({"no_repeat_ngram_size": 1}, {"no_repeat_ngram": 1}),
    "a length": ({"min_new_tokens": 7}, {"min_new": 7}),
    "never": ({"suppress_tokens": (11, 36)}, {"never": (11, 36)}),
    "not at once": ({"begin_suppress_tokens": FEW}, {"never_first": FEW}),
    "an end": ({"forced_eos_token_id": EOS}, {"last": (EOS,)}),
    "some of it": (
        {
            "repetition_penalty": 0.8,
            "no_repeat_ngram_size": 3,
            "min_new_tokens": 4,
            "renormalize_logits": True,
        },
        {"repetition_penalty": 0.8, "no_repeat_ngram": 3, "min_new": 4, "renormalise": True},
    ),
}


MANY_ENDS = (EOS, 31, 37)


@functools.cache
def prompted(kind, beam, **given):
    """Return the library's tokens after prompts of one length, since it counts padding as tokens."""
    model, tokens = gpt2() if kind == "gpt2" else marian(), prompts()
    start, pad = (5, PAD) if kind == "gpt2" else (1, model.config.pad_token_id)
    given = {"forced_eos_token_id": None} | {
        k: list(x) if isinstance(x, tuple) else x for k, x in given.items()
    }
    return theirs(model, tokens, tokens > 0, beam, MANY_ENDS, start, pad_token_id=pad, **given)


def prompts():
    return np.random.default_rng(4).integers(8, 14, (len(LENGTHS), 5))


@pytest.mark.grid(pairs=True)
@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("kind", ["gpt2", "marian"])
def test_rules(kind, name, beam):
    (given, rules), tokens = RULES[name], prompts()
    expected = prompted(kind, beam, **given)
    assert expected != prompted(kind, beam) or name == "an end"  # where all rows end before
    if kind == "gpt2":
        reference, first = Reference(gpt2(), prompts=(tokens[:, :-1], tokens[:, :-1] > 0)), tokens[:, -1]
    else:
        reference, first = Reference(marian(), source=(tokens, tokens > 0)), marian().config.pad_token_id
    texts = tokens.tolist() if kind == "gpt2" else None
    assert ours(reference, beam, first, MANY_ENDS, Constraints(**rules), texts) == expected


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("later", [(), tuple(range(8, 37))])
def test_words_lengths_and_a_first_token(beam, later):
    """What counts the beginning of a translation, and words of several tokens."""
    pad, tokens = marian().config.pad_token_id, prompts()
    freely = prompted("marian", beam, forced_bos_token_id=30)
    words = [[30, 36], [EOS], [pad, 21], [38], [21, 21], [30, 21, 31]]
    given = {"bad_words_ids": words, "min_length": 9, "forced_bos_token_id": 30, "forced_eos_token_id": None}
    given |= {"begin_suppress_tokens": list(later)} if later else {}
    expected = theirs(marian(), tokens, tokens > 0, beam, MANY_ENDS, 1, pad_token_id=pad, **given)
    assert expected != freely
    after = tuple((tuple(word[:-1]), word[-1]) for word in words if word != [EOS])
    rules = Constraints(never_after=after, min_length=9, first=(30,), never_first=later)
    assert ours(Reference(marian(), source=(tokens, tokens > 0)), beam, pad, MANY_ENDS, rules) == expected
