"""Mutants of texts for language models, of their batches and of what is trained on them."""

# ruff: noqa: E501  (one mutant a line)

from tests.mutants.mutant import Mutant

COMMON = "step01_numpy.common"


def text(name, function, old, new, test):
    return Mutant(name, f"{COMMON}.text.plain:{function}", old, new, f"tests/text/test_plain.py::{test}")


def batch(name, function, old, new, test):
    return Mutant(
        name,
        f"{COMMON}.text.language_batches:{function}",
        old,
        new,
        f"tests/text/test_language_batches.py::{test}",
    )


def task(name, target, old, new, test):
    return Mutant(name, f"{COMMON}.{target}", old, new, f"tests/{test}")


TEXTS = [
    text("windows that do not overlap", "causal_sequences", "range(0, len(stream) - 1, longest)", "range(0, len(stream) - 1, longest + 1)", "test_windows_teach_every_token_once"),
    text("no end between lines", "causal_sequences", "[*ids, EOS]", "ids", "test_windows_teach_every_token_once"),
    text("the first token of a text never taught", "causal_sequences", "[EOS, *chain", "[*chain", "test_windows_teach_every_token_once"),
    text("a last window of one token", "causal_sequences", "len(stream) - 1", "len(stream)", "test_a_stream_that_fills_its_windows_exactly"),
    text("long lines cut off", "masked_sequences", "range(0, len(ids), room)", "range(0, min(len(ids), room), room)", "test_long_lines_are_cut_and_none_is_lost"),
    text("no room left for the marks", "masked_sequences", "longest - 2", "longest", "test_long_lines_are_cut_and_none_is_lost"),
    text("blank lines kept", "read_text", "for line in lines if line", "for line in lines", "test_lines_that_are_not_blank_in_nfc"),
    batch("targets not shifted", "CausalBatches.batch", "[1:]", "[:-1]", "test_causal_targets_are_the_next_tokens"),
    batch("padding seen", "CausalBatches.batch", "tokens != PAD", "tokens == tokens", "test_shapes_types_and_budget"),
    batch("the answer shown", "MaskedBatches.batch", "TextBatch(hidden,", "TextBatch(tokens,", "test_masked_targets_are_what_was_hidden"),
    batch("every token a target", "mask_tokens", "np.where(chosen, tokens, PAD)", "tokens", "test_masked_targets_are_what_was_hidden"),
    batch("special tokens chosen", "mask_tokens", "np.where(ordinary, rng.random(tokens.shape), 2.0)", "rng.random(tokens.shape)", "test_shares_of_masking"),
    batch("a batch without a target", "mask_tokens", " | (draw == draw.min())", "", "test_at_least_one_token_is_chosen_and_each_may_be"),
    batch("15 % of all, not of the ordinary tokens", "mask_tokens", "draw < CHOSEN", "draw < CHOSEN / ordinary.mean()", "test_shares_of_masking"),
    batch("always <mask>", "mask_tokens", "fate < MASKED)", "fate < 2)", "test_shares_of_masking"),
    batch("20 % random tokens", "mask_tokens", "fate < MASKED + REPLACED", "fate < 1", "test_shares_of_masking"),
    batch("random special tokens", "mask_tokens", "rng.integers(MASK + 1, vocab_size", "rng.integers(MASK, vocab_size", "test_random_tokens_are_drawn_evenly"),
    batch("the last token never drawn", "mask_tokens", "vocab_size, tokens.shape", "vocab_size - 1, tokens.shape", "test_shares_of_masking"),
    batch("masks not from the one generator", "MaskedBatches.batch", "self.rng)", "np.random.default_rng())", "test_resumes_bit_for_bit_where_others_draw_from_the_same_rng"),
    task("two languages taken for one", "text.several:_check_languages", "if not found & letters[0]", "if False", "text/test_several.py::test_corpora_of_two_languages"),
    task("a first column in any script", "text.parallel:_read_table", "[A-Za-z]", ".", "text/test_parallel.py::test_a_table_whose_first_column_is_not_english"),
    task("speed of the first update lost in its clock", "display.curve:Course.points", "before[-1]", "chosen[0][-1]", "commands/test_curve.py::test_points_are_means_over_equal_stretches"),
    task("figures with the last row on top", "display.map_figures:_draw_head", "panel.set_ylim(len(rows), 0)", "panel.set_ylim(0, len(rows))", "commands/test_figures.py::test_the_first_row_stands_on_top"),
    task("hidden cells drawn as tiny ones", "display.map_figures:_draw_head", "np.ma.masked_equal(weights, 0)", "weights", "commands/test_figures.py::test_a_cells_colour_is_its_weight_and_hidden_ones_have_none"),
    task("dollars read as mathematics", "display.map_figures:_draw_head", "label.set_parse_math(False)", "pass", "commands/test_figures.py::test_a_cells_colour_is_its_weight_and_hidden_ones_have_none"),
    task("what is wrong not on the page", "display.parity_page:parity_page", "details(rows)", "[]", "commands/test_figures.py::test_what_is_wrong_stands_on_the_page"),
    task("a comparison of nothing passes", "display.parity_page:parity_page", "rows and all(", "all(", "commands/test_figures.py::test_what_is_wrong_stands_on_the_page"),
    task("ratios upside down", "scale.comparison:_row", "pair[1] / pair[0]", "pair[0] / pair[1]", "commands/test_figures.py::test_two_models_beside_each_other"),
    task("all fields shown as differing", "scale.comparison:_differing", "if one[name] != two.get(name)", "", "commands/test_figures.py::test_two_models_beside_each_other"),
    task("stretches that overlap", "display.curve:Course.points", "first + size", "first + size + 1", "commands/test_curve.py::test_points_are_means_over_equal_stretches"),
    task("resumed with the draws of the epoch's start", "text.batches:Shuffled.load_state_dict", 'self.rng.bit_generator.state = state["rng"]', "pass", "text/test_language_batches.py::test_resumes_bit_for_bit_where_others_draw_from_the_same_rng"),
    task("a masked model without <mask>", "text.tokenizer:_trained", "if mask else", "if False else", "commands/test_language_commands.py::test_what_is_trained"),
    task("the family forgotten", "training.checkpoints:save", 'about["family"] = checkpoint.config.family', "pass", "commands/test_language_commands.py::test_the_family_is_in_the_file_and_may_be_missing"),
    task("fields of the file lost", "training.configuration:RunConfig.model_config", "self.model)", "{})", "training/test_language_training.py::test_fields_that_are_given_come_before_a_tasks_defaults"),
    task("a task's defaults before what is given", "training.tasks:Task.model_config", "**self.model, **given", "**given, **self.model", "training/test_language_training.py::test_fields_that_are_given_come_before_a_tasks_defaults"),
    task("training silent where there is no terminal", "commands.train:train", "bar.disable and", "False and", "commands/test_command_line.py::test_training_without_a_terminal_reports_on_stderr"),
    task("near-duplicates on both sides", "text.parallel:table_split", "normal_form(english)", "english", "text/test_several.py::test_near_duplicates_fall_on_one_side"),
    task("trained on what another corpus holds out", "text.several:read_together", "not in held_out", "is not None", "text/test_several.py::test_what_one_corpus_holds_out_is_left_out_of_all"),
    task("one reference a sentence", "text.several:read_references", "list(others) for", "list(others)[:1] for", "text/test_several.py::test_a_table_has_every_reference_of_a_sentence"),
    task("exact only by the first reference", "commands.evaluate:score", "map(same, accepted)", "map(same, accepted[:1])", "commands/test_command_line.py::test_evaluate_with_all_references_of_a_sentence"),
    task("slim weights in float32 all the same", "training.trainer:_rounded", "weight.astype(dtype)", "weight", "commands/test_command_line.py::test_slim_files_in_float16_translate_as_their_model_does"),
    task("infinite weights written", "training.trainer:_rounded", "not largest <= np.finfo(dtype).max", "False", "commands/test_command_line.py::test_weights_beyond_float16_are_not_written"),
    task("typography kept by a plain tokenizer", "text.tokenizer:_normalizers", "if plain else", "if False else", "text/test_as_typed.py::test_a_plain_tokenizer_reads_all_spellings_alike"),
    task("hurried without their translations' capitals", "text.as_typed:with_hurried", "drawn // 100 % 3), target)", "drawn // 100 % 3), target.lower())", "text/test_as_typed.py::test_hurried_pairs_stand_behind_their_own"),
    task("hurried as often as chance has it", "text.as_typed:with_hurried", 'digest(f"{source}\\t{target}")', "len(result)", "text/test_as_typed.py::test_which_pairs_are_hurried_depends_on_their_texts_alone"),
    task("a question taken for a calm sentence", "text.as_typed:with_calm", "calm != source and calm[-1:].isalnum()", "calm != source", "text/test_as_typed.py::test_exclamations_are_learned_with_a_full_stop_too"),
    task("calm forgotten", "training.tasks:Task.training_data", "if calm else", "if False else", "text/test_as_typed.py::test_training_data_hold_the_calm"),
    task("started from drawn weights", "training.trainer:_begin_with", "trainer.model.load_state_dict(checkpoint.state)", "pass", "commands/test_command_line.py::test_a_training_starts_from_anothers_weights_and_vocabulary"),
    task("what the first training saw forgotten", "training.trainer:_begin_with", "trainer.seen.joined(checkpoint.seen)", "trainer.seen", "commands/test_command_line.py::test_a_training_starts_from_anothers_weights_and_vocabulary"),
    task("the smaller count of a word", "text.seen:Seen.joined", ") | C", ") & C", "text/test_seen.py::test_two_trainings_know_the_words_of_both"),
    task("exact by typography too", "commands.evaluate:score", "references = [[plain(x) for x in accepted] for accepted in references]", "pass", "commands/test_command_line.py::test_evaluate_with_all_references_of_a_sentence"),
    task("words told apart by their case", "text.seen:seen_in", "sentence.casefold()", "sentence", "text/test_seen.py::test_words_are_counted_whatever_their_case"),
    task("the longest an outlier", "text.seen:seen_in", "min(AS_LONG, len(lengths)) - 1", "0", "text/test_seen.py::test_the_longest_is_no_single_outlier"),
    task("a spelling that was hardly learned offered", "text.seen:Seen.nearest", "n > SELDOM", "n > 0", "text/test_seen.py::test_the_nearest_spelling_is_of_a_learned_word"),
    task("what was seen forgotten by the file", "training.checkpoints:save", "checkpoint.seen is not None", "False", "commands/test_doubts.py::test_a_trained_file_says_what_it_has_seen"),
    task("nonsense without a note", "commands.translate:run", "doubted=note", "doubted=None", "commands/test_doubts.py::test_a_note_for_each_doubtful_line"),
    task("an unsure model silent", "inference.translation:Translator.doubts", "log_p is not None", "False", "commands/test_doubts.py::test_a_note_for_each_doubtful_line"),
    task("sure of its words, whatever of their end", "inference.translation:Translator.sureness", "self.markers.eos[0]]", "*()]", "commands/test_doubts.py::test_how_sure_a_shipped_model_is_of_each_translation"),
    task("the mean of probabilities, not of their logarithms", "inference.doubts:unsure", "np.exp(log_p.mean())", "np.exp(log_p).mean()", "commands/test_doubts.py::test_unsure_by_the_geometric_mean"),
    task("sure of long translations less", "inference.doubts:unsure", "log_p.mean()", "log_p.sum()", "commands/test_doubts.py::test_unsure_by_the_geometric_mean"),
    task("the word of the least probable token", "inference.doubts:unsure", "words[sums.argmin()]", "words[places[log_p.argmin()]]", "commands/test_doubts.py::test_the_least_probable_word_is_named"),
    task("a word said to be doubtful where there is none", "inference.doubts:unsure", "if words else", "if True else", "commands/test_doubts.py::test_unsure_of_a_translation_without_a_word"),
    task("sure of padding too", "inference.translation:Translator.sureness", "logits[i, : len(x)], x)", "logits[i], [*x, *[0] * (logits.shape[1] - len(x))])", "commands/test_doubts.py::test_how_sure_a_shipped_model_is_of_each_translation"),
    task("runaway translations without a note", "inference.translation:Translator.doubts", ">= self._longest", "> self._longest", "commands/test_doubts.py::test_a_translation_without_an_end"),
    task("words met once pass for learned", "inference.doubts:not_learned", "0 < n <= SELDOM", "0 < n < SELDOM", "commands/test_doubts.py::test_each_kind_of_what_was_not_learned"),
    task("rows labelled by what is read alone", "display.tour:read_and_written", 'f"{read}{ARROW}{written}"', "read", "commands/test_tour.py::test_a_decoders_rows_say_what_is_read_and_written"),
    task("a finding where nothing is clear", "display.tour:in_words", "> 0.5", "> 0.0", "commands/test_tour.py::test_the_finding_names_the_clearest_words_in_order"),
    task("hidden cells as blank as tiny ones", "display.heat_map:cell", "weight == 0", "weight < 0", "commands/test_tour.py::test_shades_grow_with_the_weight"),
    task("hidden cells of the page rounded", "display.page:maps_data", "weights == 0", "weights < 0", "commands/test_tour.py::test_the_page_holds_every_map"),
    task("doubts not on the page", "display.page:page", "first.doubts and", "False and", "commands/test_tour.py::test_the_tables_are_folded_and_doubts_stand_above_the_maps"),
    task("padding measured", "inference.prediction:predict", "targets[targets != PAD]", "targets[targets >= PAD]", "commands/test_language_commands.py::test_every_token_of_a_text_is_counted_once"),
    task("perplexity in bits", "inference.prediction:predict", "np.exp(", "np.exp2(", "commands/test_language_commands.py::test_nats_per_token_by_definition"),
]  # fmt: skip
