"""A directory of each kind, small enough to make in a test, and how to change a value in one of its files."""

import contextlib
import io
import json

from tests import hostile
from tests.pretrained import hugging_face as hf
from tests.pretrained import tiny_tokenizers

COMMAND = {
    "sentences": ["embed", "They arrived late."],
    "bert": ["embed", "They arrived late."],
    "gpt2": ["generate", "--max-tokens", "3", "They"],
    "llama": ["generate", "--max-tokens", "3", "w5"],
    "mistral": ["generate", "--max-tokens", "3", "w5"],
    "marian": ["translate", "They arrived late."],
}
OLD = {"sentences": tiny_tokenizers.word_pieces, "gpt2": tiny_tokenizers.byte_pairs}  # without tokenizer.json


def write(path):
    """Write the directory of the kind that is its name, unless it is there; return its path."""
    if path.exists():
        return path
    path.mkdir()
    make = getattr(hf, "bert" if path.name == "sentences" else path.name)
    with contextlib.redirect_stderr(io.StringIO()):
        hf.save(make(), path, **({"max_shard_size": 20_000} if path.name == "llama" else {}))
    if path.name in OLD:
        (path / "tokenizer.json").unlink()
        OLD[path.name](path, as_json=False)
    if path.name == "sentences":
        _sentence_vectors(path)
    return path


def _sentence_vectors(directory):
    parts = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
    modules = [{"type": f"sentence_transformers.models.{x}", "path": path} for x, path in parts.items()]
    (directory / "modules.json").write_text(json.dumps(modules))
    (directory / "1_Pooling").mkdir()
    (directory / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    (directory / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 8}))


@contextlib.contextmanager
def changed(path, place, value):
    """Put a value at a place of a JSON file for a while; yields the model's directory."""
    before = path.read_text(encoding="utf-8")
    path.write_text(hostile.replaced(json.loads(before), place, value), encoding="utf-8")
    try:
        yield next(x for x in path.parents if (x / "config.json").exists() and x.name in COMMAND)
    finally:
        path.write_text(before, encoding="utf-8")
