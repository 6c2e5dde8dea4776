"""The mutants of search, sampling, streaming and writing."""

# ruff: noqa: E501  (one mutant a line)

from tests.mutants.mutant import Mutant


def search(name, function, old, new, test, module="decoding.search", says=""):
    target, killer = f"step01_numpy.common.{module}:{function}", f"tests/decoding/test_search.py::{test}"
    return Mutant(name, target, old, new, killer, says)


def sampling(name, function, old, new, test):
    return Mutant(
        name,
        f"step01_numpy.common.decoding.sampling:{function}",
        old,
        new,
        f"tests/decoding/test_sampling.py::{test}",
    )


def writer(name, function, old, new, test):
    return Mutant(name, f"step01_numpy.common.inference.writer:{function}", old, new, f"tests/{test}")


def rule(name, function, old, new, test="rules"):
    target = f"step01_numpy.common.decoding.constraints:Constraints.{function}"
    return Mutant(name, target, old, new, f"{LIBRARY}{test}")


NARROW = "test_a_narrow_beam_finds_what_the_definition_says"
LIBRARY = "tests/decoding/test_search_transformers.py::test_"
SEARCHING = [
    search("ends take the beams' places", "_Beams.extend", "np.where(ends, -np.inf, scores), beam", "np.where(ends, -np.inf, scores)[:, :beam], beam", NARROW, says="A beam that has ended takes the place of one that could go on. The beginnings that go on should stay as many as the beams."),
    search("too few candidates for several ends", "_Beams.extend", "(1 + max(1, len(self.eos))) * beam", "2 * beam", "test_ends_of_several_kinds_leave_enough_to_go_on_with"),
    search("an end further down counts", "_Beams.extend", "scores, -np.inf)[:, :beam]", "np.sort(scores)[:, ::-1], -np.inf)[:, -beam:]", NARROW, says="You keep an end that is not among the best of its step. Look at which candidates may end."),
    search("parents of another row", "_Beams.extend", "* parents_each)", "* beam)", NARROW),
    search("the end is not counted", "_Beams._end", "self.penalty(self.length)", "self.penalty(max(1, self.length - 1))", NARROW, says="Your length penalty does not count the end. How long is a sequence with its last token?"),
    search("stop at the best end", "_Beams._stop", "self.ended[:, 0]", "self.ended[:, -1]", NARROW, says="You stop as soon as one end beats every beginning. There have to be as many ends as beams first."),
    search("stop though longer could be better", "_Beams._stop", "max(self.penalty(self.length + 1), self.penalty(n))", "self.penalty(self.length)", "test_a_sequence_that_starts_worse_may_end_better"),
    search("stop by the length to come", "_Beams._stop", "most_probable / self.penalty(self.length)", "most_probable / self.penalty(self.length + 1)", NARROW),
    search("ends after the stop", "_Beams._end", "np.where(self.going[:, None], scores / self.penalty(self.length), -np.inf)", "scores / self.penalty(self.length)", NARROW),
    search("the end forced a token late", "Constraints.over", "limits[i // beams] - 1", "limits[i // beams]", "test_a_forced_end_costs_nothing", "decoding.constraints"),
    search("forbidden tokens allowed", "beam_search", "adjust is not None", "False", "test_first_eos_and_never"),
    search("no forced end in greedy search", "greedy", "adjust, n_rows)", "None, n_rows)", "")._replace(killer=f"{LIBRARY}translation_model"),
    search("one token more than the limit", "follow", "length < limits", "length <= limits", "", "decoding.continuation")._replace(killer="tests/decoding/test_sampling.py::test_what_is_said_is_penalised_from_then_on"),
    search("a row goes on after its end", "follow", "going & ~np.isin(tokens, eos)", "going & np.isin(tokens, tokens)", "test_one_beam_is_greedy", "decoding.continuation"),
    rule("no penalty for what was said", "_apply", "self.repetition_penalty != 1", "False"),
    rule("two for three in a row", "_apply", "self.no_repeat_ngram)", "self.no_repeat_ngram - 1)"),
    rule("an end a token late", "_apply", "n_new < self.min_new", "n_new <= self.min_new"),
    rule("the beginning not counted", "_apply", "len(text) < self.min_length", "n_new < self.min_length", "words_lengths_and_a_first_token"),
    rule("forbidden later, too", "_apply", "if n_new == (", "if n_new >= ("),
    rule("what remains always a distribution", "over", "if self.renormalise else", "if True else"),
    sampling("negative logits divided", "penalize_repetition", "np.where(logits < 0, logits * penalty, logits / penalty)", "logits / penalty", "test_repetition_penalty"),
    sampling("times the temperature", "heat", "logits / temperature", "logits * temperature", "test_temperature"),
    sampling("the last of the k dropped", "keep_top_k", "logits < least", "logits <= least", "test_top_k"),
    sampling("nucleus of 1 - p", "keep_top_p", "<= 1 - p", "<= p", "test_top_p"),
    sampling("the token that reaches p dropped", "keep_top_p", "logits < least", "logits <= least", "test_the_nucleus_reaches_p_with_the_fewest_tokens"),
    sampling("no token kept", "keep_top_p", ", logits.shape[-1] - 1)", ", logits.shape[-1])", "test_top_p"),
    sampling("noise from another distribution", "Sampler._choose", "generator.gumbel(", "generator.normal(", "test_the_rules_apply_in_the_librarys_order"),
    sampling("noise taken off", "draw", "logits + gumbels", "logits - gumbels", "test_draws_come_with_their_probabilities"),
    sampling("a row's place in its seed", "generators", "[seed, n, *text]) for n, text in zip(repeats, texts, strict=True)", "[seed, n, *text]) for n, text in enumerate(texts)", "test_a_row_does_not_depend_on_its_neighbours"),
    sampling("the same text again, the same draws", "generators", "[seed, n, *text]", "[seed, *text]", "test_a_text_that_comes_again_gets_another_continuation"),
    sampling("what was drawn is not seen", "Sampler.__call__", "self.seen[np.arange(len(tokens)), tokens] = True", "pass", "test_what_is_said_is_penalised_from_then_on"),
    sampling("cut before the temperature", "Sampler._choose", "keep_top_p(logits, rules.top_p)", "keep_top_p(logits * rules.temperature, rules.top_p) / rules.temperature", "test_the_rules_apply_in_the_librarys_order"),
    Mutant("half a character", "step01_numpy.common.decoding.streaming:pieces", ".rstrip(UNFINISHED)", "", "tests/decoding/test_streaming.py::test_no_half_character_is_yielded"),
    Mutant("the rest is lost", "step01_numpy.common.decoding.streaming:pieces", "yield rest", "yield ''", "tests/decoding/test_streaming.py::test_bytes_that_are_no_character_come_with_what_follows_or_at_the_end"),
    writer("padding on the right", "pad_left", "longest - len(sequence) :", ": len(sequence)", "decoding/test_writer.py::test_padding_on_the_left"),
    writer("the last token read twice", "Writer._start", "ids[:-1]", "ids", "decoding/test_generate_transformers.py::test_prompts_are_written_on_as_the_library_does"),
    writer("each batch draws anew", "Writer._write", "draws[batch]", "generators(self.seed, encoded[batch])", "decoding/test_writer.py::test_more_prompts_than_a_batch_holds"),
    writer("one token too long", "Writer.encode", "len(ids) + more > self.max_positions", "len(ids) + more > self.max_positions + 1", "decoding/test_writer.py::test_how_much_follows"),
]  # fmt: skip
