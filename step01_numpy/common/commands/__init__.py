"""The commands, one module each: `HELP`, `add_arguments(parser)`, `run(arguments, context) -> exit code`."""
