"""The explorer's translator equals step01: tokens, notes, searches, and every map and logit to 1e-10."""

from types import SimpleNamespace

import numpy as np
import pytest

import step01_numpy
from step01_numpy.common.commands.context import SHIPPED
from step01_numpy.common.explorer.page import about, packed
from step01_numpy.common.inference.doubts import UNSURE, not_learned, unsure
from step01_numpy.common.inference.translation import Translator, longest_translation
from step01_numpy.common.pretrained.directory import Pretrained
from step01_numpy.common.pretrained.model_tokenizer import OwnTokenizer
from step01_numpy.common.text.seen import seen_in
from step01_numpy.common.text.tokenizer import BOS, EOS, Tokenizer
from step01_numpy.common.training.backend import Backend
from step01_numpy.common.training.checkpoints import Checkpoint, load
from tests.explorer.node import needs_node, run, translate
from tests.explorer.texts import odd_texts, sentences
from tests.tiny import PAIRS, random_checkpoint, tiny_checkpoint

pytestmark = needs_node
BACKEND = Backend(step01_numpy)
CLOSE = {"rtol": 0, "atol": 1e-10}


@pytest.fixture(scope="module")
def shipped():
    return load(SHIPPED)


def by_step01(checkpoint, texts):
    """Translate with step01 in float64, greedily and with beams; yield tokens, all maps and the logits."""
    maps = []
    model = BACKEND.load(checkpoint, attend=BACKEND.recording(maps)).double()
    opened = Pretrained(model, checkpoint.config, OwnTokenizer(checkpoint.tokenizer, "encoder_decoder"))
    sources = [[*checkpoint.tokenizer.encode(text.strip()), EOS] for text in texts]
    searched = [Translator(BACKEND, opened, beam=beam) for beam in (1, 4)]
    greedy, beams = (x.search(sources) for x in searched)
    work = Translator(BACKEND, Pretrained(model, checkpoint.config, opened.tokenizer, seen=checkpoint.seen))
    for text, source, *found in zip(texts, sources, greedy, beams, strict=True):
        maps.clear()
        target = [BOS, *found[0][: checkpoint.config.max_positions - 1]]
        logits = BACKEND.logits(model, np.array([source]), np.array([target]))[0]
        own, rest = maps[: checkpoint.config.n_layers], maps[checkpoint.config.n_layers :]
        flat = [x.ravel() for x in (*own, *rest[0::2], *rest[1::2], logits)]
        doubts = work.doubts(text, source, found[0], *work.sureness([source], [found[0]]))
        yield SimpleNamespace(
            ids=source,
            greedy=found[0],
            beams=found[1],
            doubts=doubts,
            flat=np.concatenate(flat),
            logits=logits,
        )


def check(checkpoint, texts, folder):
    """Hold the engine to step01."""
    answers, numbers = translate(checkpoint, texts, folder)
    start = 0
    for text, found, right in zip(texts, answers, by_step01(checkpoint, texts), strict=True):
        assert found["ids"] == right.ids, text
        assert found["greedy"]["tokens"] == right.greedy, text
        assert found["beams"][0]["tokens"] == right.beams, text
        assert found["text"] == checkpoint.tokenizer.decode(right.greedy)
        assert found["doubts"] == right.doubts, text
        np.testing.assert_allclose(numbers[start : start + right.flat.size], right.flat, **CLOSE)
        check_best(found, right, longest_translation(len(right.ids), checkpoint.config.max_positions))
        start += right.flat.size
    assert start == numbers.size > 0


def check_best(found, right, limit):
    """The five best of each step, the sums of log-probabilities, and the order of the ends."""
    shifted = right.logits - right.logits.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    order = np.argsort(-log_p, axis=-1, kind="stable")[:, :5]
    for step, row in enumerate(found["best"]):
        assert [x["id"] for x in row] == order[step].tolist()
        np.testing.assert_allclose([x["probability"] for x in row], np.exp(log_p[step, order[step]]), **CLOSE)
    written = [*right.greedy, EOS][:limit]
    total = log_p[np.arange(len(written)), written].sum()
    np.testing.assert_allclose(found["greedy"]["logProbability"], total, **CLOSE)
    np.testing.assert_allclose(found["greedy"]["score"], total / ((5 + len(written)) / 6) ** 0.6, **CLOSE)
    scores = [x["score"] for x in found["beams"]]
    assert scores == sorted(scores, reverse=True)
    assert 1 <= len(scores) <= 4


def test_a_few_sentences(shipped, tmp_path):
    check(shipped, sentences(6), tmp_path)


@pytest.mark.parametrize("seed", [0, 1])
def test_weights_of_32_bits_that_end_late_or_never(tmp_path, seed):
    """Random weights repeat themselves and run on to the limit; d_ff and vocabulary are odd."""
    made = tiny_checkpoint(seed, d_ff=9, n_layers=1 + seed)
    checkpoint = Checkpoint(made.state, made.config, made.tokenizer, seen=seen_in(x for x, _ in PAIRS))
    check(checkpoint, ["They arrived late.", "a", "The hause was sold", "She sees She sees"], tmp_path)


