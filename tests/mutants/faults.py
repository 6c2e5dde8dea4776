"""Mutants of how commands end: a fault hidden, or too much made of it, and the test that must fail."""

# ruff: noqa: E501  (one mutant a line)

from tests.mutants.mutant import Mutant


def fault(name, target, old, new, test, file="test_faults.py"):
    return Mutant(name, f"step01_numpy.common.{target}", old, new, f"tests/commands/{file}::{test}")


FAULTS = [
    fault("a mistake of ours hidden", "commands.command_line:main", "if isinstance(error, RuntimeError) and not lacks_memory(error):", "if False:", "test_a_mistake_of_ours_is_not_hidden"),
    fault("every command imported", "commands.command_line:available", "words[:1] if words and words[0] in COMMANDS else COMMANDS", "COMMANDS", "test_a_command_brings_in_no_other", "test_command_line.py"),
    fault("memory that ran out a traceback", "commands.command_line:lacks_memory", "return said or", "return", "test_no_memory"),
    fault("work ended by a closed standard error", "commands.process:Aside.write", "contextlib.suppress(OSError)", "contextlib.suppress()", "test_standard_error_that_nobody_reads"),
    fault("numbers beyond 64 bits", "commands.context:_number", "least <= value < LIMIT[kind]", "least <= value", "test_what_is_said"),
    fault("an empty path the current folder", "commands.context:file_name", "not argument or", "", "test_what_is_said"),
    fault("bytes of another locale lost", "commands.context:utf8_text", "os.fsencode(argument).decode()", "argument", "test_utf8_where_the_locale_knows_ascii_alone"),
    fault("lines lost before one that is no UTF-8", "commands.lines:chunks", "if chunk:\n            yield chunk\n        raise", "raise", "test_what_was_read_before_a_fault_comes_first"),
    fault("a long line takes all with it", "inference.translation:Translator.translate", "refused or raise_reason", "raise_reason", "test_a_line_too_long_does_not_take_others_with_it", "test_command_line.py"),
    fault("a long prompt takes all with it", "inference.writer:Writer.encode", "refused or raise_reason", "raise_reason", "test_a_prompt_too_long_does_not_take_others_with_it", "test_generate.py"),
]  # fmt: skip
