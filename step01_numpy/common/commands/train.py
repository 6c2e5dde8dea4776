"""`train`: learn to translate from a parallel corpus, or to predict the tokens of a text."""

import argparse
import dataclasses
import json
import sys
import time
from collections import deque

from step01_numpy.common.commands import process
from step01_numpy.common.commands.context import (
    Context,
    add_json,
    file_name,
    file_path,
    natural_number,
    positive_integer,
    positive_number,
    progress_bar,
)
from step01_numpy.common.commands.train_help import defaults, models
from step01_numpy.common.configuration.recurrent import SCORES
from step01_numpy.common.display.curve import Course
from step01_numpy.common.support.files import check_writable
from step01_numpy.common.training.checkpoints import load
from step01_numpy.common.training.configuration import RunConfig, read_configuration
from step01_numpy.common.training.tasks import RECURRENT, TASKS, TRANSFORMER, task_of
from step01_numpy.common.training.trainer import Trainer

HELP = """Train a model on a text, to translate or to predict tokens, and keep it in one file.

Translators learn from the split 'train' of a parallel corpus, language models from any text; blank lines do
not count, and lines longer than the model takes are cut. Of several corpora, what one of them holds out is
left out of all. The vocabulary is learned first. The learning rate depends on the step alone, never on the
clock: --minutes only stops early, and --resume goes on from there as if nothing had happened. The file is
replaced as a whole every --save-every steps, so a kill at any moment leaves the last good one; of two
trainings with the same --out the second is refused. --resume takes the same data in the same order.

models:
MODELS

A --config file is JSON; each part and each field may be missing, and these are the defaults:
DEFAULTS

examples:
  {program} train --data embedded --out model.safetensors --steps 300
  {program} train --data multi30k --out model.safetensors --minutes 10
  {program} train --data multi30k --out model.safetensors --resume
  {program} train --data fra.txt --data embedded --out model.safetensors
  {program} train --data mine.txt --start-from shipped.safetensors --steps 500 --out mine.safetensors
  {program} train --model recurrent --score additive --data embedded --out recurrent.safetensors
  {program} train --model causal-lm --data book.txt --out causal.safetensors
  {program} train --model masked-lm --data embedded --out masked.safetensors

The two models shipped in the package were begun so, and trained on in three courses and one (--start-from),
in five hours and 84 minutes together; docs/translator.md has all commands:
  python -m step01_numpy train --data fra.txt.gz --data embedded --slim float16 \\
      --config step01_numpy/common/shipped/english_french.json --out first.safetensors
  python -m step02_torch train --data fra.txt.gz --data embedded --slim float16 \\
      --config step01_numpy/common/shipped/english_french_recurrent.json --out first_recurrent.safetensors
"""
HELP = HELP.replace("MODELS", models()).replace("DEFAULTS", defaults().replace("{", "{{").replace("}", "}}"))
SHOWN = 50  # updates over which the loss shown is the mean
REPORT_SECONDS = 60  # between two lines where there is no terminal to draw a bar on


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--data",
        metavar="PATH",
        type=file_name,
        action="append",
        required=True,
        help="for a translator: directory of line files (train.en, train.fr, plain or .gz), tab-separated "
        "file, or 'embedded'; for a language model: text file (plain or .gz), 'embedded' (its English side) "
        "or 'embedded-both'; may be given several times, to train on all of them",
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=file_path,
        required=True,
        help="checkpoint to write; an older one is replaced",
    )
    parser.add_argument(
        "--model", choices=TASKS, help="what to train (default: the configuration's, transformer)"
    )
    parser.add_argument(
        "--score",
        choices=SCORES,
        help="attention of --model recurrent (default: the configuration's, additive)",
    )
    parser.add_argument("--config", metavar="FILE", type=file_path, help="JSON file, see below")
    _add_course(parser)
    parser.add_argument(
        "--plot",
        metavar="FILE",
        type=file_path,
        help="SVG of the loss, the learning rate and the speed, drawn again with every saving",
    )
    add_json(parser)


def _add_course(parser):
    """Add how long to train, from where on, and what to keep."""
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", metavar="M", type=positive_number, help="stop after so many minutes")
    length.add_argument(
        "--steps", metavar="N", type=positive_integer, help="updates in all (default: the configuration's)"
    )
    parser.add_argument(
        "--start-from",
        metavar="FILE",
        type=file_path,
        help="checkpoint whose weights and vocabulary to begin with, as to fine-tune a model",
    )
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--seed", metavar="N", type=natural_number, help="default: the configuration's, 0")
    parser.add_argument(
        "--save-every", metavar="STEPS", type=positive_integer, default=200, help="default: 200"
    )
    parser.add_argument(
        "--slim",
        metavar="DTYPE",
        nargs="?",
        const="float32",
        choices=("float32", "float16"),
        help="leave what --resume needs out of the final file: a third of the size, or with float16 a sixth",
    )


