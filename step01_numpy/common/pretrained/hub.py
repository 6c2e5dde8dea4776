"""Find the model that `--model` names: a path, or else a name of the Hugging Face Hub, to download."""

import re
from pathlib import Path

FILES = (
    "config.json",
    "generation_config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "source.spm",
    "target.spm",
    "modules.json",
    "config_sentence_transformers.json",
    "sentence_*_config.json",
    "*_Pooling/config.json",
)  # never a pickle
BELOW = tuple(
    f"*_Transformer/{name}" for name in FILES if "/" not in name
)  # where sentence-transformers put it once
FILE_ENDINGS = {".safetensors", ".json", ".bin", ".pt", ".pth", ".ckpt", ".onnx", ".gguf", ".npz", ".txt"}


def locate(name: str | Path) -> Path:
    """
    Return the path of a model, downloading it first if there is no such path and the Hub may have it.

    Parameters
    ----------
    name : str or Path
        A file, a directory, or ORGANISATION/MODEL.

    Raises
    ------
    FileNotFoundError
        If there is no such path, and it is no name of the Hub.
    ImportError
        Without the library huggingface_hub, where it is one.
    OSError
        If it cannot be downloaded; it says what to download, and where to put it.
    """
    path, name = Path(name), Path(name).as_posix()
    if path.exists():
        return path
    if not _may_be_on_the_hub(path, name):
        raise FileNotFoundError(f"{name} does not exist; expected a checkpoint, or the directory of a model")
    advice = (
        f"or download {', '.join(FILES)}, as far as there are such, from https://huggingface.co/{name} "
        "into a directory, and give that as --model"
    )
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ImportError(
            f"{name} does not exist here; to download it, this needs the library huggingface_hub: "
            f'pip install "attention-step-by-step[hub]"; {advice}'
        ) from error
    try:
        return Path(snapshot_download(name, allow_patterns=[*FILES, *BELOW]))
    except Exception as error:  # of the library, of its HTTP client, of the network
        reason = " ".join(str(error).split())
        raise OSError(
            f"{name} does not exist here, and the Hub did not give it ({reason}); {advice}"
        ) from error


def _may_be_on_the_hub(path, name):
    """Tell ORGANISATION/MODEL from a path: what ends as files do, or would lie in a folder that is here."""
    named = re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name)
    return bool(named) and path.suffix not in FILE_ENDINGS and not path.parent.is_dir()
