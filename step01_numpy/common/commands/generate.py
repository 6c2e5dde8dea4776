"""`generate`: a prompt in, the text that a language model continues it with."""

import argparse
import json
from dataclasses import replace

from step01_numpy.common.commands.context import (
    Context,
    add_json,
    file_path,
    natural_number,
    number,
    positive_integer,
    positive_number,
    utf8_text,
)
from step01_numpy.common.commands.lines import Refused, standard_input
from step01_numpy.common.inference.writer import MAX_TOKENS, Writer
from step01_numpy.common.pretrained.directory import load_model

HELP = """Continue prompts by a language model.

Prompts come from the arguments, or from standard input (UTF-8), a line each, where there are none. Tokens are
chosen as the authors of a Hugging Face model say; where nothing is said, the most probable one follows. With
--temperature tokens are drawn at random, and the same seed gives the same text; 0 draws none. One prompt's
text appears as it comes. With --json each prompt gives one line of JSON. Of several prompts, one that is too
long for the model gives an empty line, or a text that is null: the others are continued all the same, then an
error names it, and the exit code is 2.

examples:
  {program} generate --model model.safetensors "The agreement on"
  {program} generate --model DIRECTORY --temperature 0.8 --top-p 0.95 --seed 3 "Once upon a time"
  {program} generate --model DIRECTORY --beam 4 --max-tokens 20 --json < prompts.txt
"""
RULES = ("temperature", "top_k", "top_p", "repetition_penalty")
DRAWING = ("top_k", "top_p", "seed")  # what has a meaning only where tokens are drawn


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("prompt", metavar="PROMPT", type=utf8_text, nargs="*", help="a text to continue")
    parser.add_argument(
        "--model",
        metavar="MODEL",
        type=file_path,
        required=True,
        help="checkpoint of a causal language model, or a Hugging Face GPT-2, Llama, Mistral, Qwen or Gemma: "
        "its directory, or its name on their Hub",
    )
    parser.add_argument(
        "--max-tokens",
        metavar="N",
        type=positive_integer,
        help=f"the most tokens that follow a prompt (default: {MAX_TOKENS}, or what the longest leaves)",
    )
    parser.add_argument(
        "--temperature",
        metavar="T",
        type=number,
        help="draw tokens at random; 1 as the model says, 0 takes the most probable one",
    )
    parser.add_argument(
        "--top-k", metavar="K", type=positive_integer, help="draw from the K most probable tokens"
    )
    parser.add_argument(
        "--top-p",
        metavar="P",
        type=positive_number,
        help="draw from the fewest tokens of probability P in all",
    )
    parser.add_argument(
        "--repetition-penalty",
        metavar="R",
        type=positive_number,
        help="above 1 makes tokens less probable that the text holds already",
    )
    parser.add_argument("--seed", metavar="N", type=natural_number, help="of the draws (default: 0)")
    parser.add_argument("--beam", metavar="N", type=positive_integer, help="search with N beams")
    add_json(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Generate, and print."""
    _check(arguments, arguments.beam)
    prompts = arguments.prompt or list(standard_input())
    backend = context.backend
    opened = load_model(arguments.model, backend)
    beam = arguments.beam or opened.search.beam
    _check(arguments, beam)
    writer = Writer(
        backend,
        opened,
        max_tokens=arguments.max_tokens,
        rules=_rules(arguments, opened.search.rules),
        seed=arguments.seed or 0,
        beam=beam,
    )
    if len(prompts) == 1 and beam == 1 and not arguments.json:
        _stream(writer, *prompts)
        return 0
    refused = Refused("null" if arguments.json else "an empty line")
    for found in writer.write(prompts, refused=refused):
        text = "" if found.text is None else found.prompt + found.text
        print(json.dumps(found._asdict()) if arguments.json else text, flush=True)
    refused.check()
    return 0


def _stream(writer, prompt):
    following = writer.stream(prompt)  # refuses a prompt before it is printed
    print(prompt, end="", flush=True)
    for text in following:
        print(text, end="", flush=True)
    print()


def _check(arguments, beam):
    """Refuse draws by beams, be they asked for here or those of the model's authors."""
    whose = "--beam" if arguments.beam else f"the model's authors' search by {beam} beams (--beam 1 is none)"
    for name in ("temperature", "repetition_penalty"):
        if (beam or 1) > 1 and getattr(arguments, name) is not None:
            raise ValueError(f"{_option(name)} is given with {whose}, which takes the most probable text")


def _rules(arguments, rules):
    """Put what the user says over what the model's authors say."""
    given = {name: getattr(arguments, name) for name in RULES if getattr(arguments, name) is not None}
    found = replace(rules, **given)
    if found.temperature == 0:
        for name in DRAWING:
            if getattr(arguments, name) is not None:
                raise ValueError(
                    f"{_option(name)} is given without --temperature; nothing is drawn at random"
                )
    return found


def _option(name):
    return "--" + name.replace("_", "-")
