"""Tokenizers small enough to make in a test, kept as Hugging Face's directories keep them."""

import json

import sentencepiece
import tokenizers
from tokenizers import models, pre_tokenizers, processors

from tests.tiny import PAIRS

TEXTS = [text for pair in PAIRS for text in pair] * 3
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "they", "arrived", "late", "she", "see", "##s", "the"]
WORDS += ["house", "a", "##é", "tard", ".", ",", "e", "##t"]


def word_pieces(directory, *, as_json=True):
    """Write BERT's: vocab.txt, or tokenizer.json with a padding and a cut that are to be ignored."""
    (directory / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))
    if not as_json:
        (directory / "vocab.txt").write_text("".join(f"{word}\n" for word in WORDS), encoding="utf-8")
        return len(WORDS)
    made = tokenizers.BertWordPieceTokenizer({word: i for i, word in enumerate(WORDS)})
    made.enable_truncation(3)
    made.enable_padding(length=12)
    made.save(str(directory / "tokenizer.json"))
    return len(WORDS)


def byte_pairs(directory, *, as_json=True, size=300):
    """Write GPT-2's: vocab.json and merges.txt, or tokenizer.json."""
    made = tokenizers.ByteLevelBPETokenizer()
    made.train_from_iterator(TEXTS, size, special_tokens=["<|endoftext|>"], show_progress=False)
    if as_json:
        made.save(str(directory / "tokenizer.json"))
    else:
        made.save_model(str(directory))
    return made.get_vocab_size()


def words(directory, size):
    """Write tokenizer.json of numbered words behind a first token <s>, as Llama's files do."""
    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2} | {f"w{i}": i for i in range(3, size)}
    made = tokenizers.Tokenizer(models.WordLevel(vocabulary, "<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    made.add_special_tokens(["<unk>", "<s>", "</s>"])
    made.save(str(directory / "tokenizer.json"))
    return size


def sentence_pieces(directory):
    """Write Marian's: source.spm, target.spm and vocab.json, whose last token is <pad>."""
    pieces = {}
    for side, name in enumerate(("source", "target")):
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter([pair[side] for pair in PAIRS] * 5),
            model_prefix=str(directory / name),
            vocab_size=44,
            hard_vocab_limit=False,
            minloglevel=2,
        )
        (directory / f"{name}.model").rename(directory / f"{name}.spm")
        lines = (directory / f"{name}.vocab").read_text(encoding="utf-8").splitlines()
        pieces |= {line.split("\t")[0]: None for line in lines}
    made = dict.fromkeys(["</s>", "<unk>", ">>fra<<", *pieces])
    made = {token: i for i, token in enumerate(token for token in made if token != "<s>")}
    made["<pad>"] = len(made)
    (directory / "vocab.json").write_text(json.dumps(made), encoding="utf-8")
    return len(made)
