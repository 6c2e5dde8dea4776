"""`generate`: a prompt in, the text that a language model continues it with."""

import argparse
import json
from pathlib import Path

from step01_numpy.common.commands.context import (
    Context,
    add_json,
    natural_number,
    positive_integer,
    positive_number,
)
from step01_numpy.common.commands.translate import standard_input
from step01_numpy.common.decoding.sampling import Sampling
from step01_numpy.common.inference.writer import MAX_TOKENS, Writer
from step01_numpy.common.pretrained.directory import load_model

HELP = """Continue prompts by a language model.

Prompts come from the arguments, or from standard input (UTF-8), a line each, where there are none. The most
probable token follows; with --temperature tokens are drawn at random, and the same seed gives the same text.
One prompt's text appears as it comes. With --json each prompt gives one line of JSON.

examples:
  {program} generate --model model.safetensors "The agreement on"
  {program} generate --model DIRECTORY --temperature 0.8 --top-p 0.95 --seed 3 "Once upon a time"
  {program} generate --model DIRECTORY --beam 4 --max-tokens 20 --json < prompts.txt
"""
DRAWING = ("top_k", "top_p", "seed")  # what has a meaning only where tokens are drawn


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("prompt", metavar="PROMPT", nargs="*", help="a text to continue")
    parser.add_argument(
        "--model",
        metavar="MODEL",
        type=Path,
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
        "--temperature", metavar="T", type=positive_number, help="draw tokens at random; 1 as the model says"
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
    parser.add_argument("--beam", metavar="N", type=positive_integer, default=1, help="search with N beams")
    add_json(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Generate, and print."""
    rules = _rules(arguments)
    prompts = arguments.prompt or list(standard_input())
    backend = context.backend
    writer = Writer(
        backend,
        load_model(arguments.model, backend),
        max_tokens=arguments.max_tokens,
        rules=rules,
        seed=arguments.seed or 0,
        beam=arguments.beam,
    )
    if len(prompts) == 1 and arguments.beam == 1 and not arguments.json:
        _stream(writer, *prompts)
        return 0
    for found in writer.write(prompts):
        print(json.dumps(found._asdict()) if arguments.json else found.prompt + found.text, flush=True)
    return 0


def _stream(writer, prompt):
    following = writer.stream(prompt)  # refuses a prompt before it is printed
    print(prompt, end="", flush=True)
    for text in following:
        print(text, end="", flush=True)
    print()


def _rules(arguments):
    given = vars(arguments)
    if arguments.beam > 1:
        for name in ("temperature", "repetition_penalty"):
            if given[name] is not None:
                raise ValueError(f"{_option(name)} is given with --beam, which takes the most probable text")
    if arguments.temperature is None:
        for name in DRAWING:
            if given[name] is not None:
                raise ValueError(
                    f"{_option(name)} is given without --temperature; nothing is drawn at random"
                )
    return Sampling(
        temperature=arguments.temperature or 0.0,
        top_k=arguments.top_k,
        top_p=arguments.top_p,
        repetition_penalty=arguments.repetition_penalty or 1.0,
    )


def _option(name):
    return "--" + name.replace("_", "-")
