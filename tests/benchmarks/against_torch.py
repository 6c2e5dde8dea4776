"""
Train `torch.nn.Transformer` as a translator of ours was trained: `python -m tests.benchmarks.against_torch`.

Size, rates and batches are the same: the order of each epoch is drawn from the state that the generator had
when our training began that epoch, as its checkpoints keep it. Only the initial weights and the dropout are
PyTorch's own. In the end both are measured on the same split, greedy.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from step01_numpy.common.commands.context import progress_bar
from step01_numpy.common.commands.evaluate import metrics_of, score
from step01_numpy.common.text.batches import BOS, EOS, pad
from step01_numpy.common.text.several import read_references
from step01_numpy.common.training.checkpoints import load
from step01_numpy.common.training.configuration import read_configuration
from step01_numpy.common.training.tasks import TRANSFORMER
from step01_numpy.optimizer import learning_rate
from tests.benchmarks.translation import torch_trainer

ROWS = 128  # sentences translated at once


def batches_as(states: dict[str, dict], batches):
    """Give the batches of epochs 1, 2, … for ever, each in the order drawn from its state."""
    for epoch in range(1, len(states) + 1):
        batches.load_state_dict(
            batches.state_dict() | {"epoch": epoch, "epoch_start": states[str(epoch)], "position": 0}
        )
        for _ in range(batches.batches_per_epoch):
            yield next(batches)


@torch.inference_mode()
def translate(model, sources: list[list[int]], longest: int) -> list[list[int]]:
    """Translate token rows, greedily."""
    model.eval()
    source = torch.from_numpy(pad([[*row, EOS] for row in sources])[0])
    target = torch.full((len(sources), 1), BOS)
    for _ in range(min(longest, 2 * source.shape[1] + 10) - 1):
        target = torch.cat([target, model(source, target)[:, -1:].argmax(-1)], dim=1)
        if (target == EOS).any(dim=1).all():
            break
    return [row[1:] for row in target.tolist()]


def measure(model, tokenizer, longest: int, data: str, split: str) -> dict:
    """Return BLEU and the other scores of a split, in lower case."""
    sources, references = read_references(data, split)
    order = sorted(range(len(sources)), key=lambda i: len(sources[i]))
    found = [""] * len(sources)
    for chunk in (order[i : i + ROWS] for i in range(0, len(order), ROWS)):
        rows = translate(model, tokenizer.encode_batch([sources[i] for i in chunk]), longest)
        for i, row in zip(chunk, rows, strict=True):
            found[i] = tokenizer.decode(row)
    return score(metrics_of(True), found, references, True)


def main(words: list[str] | None = None) -> None:
    """Train, or go on, and measure."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.against_torch", description=__doc__)
    parser.add_argument("--data", action="append", required=True, help="as for train; the first is measured")
    parser.add_argument("--config", type=Path, required=True, help="of our training")
    parser.add_argument("--model", type=Path, required=True, help="our checkpoint, whose tokenizer is used")
    parser.add_argument(
        "--epochs", type=Path, required=True, help="JSON: the generator's state at each epoch's start"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="PyTorch's checkpoint; gone on from where it is"
    )
    parser.add_argument("--split", default="test")
    arguments = parser.parse_args(words)
    config, ours = read_configuration(arguments.config), load(arguments.model)
    pairs = TRANSFORMER.training_data(arguments.data, config.training.hurried)
    options = {"tokens_per_batch": config.training.tokens_per_batch, "rng": np.random.default_rng()}
    batches, _ = TRANSFORMER.batches(pairs, ours.tokenizer, ours.config.max_positions, **options)
    states = json.loads(arguments.epochs.read_text(encoding="utf-8"))
    torch.manual_seed(config.training.seed)
    model, update, adamw = torch_trainer(ours.config, config.training)
    done = 0
    if arguments.out.exists():
        kept = torch.load(arguments.out, weights_only=True)
        model.load_state_dict(kept["model"])
        adamw.load_state_dict(kept["optimizer"])
        done = kept["step"]
    with progress_bar(total=config.training.steps, initial=done, unit="update") as bar:
        for step, batch in enumerate(batches_as(states, batches), 1):
            if done < step <= config.training.steps:
                loss = update(batch, learning_rate(step, config.training))
                bar.update()
                if step % 500 == 0 or step == config.training.steps:
                    print(f"step {step}: loss {loss:.3f}", flush=True)
                    state = {"model": model.state_dict(), "optimizer": adamw.state_dict(), "step": step}
                    torch.save(state, arguments.out)
    print(
        json.dumps(
            measure(model, ours.tokenizer, ours.config.max_positions, arguments.data[0], arguments.split)
        )
    )


if __name__ == "__main__":
    main()