def test_how_sure_the_model_is(shipped, tmp_path):
    """The number itself, which the notes only hold against a bound."""
    driver = """
    const translator = buildTranslator(asked.data, asked.weights);
    answer(asked.texts.map(text => {
      const found = read(translator, text), {tokens} = found.greedy(), look = found.look(tokens);
      return [tokens, sureness(tokens, look.logits), found.doubts(tokens, look)];
    }));
    """
    texts = ["I love you.", "Good zyzzyva!", "Where is the old red house?"]
    asked = {"data": about(shipped, np.float16), "weights": packed(shipped.state, np.float16), "texts": texts}
    model = BACKEND.load(shipped).double()
    work = Translator(
        BACKEND,
        Pretrained(
            model, shipped.config, OwnTokenizer(shipped.tokenizer, "encoder_decoder"), seen=shipped.seen
        ),
    )
    for text, (tokens, probability, doubts) in zip(texts, run(driver, asked, tmp_path), strict=True):
        source = [*shipped.tokenizer.encode(text), EOS]
        (right,) = work.sureness([source], [tokens])
        np.testing.assert_allclose(probability, right, **CLOSE)
        assert doubts == work.doubts(text, source, tokens, right)


def test_what_greedy_search_saw_is_what_one_pass_sees(shipped, tmp_path):
    """Step by step or at once; of other tokens of the same length it says nothing."""
    driver = """
    const translator = buildTranslator(asked.data, asked.weights), numbers = ({logits, maps}) =>
      [logits, ...Object.values(maps).flat(2)].map(({n, d, data}) => [n, d, ...data]);
    const found = read(translator, asked.text), {tokens} = found.greedy(), others = tokens.map(x => x + 1);
    const fresh = read(translator, asked.text);
    answer([tokens, others].map(x => [numbers(found.look(x)), numbers(fresh.look(x))]));
    """
    asked = {
        "data": about(shipped, np.float16),
        "weights": packed(shipped.state, np.float16),
        "text": "a cat",
    }
    searched, others = run(driver, asked, tmp_path)
    for kept, at_once in (searched, others):
        for x, y in zip(kept, at_once, strict=True):
            np.testing.assert_allclose(x, y, **CLOSE)
    assert searched[1][0] != others[1][0]


def test_what_is_said_of_a_translation(tmp_path):
    """Either side of the bound, of several tokens a word, of blanks of every kind, and of nothing said."""
    bound, said = UNSURE**2, ["un", "un ani", "un animal", "un animal\u2003rare", "un animal\u2003rare."]
    asked = [
        ([bound - 1e-9, 1.0], ["un", "un"]),
        ([bound + 1e-9, 1.0], ["un", "un"]),
        ([0.3, 0.5, 0.5, 0.9, 0.9, 0.9], [*said, said[-1]]),
        ([0.9, 0.9, 0.9, 0.9, 0.5, 0.1], [*said, said[-1]]),
        ([0.1, 0.2], [" ", " ?"]),
        ([0.1], [""]),
    ]
    asked = [(np.log(probabilities).tolist(), beginnings) for probabilities, beginnings in asked]
    answers = run("answer(asked.map(([logs, beginnings]) => unsure(logs, beginnings)));", asked, tmp_path)
    assert answers == [unsure(np.array(logs), beginnings) for logs, beginnings in asked]


@pytest.mark.proof
@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("part", range(6))
def test_three_hundred_sentences(shipped, tmp_path, part):
    check(shipped, sentences(300)[50 * part :][:50], tmp_path)


# ---- tokens and notes of odd texts ---------------------------------------------------------------------


def check_odd(checkpoint, texts, folder):
    answers, _ = translate(checkpoint, texts, folder, search=False)
    for text, found in zip(texts, answers, strict=True):
        source = checkpoint.tokenizer.encode(text.strip())
        assert found["ids"] == [*source, EOS], repr(text)
        assert found["doubts"] == not_learned(checkpoint.seen, text), repr(text)
        assert bool(found["refusal"]) == (not 1 < len(source) + 1 <= checkpoint.config.max_positions)


def test_odd_texts(shipped, tmp_path):
    check_odd(shipped, odd_texts(60), tmp_path)


@pytest.mark.proof
def test_five_hundred_odd_texts(shipped, tmp_path):
    check_odd(shipped, odd_texts(500), tmp_path)


@pytest.mark.parametrize("options", [{"lowercase": True}, {"plain": True}, {"mask": True}, {}])
def test_other_tokenizers(tmp_path, options):
    tokenizer = Tokenizer.train([text for pair in PAIRS for text in pair], 90, **options)
    config = tiny_checkpoint().config.__class__(
        tokenizer.vocab_size, d_model=8, n_heads=2, d_ff=8, n_layers=1
    )
    made = random_checkpoint(tokenizer, config, 0)
    seen = seen_in(["The House was sold.", "ΣΑΣ straße"] * 3)
    check_odd(Checkpoint(made.state, config, tokenizer, seen=seen), odd_texts(45), tmp_path)


def test_too_long_and_empty_texts_are_refused_in_words(shipped, tmp_path):
    texts = ["", "\ufeff", "word " * 200]
    answers, _ = translate(shipped, texts, tmp_path)
    assert [x["refusal"] for x in answers[::2]] == [
        "Type a sentence in English.",
        "The text has 201 tokens, <eos> included; the model takes at most 128.",
    ]
    assert answers[1]["ids"] == [*shipped.tokenizer.encode("\ufeff"), EOS]