def run(arguments: argparse.Namespace, context: Context, trainer: type[Trainer] = Trainer) -> int:
    """Train, save, and print the result, while no other training may write the same file."""
    with trainer.claim(arguments.out):
        return _run(arguments, context, trainer)


def _run(arguments, context, trainer) -> int:
    if arguments.plot is not None and arguments.plot.resolve() == arguments.out.resolve():
        raise ValueError(f"--plot and --out are both {arguments.out}; expected two files")
    course = Course(arguments.plot)
    trainer = _open(arguments, context, trainer)
    if trainer.dropped:
        print(f"note: {trainer.dropped} pairs are too long for the model and left out", file=sys.stderr)
    try:
        result = train(trainer, arguments, course)
    except KeyboardInterrupt:
        print(f"stopped; {arguments.out} is as it was last saved, if it was", file=sys.stderr)
        raise
    if process.has_output():
        print(json.dumps(result) if arguments.json else _as_text(result))
    else:  # what was asked for is the file
        print(f"note: standard output is closed; wrote {arguments.out}", file=sys.stderr)
    return 0


def train(trainer: Trainer, arguments: argparse.Namespace, course: Course) -> dict:
    """Update until the steps or the minutes are over, saving now and then and at the end."""
    started, tokens, losses = time.perf_counter(), 0, deque(maxlen=SHOWN)
    next_report = REPORT_SECONDS
    with progress_bar(total=trainer.config.steps, initial=trainer.step, unit="step") as bar:
        for progress in trainer.run():
            seconds = time.perf_counter() - started
            tokens += progress.tokens
            losses.append(progress.loss)
            course.add(progress)
            shown = f"{_mean(losses):.3f} nats/token, {tokens / seconds:.0f} tokens/s"
            bar.set_postfix_str(shown, refresh=False)
            bar.update()
            if bar.disable and seconds >= next_report:
                print(f"step {progress.step} of {trainer.config.steps}: {shown}", file=sys.stderr, flush=True)
                next_report = seconds + REPORT_SECONDS
            if arguments.minutes is not None and seconds >= 60 * arguments.minutes:
                break
            if progress.step % arguments.save_every == 0 and progress.step < trainer.config.steps:
                trainer.save(arguments.out)
                course.draw()
    seconds = time.perf_counter() - started
    trainer.save(arguments.out, slim=arguments.slim)
    course.draw()
    return {
        "step": trainer.step,
        "steps": trainer.config.steps,
        "loss_nats_per_token": _mean(losses),
        "target_tokens_per_second": tokens / seconds,
        "seconds": seconds,
        "out": str(arguments.out),
    }


def _open(arguments, context, trainer) -> Trainer:
    """Check everything that can be wrong before the first update is made."""
    fresh = {"--config": arguments.config, "--seed": arguments.seed, "--score": arguments.score}
    fresh["--start-from"] = arguments.start_from
    if arguments.resume and any(x is not None for x in fresh.values()):
        names = " and ".join(name for name, x in fresh.items() if x is not None)
        raise ValueError(f"{names} is given with --resume; expected none: all is in the checkpoint")
    check_writable(arguments.out)
    if arguments.resume:
        return trainer.resumed(
            context.backend, arguments.data, arguments.out, task=arguments.model, steps=arguments.steps
        )
    if arguments.start_from is None:
        return trainer.new(context.backend, arguments.data, _configuration(arguments, arguments.model))
    checkpoint = load(arguments.start_from)
    config = _configuration(arguments, arguments.model or task_of(checkpoint.config).name)
    return trainer.started_from(context.backend, arguments.data, checkpoint, config)


def _configuration(arguments, task) -> RunConfig:
    """Return the configuration in the file, of a task if one is named, changed by the options given."""
    if arguments.config is None:
        config = RunConfig.from_dict({"task": task or TRANSFORMER.name})
    else:
        config = read_configuration(arguments.config, task)
    changes = {"steps": arguments.steps, "seed": arguments.seed}
    changes = {name: x for name, x in changes.items() if x is not None}
    model = config.model
    if arguments.score is not None:
        if config.task != RECURRENT.name:
            raise ValueError(
                f"--score is given for {config.task}; expected it with --model {RECURRENT.name} alone"
            )
        model = {**model, "score": arguments.score}
    training = dataclasses.replace(config.training, **changes)
    return dataclasses.replace(config, model=model, training=training)


def _mean(losses):
    return sum(losses) / len(losses) if losses else None


def _as_text(result):
    if result["loss_nats_per_token"] is None:
        return f"step {result['step']} of {result['steps']}: nothing left to do; wrote {result['out']}"
    return (
        f"step {result['step']} of {result['steps']}, loss {result['loss_nats_per_token']:.4f} nats/token "
        f"(mean of the last {SHOWN} updates), {result['target_tokens_per_second']:.0f} target tokens/s, "
        f"{result['seconds']:.1f} s; wrote {result['out']}"
    )
