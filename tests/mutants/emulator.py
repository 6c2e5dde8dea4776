"""Mutants of the emulator: what it keeps, what it loads, and when it stops a kernel."""

# ruff: noqa: E501  (one mutant a line)

from tests.mutants.mutant import Mutant

CACHE, STOPS = "tests/kernels/test_emulator_cache.py", "tests/kernels/test_emulator_stops.py"


def emulator(name, target, old, new, file, test):
    return Mutant(name, f"step03_gpu.emulator.{target}", old, new, f"{file}::{test}")


EMULATOR = [
    emulator("headers no part of the key", "compiler:compile_kernels", "if _reads_other_headers(translate(code), taken)", "if False", CACHE, "test_an_edited_header_is_another_kernel"),
    emulator("a header beside the caller no part of the key", "compiler:_reads_other_headers", '"include" in others', "False", CACHE, "test_a_header_beside_the_caller_and_one_by_its_path"),
    emulator("a folder in a word of its own ignored", "compiler:_taken", 'word[2:] or next(words, "")', "word[2:]", CACHE, "test_an_edited_header_is_another_kernel"),
    emulator("another machine's kernels used", "compiler:compile_kernels", "platform.machine()", "''", CACHE, "test_definitions_options_and_the_compiler_belong_to_the_key"),
    emulator("damaged kernels used", "cache:_is_whole", 'path.stem.endswith(f"-{digest(path.read_bytes())}")', "True", CACHE, "test_a_damaged_file_is_made_again"),
    emulator("a kernel removed that another process is about to run", "cache:keep", "if not _is_whole(other)", "if other != path", CACHE, "test_what_two_processes_make_of_one_text_stays"),
    emulator("a folder that all may write to used", "cache:cache_folder", "status.st_mode & WRITABLE_BY_OTHERS", "False", CACHE, "test_a_folder_that_others_may_write_to_is_not_used"),
    emulator("somebody else's folder used", "cache:cache_folder", "status.st_uid != os.geteuid()", "False", CACHE, "test_a_folder_of_somebody_else_is_not_used"),
    emulator("a folder with the mode of the umask", "cache:cache_folder", "mode=0o700", "mode=0o777", CACHE, "test_a_folder_of_our_own_whatever_the_umask"),
    emulator("static shared memory not counted", "raw_module:Kernel.run", "FREE_SHARED if self._shared_limit is None else MOST_SHARED", "2 * MOST_SHARED", STOPS, "test_static_shared_memory_has_a_limit"),
    emulator("the first Ctrl-C not heard", "library:run_library", "is default_int_handler", "is None", STOPS, "test_ctrl_c"),
    emulator("a program's own handler not waited for", "library:run_library", "else 2", "else 1", STOPS, "test_a_handler_of_the_programs_own_comes_first"),
]  # fmt: skip
