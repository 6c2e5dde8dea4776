"""Mutants of the explorer: of its JavaScript, put in as a module's text is read, and of what makes the page."""

# ruff: noqa: E501  (one mutant a line)

from tests.mutants.mutant import Mutant

EXPLORER = "step01_numpy.common.explorer"
READ = 'read_text(encoding="utf-8")'
RANDOM = "test_engine.py::test_weights_of_32_bits_that_end_late_or_never"
SHIPPED = "test_engine.py::test_a_few_sentences"
ODD = "test_engine.py::test_other_tokenizers"
HAND = "test_by_hand.py::test_every_switch"
SAID = "test_by_hand.py::test_every_sentence_computes_its_number"


def script(name, old, new, killer):
    """Change the text of whichever module has it."""
    return Mutant(
        f"script: {name}",
        f"{EXPLORER}.bundle:source",
        READ,
        f"{READ}.replace({old!r}, {new!r})",
        f"tests/explorer/{killer}",
    )


def page(name, function, old, new, test):
    return Mutant(name, f"{EXPLORER}.{function}", old, new, f"tests/explorer/test_page.py::{test}")


EXPLORER_TABLE = [
    script("sure in spite of its end", "tokenLogProbabilities(logits, [...tokens, EOS])", "tokenLogProbabilities(logits, tokens)", "test_engine.py::test_how_sure_the_model_is"),
    script("an unsure translation without a note", ">= UNSURE", ">= 0", RANDOM),
    script("the mean of probabilities for that of their logarithms", "Math.exp(logs.reduce((sum, x) => sum + x, 0) / logs.length)", "logs.reduce((sum, x) => sum + Math.exp(x), 0) / logs.length", "test_engine.py::test_what_is_said_of_a_translation"),
    script("the word of the least probable token", "words[sums.indexOf(Math.min(...sums))]", "words[parted(beginnings[logs.indexOf(Math.min(...logs))]).length - 1]", "test_engine.py::test_what_is_said_of_a_translation"),
    script("the bound of another model", "UNSURE = 0.78", "UNSURE = 0.65", "test_engine.py::test_what_is_said_of_a_translation"),
    script("a row alone a column off", "w[at + 7 * d]", "w[at + 6 * d]", RANDOM),
    script("what was seen of other tokens", "tokens.join() === written.join()", "true", "test_engine.py::test_what_greedy_search_saw_is_what_one_pass_sees"),
    script("each step's map of all steps", "all.data.set(data, i * d)", "all.data.set(data, (rows.length - 1 - i) * d)", "test_engine.py::test_what_greedy_search_saw_is_what_one_pass_sees"),
    script("no scale", "1 / Math.sqrt(q.d)", "1", RANDOM),
    script("the mask on the wrong side", "j <= i + length", "j >= i + length", RANDOM),
    script("the mask without what is cached", "j <= i + length", "j <= i", RANDOM),
    script("head slices swapped", "columnsOf(x, h * size, (h + 1) * size)", "columnsOf(x, (nHeads - 1 - h) * size, (nHeads - h) * size)", RANDOM),
    script("exp not divided by the row's sum", "exp[j] / found.sums[i]", "exp[j] / found.sums[0]", RANDOM),
    script("sines and cosines swapped", "c % 2 ? Math.cos(angle) : Math.sin(angle)", "c % 2 ? Math.sin(angle) : Math.cos(angle)", RANDOM),
    script("each step at position 0", "count(x.ids.length, x.cache.length)", "count(x.ids.length)", RANDOM),
    script("embeddings not scaled", " * Math.sqrt(d) + position", " + position", RANDOM),
    script("no way around a sublayer", "found.data[i] += x.data[i]", "found.data[i] += 0", RANDOM),
    script("no relu", "Math.max(0, hidden.data[i])", "hidden.data[i]", RANDOM),
    script("no last norm of the encoder", 'x = model.norm("encoder.norm", x);', "", RANDOM),
    script("no epsilon", "Math.sqrt(variance + eps)", "Math.sqrt(variance)", RANDOM),
    script("columns beyond a multiple of four lost", "for (let j = whole; j < w.n; j++)", "for (let j = w.n; j < w.n; j++)", RANDOM),
    script("no penalty of length", "** 0.6", "** 0", RANDOM),
    script("ends of all candidates kept", "i < beam && ends[i]", "ends[i]", "test_parts.py::test_an_end_counts_among_the_first_beams_alone"),
    script("beams that stop at the first end", "reachable <= kept[0].score", "true", RANDOM),
    script("small numbers of 16 bits lost", "fraction * 2 ** -24", "0", "test_parts.py::test_every_number_of_16_bits"),
    script("of equals the last", "best[at - 1][0] < values[place]", "best[at - 1][0] <= values[place]", "test_parts.py::test_the_largest_and_of_equals_the_first"),
    script("JavaScript's white space", 'text.replace(AROUND_TEXT, "")', "text.trim()", ODD),
    script("text not composed", 'text.normalize("NFC")', "text", ODD),
    script("any pair merged", "rank < best", "rank < Infinity", ODD),
    script("unknown characters dropped", "tokenizer.ids.get(x) ?? UNK)", "tokenizer.ids.get(x)).filter(Boolean)", ODD),
    script("case folded as lower case", "seen.folds.get(x) ?? x.toLowerCase()", "x.toLowerCase()", ODD),
    script("rare words taken for known", "countOf(seen, word) <= SELDOM);", "countOf(seen, word) < SELDOM);", RANDOM),
    script("by hand, scaled by d", "1 / Math.sqrt(state.heads ? 1 : 2)", "1 / (state.heads ? 1 : 2)", HAND),
    script("a link has to name every number", "of INPUTS.filter(x => given.has(x))", "of INPUTS", "test_by_hand.py::test_what_a_link_does_not_name_is_the_courses"),
    script("by hand, the past hidden", "state.causal && j > i", "state.causal && j < i", HAND),
    script("by hand, the first token padding", "j === NAMES.length - 1", "j === 0", HAND),
    script("by hand, x times W", "row[0] * line[0] + row[1] * line[1]", "row[0] * w[0][0] + row[1] * line[1]", HAND),
    script("a sentence of another column", "found.v[0].map(x => x[j])", "found.v[0].map(x => x[0])", SAID),
    script("a cell made from another row", '["k", 0, j, c]', '["k", 0, i, c]', "test_by_hand.py::test_cells_that_a_number_was_made_from_are_those_it_depends_on"),
    script("a link without its switches", "...SWITCHES.map(name => `${name}=${Number(state[name])}`)", "...SWITCHES.map(name => `${name}=0`)", "test_by_hand.py::test_a_link_carries_the_state"),
    script("rows labelled by what is read alone", "${name(id)} → ${name(written[r])}", "${name(id)}", "test_parts.py::test_a_decoders_rows_say_what_is_read_and_written"),
    page("a module joined before what it imports", "bundle:bundle", "if missing:", "if False:", "test_what_cannot_be_joined"),
    page("two of one name", "bundle:bundle", "!= name:", "== name and False:", "test_what_cannot_be_joined"),
    page("a script that text can end", "page:page", "embedded_json(about(checkpoint, dtype))", "__import__('json').dumps(about(checkpoint, dtype))", "test_no_text_of_a_model_ends_a_script"),
    page("parts that the script lacks", "page:check_known", "value != field.default", "False", "test_models_of_other_parts_are_refused"),
    page("weights beyond 16 bits", "page:dtypes", "if fit else", "if True else", "test_large_weights_are_kept_in_16_bits"),
]  # fmt: skip
