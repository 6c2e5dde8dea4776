"""Mutants of what keeps faults from passing in silence: of writers, claims, digests, checksums, limits."""

# ruff: noqa: E501  (one mutant a line)

from tests.mutants.mutant import Mutant


def fault(name, target, old, new, test, file="commands/test_hostile_files.py"):
    return Mutant(name, f"step01_numpy.common.{target}", old, new, f"tests/{file}::{test}")


FILES, WEIGHTS = "training/test_files.py", "pretrained/test_weight_files.py"
CHECKPOINTS, LOGITS = "training/test_checkpoints.py", "decoding/test_not_finite.py"

HOSTILE_FILES = [
    fault("a part that all writers share", "support.files:_part", '{_stem(path)}{os.getpid()}.{token_hex(4)}', "{path.name}", "test_files_of_others_are_left_alone", FILES),
    fault("a part that who is stopped leaves", "support.files:_part", '    try:\n        open(part, "xb").close()', '    open(part, "xb").close()\n    try:\n        pass', "test_who_is_stopped_while_a_part_is_made_leaves_none", FILES),
    fault("parts of the living removed", "support.files:_remove_abandoned", "and not _may_run(int(found[1]))", "", "test_what_a_killed_writer_left_goes_when_the_path_is_claimed", FILES),
    fault("a lock that two may hold", "support.files:_lock", "fcntl.LOCK_EX", "fcntl.LOCK_SH", "test_a_claim_holds_within_a_process_too", FILES),
    fault("a user's file taken for a lock", "support.files:_locked", "if _content(file) and not HOLDER.fullmatch(_content(file))", "if False", "test_a_file_in_the_place_of_the_lock_is_left_alone", FILES),
    fault("a lock without a name", "support.files:_locked", "if os.fstat(file.fileno()).st_nlink", "if True", "test_a_lock_whose_holder_ends_meanwhile_is_asked_for_again", FILES),
    fault("data read before the file is held", "training.trainer:Trainer.claim", "claim(path)", "__import__('contextlib').nullcontext()", "test_a_second_training_is_refused_before_it_reads_a_thing"),
    fault("weights written that are not finite", "training.trainer:Trainer.save", "if fault := not_finite(state | optimizer)", "if fault := None", "test_an_update_that_is_not_finite_leaves_the_last_good_file"),
    fault("own weights opened that are not finite", "training.checkpoints:load", "if fault := not_finite(arrays)", "if fault := None", "test_a_model_with_such_a_weight_is_not_opened"),
    fault("others' weights opened that are not finite", "pretrained.weight_files:_check_finite", "if fault := not_finite({name: x})", "if fault := None", "test_a_weight_that_is_not_finite_is_found_when_it_is_read", WEIGHTS),
    fault("only a tensor's first piece looked at", "pretrained.weight_files:WeightFiles._check_on_disk", "range(start, end, PIECE)", "range(start, min(end, start + PIECE), PIECE)", "test_a_weight_that_is_not_finite_is_found_when_it_is_read", WEIGHTS),
    fault("logits that say nothing", "decoding.continuation:telling", "if not np.isfinite(best).all()", "if False", "test_logits_that_say_nothing", LOGITS),
    fault("vectors that are not finite", "inference.embedding:Embedder.embed", "if not finite.all()", "if False", "test_what_is_computed_is_finite_or_refused"),
    fault("data told apart by content, not order", "training.trainer:digest", "data[i : i + 1000]", "sorted(data)[i : i + 1000]", "test_the_same_data_in_another_order_are_other_data"),
    fault("data told apart by their first", "training.trainer:digest", "range(0, len(data), 1000)", "[0]", "test_the_digest_is_of_all_and_in_order", CHECKPOINTS),
    fault("flipped bits let through", "training.checkpoints:load", "kept[2] != checksum(kept[1], arrays)", "False", "test_a_flipped_bit_is_found", CHECKPOINTS),
    fault("checksum of the numbers alone", "training.checkpoints:checksum", 'found = zlib.crc32(f"{name} {x.dtype} {x.shape}".encode(), found)', "pass", "test_the_checksum_is_of_all_that_counts", CHECKPOINTS),
    fault("integers taken for weights", "training.checkpoints:_check_types", "x.dtype.kind not in kind", "False", "test_weights_that_are_no_floats"),
    fault("sizes believed", "scale.limits:check_size", "wanted > limit", "False", "test_sizes_that_the_file_does_not_hold"),
    fault("a tensor that stands twice", "support.tensor_files:_header", "objects=distinct", "objects=None", "test_a_header_that_others_would_misread", WEIGHTS),
]  # fmt: skip
