"""Mutants of opening models: each wrong reading of a file, and the test that must fail."""

# ruff: noqa: E501  (one mutant a line)

from tests.mutants.mutant import Mutant


def loading(name, target, old, new, test, file="pretrained/test_directory.py"):
    return Mutant(name, f"step01_numpy.common.{target}", old, new, f"tests/{file}::{test}")


NUMBERS, WEIGHTS = "test_the_library_s_numbers", "pretrained/test_weight_files.py"
TRANSLATION, TOKENS = "pretrained/test_translation.py", "pretrained/test_tokenizer_files.py"
CONFIG, SETTINGS = "pretrained/test_config.py", "pretrained/test_tokenizer_settings.py"
VECTORS = "pretrained/test_sentence_vectors.py"
FOUND = "found = {name: look_up(theirs) for name, look_up in family.fields.items()}"

LOADING = [
    loading("q, k, v taken in the wrong order", "pretrained.keys:fused", "np.split(x.T, 3)", "np.split(x.T, 3)[::-1]", NUMBERS),
    loading("q, k, v taken row by row", "pretrained.keys:fused", "np.split(x.T, 3)", "[x.T[i::3] for i in range(3)]", NUMBERS),
    loading("Conv1D not turned", "pretrained.keys:turned", "x.T", "x", NUMBERS),
    loading("window of a file one too wide", "pretrained.config:fields", FOUND, FOUND + "; found['window'] = found.get('window') and found['window'] + 1", NUMBERS),
    loading("window of a file one too narrow", "pretrained.config:fields", FOUND, FOUND + "; found['window'] = found.get('window') and found['window'] - 1", NUMBERS),
    loading("eps of another family", "pretrained.config:fields", "| family.constants", "| {'norm_eps': 1e-6} | family.constants", NUMBERS),
    loading("gelu's own formula for its approximation", "pretrained.config:fields", FOUND, FOUND + "; found['activation'] = found['activation'].removesuffix('_tanh')", NUMBERS),
    loading("key/value heads as many as heads", "pretrained.config:fields", FOUND, FOUND + "; found['n_kv_heads'] = None", NUMBERS),
    loading("head tied whatever the file says", "pretrained.config:fields", FOUND, FOUND + "; found['tied'] = True", NUMBERS),
    loading("a window in every block", "configuration.model:ModelConfig.window_of", "None if number in self.full_layers else self.window", "self.window", NUMBERS),
    loading("Qwen's windows whether used or not", "pretrained.position_fields:qwen_windows", "if used else None", "if True else None", "test_what_a_file_says", "pretrained/test_config.py"),
    Mutant("q, k and v without Qwen's biases", "step01_numpy.block_attention:block_attention", "config.biases_qkv", "config.bias", f"tests/pretrained/test_directory.py::{NUMBERS}"),
    Mutant("a bias on Qwen's way out", "step01_numpy.block_attention:block_attention", "if not config.bias", "if False", f"tests/pretrained/test_directory.py::{NUMBERS}"),
    loading("Gemma's norms from 0", "pretrained.keys:from_one", "1 + x", "x", NUMBERS),
    loading("Gemma's full blocks first", "pretrained.position_fields:gemma3_windows", "(i + 1) % every", "i % every", "test_what_a_file_does_not_say_is_the_library_s_default", "pretrained/test_config.py"),
    loading("linear scaling as the highest turns need it", "pretrained.position_fields:rotary", "1, 2, 1)", "0.01, 0.02, 1)", NUMBERS),
    Mutant("one rotary base for all blocks", "step01_numpy.blocks:_rotary", "window is not None and", "False and", f"tests/pretrained/test_directory.py::{NUMBERS}"),
    loading("embeddings of a file not scaled", "pretrained.config:fields", FOUND, FOUND + "; found['scale_embedding'] = False", "test_translations"),
    loading("llama3 scaling ignored", "pretrained.position_fields:rotary", "tuple(rope[name] for name in LLAMA3)", "None", NUMBERS),
    loading("llama3 factors swapped", "pretrained.position_fields:rotary", "tuple(rope[name] for name in LLAMA3)", "(rope[LLAMA3[0]], rope[LLAMA3[2]], rope[LLAMA3[1]], rope[LLAMA3[3]])", NUMBERS),
    loading("rotary base of the default", "pretrained.position_fields:rotary", 'rope.get("rope_theta", config.get("rope_theta", 10000.0))', "10000.0", NUMBERS),
    Mutant("rotary positions interleaved", "step01_numpy.blocks:_rotary", '"scaling": config.rotary_scaling', '"scaling": config.rotary_scaling, "interleaved": True', f"tests/pretrained/test_directory.py::{NUMBERS}"),
    Mutant("Marian's positions interleaved", "step01_numpy.blocks:PositionalInput.forward", 'self.kind == "sinusoidal"', "True", "tests/pretrained/test_directory.py::test_translations"),
    loading("older spelling of rotary scaling ignored", "pretrained.position_fields:rotary", 'config.get("rope_scaling") or ', "", "test_the_older_spelling_of_rotary_scaling"),
    loading("head size ignored", "pretrained.config:fields", FOUND, FOUND + "; found['d_head'] = None", NUMBERS),
    loading("names of 2018 unknown", "pretrained.weights:_spelling", "name not in found and ", "False and ", "test_older_files"),
    loading("a head that differs is thrown away", "pretrained.weights:_check_copies", "not np.array_equal(files.array(a), files.array(b))", "False", "test_a_copy_of_the_embedding"),
    loading("unknown tensors ignored", "pretrained.weights:_check_names", "extra = [", "extra = [] and [", "test_tensors_at_fault"),
    loading("shapes unchecked", "pretrained.weights:_check_shapes", "found[name].shape != expected", "False", "test_tensors_at_fault"),
    loading("weights copied", "pretrained.directory:_of_directory", "copy=False", "copy=True", "test_float32_weights_stay_in_the_file"),
    loading("dropout left on", "pretrained.directory:_of_directory", "model.eval()", "pass", NUMBERS),
    loading("bfloat16 read as float16", "pretrained.weight_files:WeightFiles.array", "_bfloat16()", "np.float16", "test_what_is_read_is_what_was_written", WEIGHTS),
    loading("tensors found without the header's length", "support.tensor_files:_tensors", "first + start)", "start)", "test_what_is_read_is_what_was_written", WEIGHTS),
    loading("end of the file unchecked", "support.tensor_files:_tensors", "if first + end != size", "if False", "test_truncated_anywhere", WEIGHTS),
    loading("shards from anywhere", "pretrained.weight_files:_read_shards", "path.name != name", "False", "test_a_wrong_index", WEIGHTS),
    loading("texts cut as the file once cut them", "pretrained.model_tokenizer:FastTokenizer.__init__", "backend.no_truncation()", "pass", "test_word_pieces", TOKENS),
    loading("any tokenizer for any model", "pretrained.tokenizer_files:_check_size", "tokenizer.vocab_size > vocab_size", "False", "test_a_tokenizer_that_does_not_fit", TOKENS),
    loading("no end after a source", "pretrained.model_tokenizer:MarianTokenizer.encode", ", self._end]", "]", "test_sentence_pieces", TOKENS),
    loading("padding of another model", "inference.translation:Translator.search", "pad(sources, self.pad)", "pad(sources)", "test_the_library_s_tokens", TRANSLATION),
    loading("padding of generation for the model's", "inference.translation:Translator.search", "pad(sources, self.pad)", "pad(sources, self.markers.pad)", "test_a_short_line_beside_a_long_one", TRANSLATION),
    loading("<bos> of another model", "inference.translation:Translator.search", "self.markers.first", "1", "test_the_library_s_tokens", TRANSLATION),
    loading("a file that is missing asked of the Hub", "pretrained.hub:_may_be_on_the_hub", "path.suffix not in FILE_ENDINGS", "True", "test_paths_are_no_names", TRANSLATION),
    loading("what would lie in a folder here asked of the Hub", "pretrained.hub:_may_be_on_the_hub", " and not path.parent.is_dir()", "", "test_paths_are_no_names", TRANSLATION),
    loading("forbidden tokens said", "inference.translation:Translator.search", "adjust=adjust", "adjust=None", "test_forbidden_tokens", TRANSLATION),
    loading("first token not counted", "pretrained.generation:SearchDefaults.room", "self.max_length - length", "self.max_length", "test_the_library_s_tokens", TRANSLATION),
    loading("fields that nobody knows ignored", "pretrained.known_fields:Known.check", "if unknown:", "if False:", "test_what_we_cannot_honour", CONFIG),
    loading("values that we cannot honour taken", "pretrained.known_fields:Known.check", "if name in content and", "if False and", "test_what_we_cannot_honour", CONFIG),
    loading("1 taken for true", "pretrained.known_fields:_same", " and isinstance(a, bool) == isinstance(b, bool)", "", "test_what_we_cannot_honour", CONFIG),
    loading("rope_parameters before rope_scaling", "pretrained.position_fields:rotary", 'config.get("rope_scaling") or config.get("rope_parameters")', 'config.get("rope_parameters") or config.get("rope_scaling")', "test_what_a_file_says", CONFIG),
    loading("generation of two files", "pretrained.config:read_generation", "found = read_json(path, default={})", "found = {name: x for name, x in theirs.items() if name in GENERATION} | read_json(path, default={})", "test_one_file_alone_says_how_to_search", TRANSLATION),
    loading("capitals as tokenizer.json has them", "pretrained.tokenizer_settings:adapt", "_normalise(backend, settings, library)", "pass", "test_how_bert_normalises", SETTINGS),
    loading("prefix as tokenizer.json has it", "pretrained.tokenizer_settings:adapt", 'bool(settings.about.get("add_prefix_space", False))', "part.add_prefix_space", "test_what_stands_around_bytes", SETTINGS),
    loading("no beginning before bytes", "pretrained.tokenizer_settings:surround", "if special:", "if False:", "test_what_stands_around_bytes", SETTINGS),
    loading("added tokens left out", "pretrained.tokenizer_settings:_add_tokens", "sorted(settings.added.items())", "()", "test_added_tokens", SETTINGS),
    loading("special tokens like others", "pretrained.tokenizer_settings:_add_tokens", "backend.add_special_tokens(more)", "pass", "test_special_tokens_of_the_vocabulary", SETTINGS),
    loading("an end of generation behind a source", "pretrained.model_tokenizer:MarianTokenizer.encode", "self._end", "self.markers.eos[0]", "test_marian_s_own_end_and_padding", SETTINGS),
    loading("rows without a token refused", "pretrained.model_tokenizer:FastTokenizer.decode", "natural(ids)", "self.tokens(ids) and natural(ids)", "test_rows_that_stand_for_no_token", SETTINGS),
    loading("the mean whatever the file says", "inference.embedding:Embedder._vectors", "self.pool}", "'mean'}", "test_lines_are_pooled_so", VECTORS),
    loading("prompts left out", "inference.embedding:Embedder.embed", "prompt + line", "line", "test_prompts_and_capitals", VECTORS),
    loading("the tokenizer's limit ignored", "inference.embedding:Embedder.__init__", "self.tokenizer.max_tokens if limits[1] is None else limits[1]", "limits[1]", "test_where_lines_are_cut", VECTORS),
]  # fmt: skip
